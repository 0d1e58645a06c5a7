"""One number, in the three forms that the originals write.

Encoded by hand: a number must not wait for the import of tensorboardX.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tblog._values.checks import check_text
from tblog._wire.fields import float32, sized
from tblog._wire.summaries import metadata, simple_value, summary, tensor

if TYPE_CHECKING:
    from tblog.records import DescribedScalarRecord, ScalarRecord, TensorScalarRecord
    from tblog.summaries._context import EncodeContext

_FLOAT_VAL, _DOUBLE_VAL = 5, 6  # of TensorProto
_DT_FLOAT, _DT_DOUBLE = 1, 2  # of types.proto


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
    return [summary(record.tag, simple_value(record.value))]


def encode_described_scalar(record: DescribedScalarRecord, _context: EncodeContext) -> list[bytes]:
    """Encode a number with its title and description."""
    described = metadata(title=record.display_name, description=record.description)
    return [summary(record.tag, simple_value(record.value), described)]


def encode_tensor_scalar(record: TensorScalarRecord, _context: EncodeContext) -> list[bytes]:
    """Encode a number as a tensor of one float32 or float64, marked for the scalars dashboard."""
    number = float(record.value)
    if record.double_precision:
        dtype, value = _DT_DOUBLE, sized(_DOUBLE_VAL, struct.pack("<d", number))
    else:
        dtype, value = _DT_FLOAT, sized(_FLOAT_VAL, float32(number))
    return [summary(record.tag, *tensor(dtype, None, [value]), metadata("scalars"))]
