"""Converts numpy arrays to TensorProto messages that `make_ndarray` of TensorFlow and TensorBoard can read.

Fields: https://github.com/tensorflow/tensorflow/blob/v2.15.0/tensorflow/core/framework/tensor.proto
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._wire.fields import sized
from tblog.errors import UnsupportedTypeError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tensorboardX.proto.tensor_pb2 import TensorProto

# By numpy dtype: DataType, the number of the field, and the bytes of each value in it.
_PACKED = {
    "float32": ("DT_FLOAT", 5, "<f4"),
    "float64": ("DT_DOUBLE", 6, "<f8"),
    "complex64": ("DT_COMPLEX64", 9, "<c8"),
    "bool": ("DT_BOOL", 11, "u1"),
    "complex128": ("DT_COMPLEX128", 12, "<c16"),
}
# By numpy dtype: DataType and the name of the field. Its numbers have a variable length.
_LISTED = {
    "int8": ("DT_INT8", "int_val"),
    "uint8": ("DT_UINT8", "int_val"),
    "int16": ("DT_INT16", "int_val"),
    "uint16": ("DT_UINT16", "int_val"),
    "int32": ("DT_INT32", "int_val"),
    "int64": ("DT_INT64", "int64_val"),
}
# By numpy dtype: DataType. tensorboardX's messages lack both names, and the fields for such numbers.
_RAW = {"uint32": 22, "uint64": 23}

# By the character of a numpy dtype that the format lacks: the one that is written.
_NARROWED = {"g": np.dtype(np.float64), "G": np.dtype(np.complex128)}
_AT_ONCE = 4096  # numbers listed before another thread may take the interpreter lock


def check_dtype(array: Any, what: str) -> None:
    """Check that a tensor's dtype can be written, if it is known.

    Raises:
        UnsupportedTypeError: the tensor holds dates, records or objects.
    """
    dtype = getattr(array, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind not in "fiubcUS":
        raise UnsupportedTypeError(f"{what} has dtype {dtype}; give numbers, booleans or strings")


def fill_tensor(proto: TensorProto, array: NDArray[Any], dtype: str | None = None) -> None:
    """Give an empty message an array's shape, dtype and values.

    Args:
        proto: the message, already inside its parent. Moving it there later would copy its values.
        array: numbers, booleans or strings, of any shape.
        dtype: "bfloat16" if the float32 values represent bfloat16. Other names have no effect.
    """
    from tensorboardX.proto.types_pb2 import DataType

    proto.tensor_shape.SetInParent()  # a number has a shape, too
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = array.reshape(-1)
    flat = flat.astype(_NARROWED.get(flat.dtype.char, flat.dtype.newbyteorder("=")), copy=False)
    if flat.dtype.kind in "US":
        proto.dtype = DataType.Value("DT_STRING")
        proto.string_val.extend(
            text.encode(errors="replace") if isinstance(text, str) else text for text in flat.tolist()
        )
    elif dtype == "bfloat16" and flat.dtype == np.float32:
        _list(proto, "DT_BFLOAT16", "half_val", flat.view(np.uint32) >> 16)
    elif flat.dtype == np.float16:
        _list(proto, "DT_HALF", "half_val", flat.view(np.uint16))
    elif flat.dtype.name in _LISTED:
        _list(proto, *_LISTED[flat.dtype.name], flat)
    elif flat.dtype.name in _RAW:
        proto.dtype = _RAW[flat.dtype.name]
        proto.tensor_content = flat.astype(flat.dtype.newbyteorder("<"), copy=False).tobytes()
    else:
        data_type, field, layout = _PACKED[flat.dtype.name]
        proto.dtype = DataType.Value(data_type)
        proto.MergeFromString(sized(field, flat.astype(layout, copy=False).tobytes()))


def _list(proto: TensorProto, data_type: str, field: str, numbers: NDArray[Any]) -> None:
    from tensorboardX.proto.types_pb2 import DataType

    proto.dtype = DataType.Value(data_type)
    listed = getattr(proto, field)
    for start in range(0, numbers.size, _AT_ONCE):
        listed.extend(numbers[start : start + _AT_ONCE].tolist())
