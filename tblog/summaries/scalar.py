"""One number, in the three forms that the originals write.

It is encoded by hand, because a number must not wait for the import of tensorboardX.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from tblog._values.checks import check_text
from tblog._wire.fields import float32, sized

if TYPE_CHECKING:
    from tblog.records import DescribedScalarRecord, ScalarRecord, TensorScalarRecord
    from tblog.summaries._context import EncodeContext

# Field numbers and dtypes, from summary.proto, tensor.proto and types.proto in
# https://github.com/tensorflow/tensorboard/tree/a9e1bba361fdfc525866e5bb25222dab7eac3671/tensorboard/compat/proto
_VALUE = 1  # of Summary
_TAG, _SIMPLE_VALUE, _TENSOR, _METADATA = 1, 2, 8, 9  # of Summary.Value
_PLUGIN_DATA, _DISPLAY_NAME, _DESCRIPTION = 1, 2, 3  # of SummaryMetadata
_PLUGIN_NAME = 1  # of SummaryMetadata.PluginData
_DTYPE, _FLOAT_VAL, _DOUBLE_VAL = 1, 5, 6  # of TensorProto
_DT_FLOAT, _DT_DOUBLE = 1, 2


def check_scalar(_record: ScalarRecord | TensorScalarRecord) -> None:
    """Check nothing: a value that is not a number raised when it was read."""


def check_described_scalar(record: DescribedScalarRecord) -> None:
    """Check that title and description are text.

    Raises:
        InvalidTypeError: one of them is not a string.
        InvalidValueError: one of them cannot be encoded as UTF-8.
    """
    check_text(record.display_name, f"scalar {record.tag!r}: display_name")
    check_text(record.description, f"scalar {record.tag!r}: description")


def encode_scalar(record: ScalarRecord, _context: EncodeContext) -> list[bytes]:
    """Encode a number as a `simple_value`, a float32."""
    return [_summary(record.tag, _simple_value(record.value))]


def encode_described_scalar(record: DescribedScalarRecord, _context: EncodeContext) -> list[bytes]:
    """Encode a number with its title and description."""
    metadata = _text(_DISPLAY_NAME, record.display_name) + _text(_DESCRIPTION, record.description)
    return [_summary(record.tag, _simple_value(record.value) + sized(_METADATA, metadata))]


def encode_tensor_scalar(record: TensorScalarRecord, _context: EncodeContext) -> list[bytes]:
    """Encode a number as a tensor of one float32 or float64, marked for the scalars dashboard."""
    number = float(record.value)
    if record.double_precision:
        tensor = _dtype(_DT_DOUBLE) + sized(_DOUBLE_VAL, struct.pack("<d", number))
    else:
        tensor = _dtype(_DT_FLOAT) + sized(_FLOAT_VAL, float32(number))
    plugin = sized(_PLUGIN_DATA, _text(_PLUGIN_NAME, "scalars"))
    return [_summary(record.tag, sized(_TENSOR, tensor) + sized(_METADATA, plugin))]


def _summary(tag: str, fields: bytes) -> bytes:
    return sized(_VALUE, _text(_TAG, tag) + fields)


def _simple_value(number: Any) -> bytes:
    return bytes([_SIMPLE_VALUE << 3 | 5]) + float32(float(number))


def _dtype(dtype: int) -> bytes:
    return bytes([_DTYPE << 3, dtype])


def _text(field: int, text: str) -> bytes:
    return sized(field, text.encode()) if text else b""
