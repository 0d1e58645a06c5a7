"""A TensorProto -> an array.

https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/compat/proto/tensor.proto
https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/compat/proto/types.proto

Lives here: dtypes, shapes and the many fields that may hold the numbers. A tensor of one number and a large shape
becomes a view of that number, so a damaged file cannot claim more memory than it has bytes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tblog._wire import parsing as wire
from tblog._wire.parsing import MalformedError

STRING, _HALF, _BFLOAT16 = 7, 19, 14

DTYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    8: "<c8",
    9: "<i8",
    10: "|b1",
    14: "<u2",
    17: "<u2",
    18: "<c16",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
"""numpy's dtype for each of TensorFlow's; a bfloat16 is read as two bytes and widened."""

_FIXED_VALUES = {1: (5, "<f4"), 2: (6, "<f8"), 8: (9, "<f4"), 18: (12, "<f8")}
_VARINT_VALUES = {3: 7, 4: 7, 5: 7, 6: 7, 9: 10, 10: 11, 14: 13, 17: 7, 19: 13, 22: 16, 23: 17}


def array(data: bytes) -> NDArray[Any]:
    """Return the array of a serialised TensorProto; texts are an array of objects, which are bytes.

    Raises:
        MalformedError: the bytes are not a tensor, or its numbers do not fill its shape.
    """
    dtype, shape, content = _head(data)
    if dtype == STRING:
        texts = np.empty(len(strings := wire.messages(data, 8)), object)
        texts[:] = strings
        return _shaped(texts, shape)
    if dtype not in DTYPES:
        raise MalformedError(f"a tensor has TensorFlow's dtype number {dtype}, for which numpy has none")
    if content:
        if len(content) % np.dtype(DTYPES[dtype]).itemsize:
            raise MalformedError(f"{len(content)} bytes are not a whole number of {DTYPES[dtype]}")
        numbers: NDArray[Any] = np.frombuffer(content, DTYPES[dtype])
    elif dtype in _FIXED_VALUES:
        field, layout = _FIXED_VALUES[dtype]
        numbers = wire.fixed_numbers(data, field, layout)
        if dtype in {8, 18}:
            numbers = numbers[: len(numbers) // 2 * 2].view(DTYPES[dtype])
    else:
        numbers = _integers(wire.varint_numbers(data, _VARINT_VALUES[dtype]), dtype)
    return _shaped(_widened(numbers, dtype), shape)


def _head(data: bytes) -> tuple[int, tuple[int, ...], bytes]:
    dtype, shape, content = 0, [], b""
    for field in wire.fields(data):
        if field.key == 1 and field.wire == wire.VARINT:
            dtype = field.number
        elif field.key == 2 and field.wire == wire.BYTES:
            shape += [_size(dim) for dim in wire.messages(data[field.start : field.end], 2)]
        elif field.key == 4 and field.wire == wire.BYTES:
            content = data[field.start : field.end]
    return dtype, tuple(shape), content


def _size(dim: bytes) -> int:
    size = 0
    for field in wire.fields(dim):
        if field.key == 1 and field.wire == wire.VARINT:
            size = wire.signed(field.number)
    return size


def _integers(numbers: list[int], dtype: int) -> NDArray[Any]:
    """Return integers in their dtype; larger ones are cut, as in C."""
    wide = np.array([number & 0xFFFFFFFFFFFFFFFF for number in numbers], np.uint64)
    if dtype == 10:
        return wide.astype(np.bool_)
    if dtype in {_HALF, _BFLOAT16}:
        return wide.astype(np.uint16).view(DTYPES[dtype])
    narrow: NDArray[Any] = wide.astype(DTYPES[dtype])
    return narrow


def _widened(numbers: NDArray[Any], dtype: int) -> NDArray[Any]:
    if dtype != _BFLOAT16:
        return numbers
    wide: NDArray[Any] = (numbers.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return wide


def _shaped(numbers: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    count = math.prod(shape)
    try:
        if len(numbers) != count and len(numbers) == 1:
            return np.broadcast_to(numbers.reshape(()), shape)
        if not len(numbers) and count and numbers.dtype != object:
            return np.broadcast_to(np.zeros((), numbers.dtype), shape)  # protobuf leaves zeros out
        return numbers.reshape(shape)
    except ValueError:
        raise MalformedError(f"{len(numbers)} values do not fill a tensor of the shape {shape}") from None
