"""The records of an event file that may be damaged: whole ones, and the stretches that are not.

Lives here: walking a file record by record, finding the next whole record behind damage, and the few
fields of an Event that order and repair need. Must not: change a file, import protobuf.
Whatever the bytes are, a walk ends, and holds one record at a time.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from tblog._framing import FOOTER_BYTES, HEADER_BYTES, masked_crc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_AROUND = HEADER_BYTES + FOOTER_BYTES
_WINDOW_BYTES = 1 << 20


class Piece(NamedTuple):
    """A stretch of a file: a whole record with its data, or damage, whose data is None."""

    start: int
    end: int
    data: bytes | None


class EventHead(NamedTuple):
    """What an Event says beside its payload; `is_whole` is False where the bytes are no message."""

    wall_time: float
    step: int
    file_version: bytes
    has_summary: bool
    is_whole: bool


def walk(file: BinaryIO) -> Iterator[Piece]:
    """Yield the pieces of a file from its start to its end, without gaps."""
    size = file.seek(0, 2)
    offset = 0
    while offset < size:
        data = _record(file, offset, size)
        end = offset + len(data) + _AROUND if data is not None else _next_record(file, offset + 1, size)
        yield Piece(offset, end, data)
        offset = end


def _record(file: BinaryIO, offset: int, size: int) -> bytes | None:
    if offset + _AROUND > size:
        return None
    file.seek(offset)
    head = file.read(HEADER_BYTES)
    length, length_crc = struct.unpack("<QI", head)
    if masked_crc(head[:8]) != length_crc or offset + _AROUND + length > size:
        return None
    data = file.read(length)
    (data_crc,) = struct.unpack("<I", file.read(FOOTER_BYTES))
    return data if masked_crc(data) == data_crc else None


def _next_record(file: BinaryIO, offset: int, size: int) -> int:
    """Return where the next whole record of one byte or more starts, or the file's end."""
    while offset + _AROUND < size:
        file.seek(offset)
        window = np.frombuffer(file.read(_WINDOW_BYTES + 7), np.uint8)
        for candidate in _plausible_lengths(window, size - offset):
            if _record(file, offset + int(candidate), size) is not None:
                return offset + int(candidate)
        offset += _WINDOW_BYTES
    return size


def _plausible_lengths(window: NDArray[np.uint8], remaining: int) -> NDArray[np.intp]:
    """Return the positions in a window whose eight bytes are a length that fits the file."""
    count = len(window) - 7
    if count <= 0:
        return np.empty(0, np.intp)
    low = sum(window[i : i + count].astype(np.int64) << 8 * i for i in range(4))
    high = window[4 : 4 + count] | window[5 : 5 + count] | window[6 : 6 + count] | window[7 : 7 + count]
    fits = low + np.arange(count) + _AROUND <= remaining
    plausible: NDArray[np.intp] = np.flatnonzero((high == 0) & (low > 0) & fits)
    return plausible


def event_head(data: bytes) -> EventHead:
    """Read the fields of a serialised Event that stand beside its payload."""
    wall_time, step, version, has_summary = 0.0, 0, b"", False
    position = 0
    try:
        while position < len(data):
            key, position = _varint(data, position)
            field, wire = key >> 3, key & 7
            start = position
            value, position = _value(data, position, wire)
            if field == 1 and wire == 1:
                (wall_time,) = struct.unpack_from("<d", data, start)
            elif field == 2 and wire == 0:
                step = value - (1 << 64) if value >= 1 << 63 else value
            elif field == 3 and wire == 2:
                version = data[position - value : position]
            elif field == 5:
                has_summary = True
    except (IndexError, ValueError, struct.error):
        return EventHead(wall_time, step, version, has_summary, is_whole=False)
    return EventHead(wall_time, step, version, has_summary, is_whole=True)


def _value(data: bytes, position: int, wire: int) -> tuple[int, int]:
    """Return a varint's value or a field's length, and the position behind the field."""
    if wire == 0:
        return _varint(data, position)
    if wire == 2:
        length, position = _varint(data, position)
    elif wire in {1, 5}:
        length = 8 if wire == 1 else 4
    else:
        raise ValueError(wire)
    if position + length > len(data):
        raise ValueError(length)
    return length, position + length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & ((1 << 64) - 1), position
        shift += 7
        if shift > 63:
            raise ValueError(shift)
