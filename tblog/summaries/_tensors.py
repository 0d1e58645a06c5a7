"""Converts numpy arrays to the bytes of TensorProto messages that `make_ndarray` of TensorFlow and TensorBoard can read.

Fields: https://github.com/tensorflow/tensorflow/blob/v2.15.0/tensorflow/core/framework/tensor.proto and types.proto
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._wire.fields import nested
from tblog._wire.summaries import tensor, varints
from tblog.errors import UnsupportedTypeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Numbers of DataType and of fields, and the bytes of each value, by numpy dtype.
_PACKED = {
    "float32": (1, 5, "<f4"),
    "float64": (2, 6, "<f8"),
    "complex64": (8, 9, "<c8"),
    "bool": (10, 11, "u1"),
    "complex128": (18, 12, "<c16"),
}
_INT_VAL, _INT64_VAL, _HALF_VAL, _STRING_VAL, _CONTENT = 7, 10, 13, 8, 4
# By numpy dtype: DataType and the field. Its numbers have a variable length.
_LISTED = {
    "int8": (6, _INT_VAL),
    "uint8": (4, _INT_VAL),
    "int16": (5, _INT_VAL),
    "uint16": (17, _INT_VAL),
    "int32": (3, _INT_VAL),
    "int64": (9, _INT64_VAL),
}
# By numpy dtype: DataType. tensorboardX's messages lack both, and the fields for such numbers.
_RAW = {"uint32": 22, "uint64": 23}
_STRING, _BFLOAT16, _HALF = 7, 14, 19

# By the character of a numpy dtype that the format lacks: the one that is written.
_NARROWED = {"g": np.dtype(np.float64), "G": np.dtype(np.complex128)}
_AT_ONCE = 4096  # numbers encoded before another thread may take the interpreter lock


def check_dtype(array: Any, what: str) -> None:
    """Check that a tensor's dtype can be written, if it is known.

    Raises:
        UnsupportedTypeError: the tensor holds dates, records or objects.
    """
    dtype = getattr(array, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind not in "fiubcUS":
        raise UnsupportedTypeError(f"{what} has dtype {dtype}; give numbers, booleans or strings")


def tensor_field(array: NDArray[Any], dtype: str | None = None) -> list[bytes]:
    """Return the field of a summary's value that holds an array: its shape, dtype and values.

    Args:
        array: numbers, booleans or strings, of any shape.
        dtype: "bfloat16" if the float32 values represent bfloat16. Other names have no effect.
    """
    flat = array.reshape(-1)
    flat = flat.astype(_NARROWED.get(flat.dtype.char, flat.dtype.newbyteorder("=")), copy=False)
    data_type, values = _values(flat, dtype)
    return tensor(data_type, array.shape, values)


def _values(flat: NDArray[Any], dtype: str | None) -> tuple[int, list[bytes]]:
    """Return the DataType of values of shape (n,), and their fields."""
    if flat.dtype.kind in "US":
        texts = [text.encode(errors="replace") if isinstance(text, str) else text for text in flat.tolist()]
        return _STRING, [part for text in texts for part in nested(_STRING_VAL, [text])]
    if dtype == "bfloat16" and flat.dtype == np.float32:
        return _BFLOAT16, _listed(_HALF_VAL, flat.view(np.uint32) >> 16)
    if flat.dtype == np.float16:
        return _HALF, _listed(_HALF_VAL, flat.view(np.uint16))
    if flat.dtype.name in _LISTED:
        data_type, field = _LISTED[flat.dtype.name]
        return data_type, _listed(field, flat)
    if flat.dtype.name in _RAW:
        return _RAW[flat.dtype.name], _field(_CONTENT, flat.astype(flat.dtype.newbyteorder("<"), copy=False))
    data_type, field, layout = _PACKED[flat.dtype.name]
    return data_type, _field(field, flat.astype(layout, copy=False))


def _field(field: int, values: NDArray[Any]) -> list[bytes]:
    return nested(field, [values.tobytes()]) if values.size else []


def _listed(field: int, numbers: NDArray[Any]) -> list[bytes]:
    parts = [varints(numbers[start : start + _AT_ONCE]) for start in range(0, numbers.size, _AT_ONCE)]
    return nested(field, parts) if parts else []
