"""protobuf's messages, parsed by hand from bytes that may be damaged.

Lives here: the walk over the fields of a message, and numbers out of them. Must not: know a message, import protobuf.
The only error is `MalformedError`, whatever the bytes are, and the work grows linearly with their number.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = 0, 1, 2, 3, 4, 5

MAX_DEPTH = 100
"""So deep messages and groups may be nested for protobuf's parsers."""

_double = struct.Struct("<d").unpack_from
_float = struct.Struct("<f").unpack_from


class MalformedError(ValueError):
    """The bytes are not a message of protobuf, or not the expected one."""


class Field(NamedTuple):
    """One field: `number` is the value of a varint; the content of other fields is at `start` to `end`.

    No message of an event file has a group any more, but protobuf's parsers pass over those of others, as here.
    """

    key: int
    wire: int
    start: int
    end: int
    number: int


def varint(data: bytes, at: int, most: int = 10) -> tuple[int, int]:
    """Return an unsigned number of 64 bits, of so many bytes at most, and the position behind it."""
    number = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number & 0xFFFFFFFFFFFFFFFF, at
            shift += 7
            if shift >= 7 * most:
                raise MalformedError(f"a number at byte {at} has more than {most} bytes")
    except IndexError:
        raise MalformedError("a number is cut off at the end of its message") from None


def fields(
    data: bytes, start: int = 0, end: int | None = None, depth: int = MAX_DEPTH, group: int = -1
) -> Iterator[Field]:
    """Yield the fields of the message at `start` to `end` in their order.

    Args:
        data: the bytes that hold the message.
        start: where it starts.
        end: where it ends; None is the end of the bytes.
        depth: how many more levels may be nested in it.
        group: the number of the group whose fields these are, if they are. The field that ends it comes last.
    """
    at, end = start, len(data) if end is None else end
    while at < end:
        key = data[at]
        if key < 0x80:
            at += 1
        else:
            key, at = varint(data, at, 5)
        wire, begin, number = key & 7, at, 0
        if wire == BYTES:
            number, begin = varint(data, at, 5)
            at = begin + number
        elif wire == VARINT:
            number, at = varint(data, at)
        elif wire == FIXED64:
            at += 8
        elif wire == FIXED32:
            at += 4
        elif wire != END_GROUP or key >> 3 != group:
            at = _behind_group(data, at, end, key, depth)
        if at > end or key >> 32 or (key < 8 and group < 0):  # protobuf takes a number of 0 in a group
            raise MalformedError("a field reaches beyond its message, or has no number")
        yield Field(key >> 3, wire, begin, at, number)
        if wire == END_GROUP:
            return


def _behind_group(data: bytes, at: int, end: int, key: int, depth: int) -> int:
    """Return the position behind the group whose key ends at a position."""
    if key & 7 != GROUP or not depth:
        raise MalformedError(f"a field has the wire type {key & 7}, which does not fit there")
    last = None
    for last in fields(data, at, end, depth - 1, key >> 3):  # noqa: B007 # the end of the group, if it has one
        pass
    if last is None or last.wire != END_GROUP:
        raise MalformedError("a group does not end")
    return last.end


def with_starts(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, Field]]:
    """Yield each field of a message with its start, which includes the key."""
    for field in fields(data, start, end):
        yield start, field
        start = field.end


def message(data: bytes, wanted: int, start: int = 0, end: int | None = None) -> bytes | None:
    """Return the content of a field of bytes, or None without one. The last one counts, as in protobuf."""
    found = None
    for field in fields(data, start, end):
        if field.key == wanted and field.wire == BYTES:
            found = data[field.start : field.end]
    return found


def messages(data: bytes, wanted: int) -> list[bytes]:
    """Return the contents of a repeated field of bytes."""
    return [data[f.start : f.end] for f in fields(data) if f.key == wanted and f.wire == BYTES]


def text(data: bytes) -> str:
    """Return a text. Bytes that are not UTF-8 are replaced."""
    return data.decode(errors="replace")


def signed(number: int) -> int:
    """Return an int64 from the unsigned number of its varint."""
    return number - (1 << 64) if number >= 1 << 63 else number


def double(data: bytes, at: int) -> float:
    """Return the float64 at a position."""
    number: float = _double(data, at)[0]
    return number


def single(data: bytes, at: int) -> float:
    """Return the float32 at a position."""
    number: float = _float(data, at)[0]
    return number


def fixed_numbers(data: bytes, wanted: int, dtype: str) -> NDArray[np.generic]:
    """Return a repeated field of float or double, packed or not, one number after the other."""
    wire = FIXED64 if dtype == "<f8" else FIXED32
    parts = [data[f.start : f.end] for f in fields(data) if f.key == wanted and f.wire in {wire, BYTES}]
    joined = b"".join(parts)
    if len(joined) % np.dtype(dtype).itemsize:
        raise MalformedError(f"{len(joined)} bytes are not a whole number of {dtype}")
    return np.frombuffer(joined, dtype)


def varint_numbers(data: bytes, wanted: int) -> list[int]:
    """Return a repeated field of integers, packed or not, as int64."""
    numbers: list[int] = []
    for field in fields(data):
        if field.key != wanted:
            continue
        if field.wire == VARINT:
            numbers.append(signed(field.number))
        elif field.wire == BYTES:
            content, at = data[field.start : field.end], 0
            while at < len(content):
                number, at = varint(content, at)
                numbers.append(signed(number))
    return numbers
