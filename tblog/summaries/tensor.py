"""A tensor of any shape and dtype, for programs that read the file. TensorBoard itself does not show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog._require import require
from tblog._values.arrays import to_numpy
from tblog._wire import summaries
from tblog.summaries._tensors import check_dtype, tensor_field

if TYPE_CHECKING:
    from tblog.records import TensorRecord
    from tblog.summaries._context import EncodeContext

_PROTOBUF_LIMIT = 1 << 31
_FITTING = "less than 2 GiB, for example in parts"


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
    require(nbytes < _PROTOBUF_LIMIT, what, nbytes, _FITTING)


def encode_tensor(record: TensorRecord, _context: EncodeContext) -> list[bytes]:
    """Encode a tensor with its shape and dtype.

    Raises:
        InvalidValueError: integers of variable length made it too large for a protobuf message.
    """
    field = tensor_field(to_numpy(record.tensor), record.dtype)
    size = sum(map(len, field))
    require(size < _PROTOBUF_LIMIT, f"tensor {record.tag!r}: the size in bytes", size, _FITTING)
    return [summaries.summary(record.tag, *field, summaries.metadata("tensor"))]
