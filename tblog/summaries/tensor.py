"""A tensor of any shape and dtype, for programs that read the file. TensorBoard itself does not show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog._require import require
from tblog._values.arrays import to_numpy
from tblog.summaries._tensors import check_dtype, fill_tensor

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

    from tblog.records import TensorRecord
    from tblog.summaries._context import EncodeContext

_PROTOBUF_LIMIT = 1 << 31


def check_tensor(record: TensorRecord) -> None:
    """Check the size and the dtype.

    Raises:
        InvalidValueError: the tensor is too large for a protobuf message.
        UnsupportedTypeError: it holds neither numbers, booleans nor strings.
    """
    check_dtype(record.tensor, f"tensor {record.tag!r}")
    check_size(record.tensor.nbytes, record.tag)


def check_size(nbytes: int, tag: str) -> None:
    """Check that a protobuf message can hold a tensor.

    Raises:
        InvalidValueError: it is too large.
    """
    what = f"tensor {tag!r}: the size in bytes"
    require(nbytes < _PROTOBUF_LIMIT, what, nbytes, "less than 2 GiB, for example in parts")


def encode_tensor(record: TensorRecord, _context: EncodeContext) -> list[Summary]:
    """Encode a tensor with its shape and dtype."""
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    summary = Summary()
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="tensor"))
    value = summary.value.add(tag=record.tag, metadata=metadata)
    fill_tensor(value.tensor, to_numpy(record.tensor), record.dtype)
    return [summary]
