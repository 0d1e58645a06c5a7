"""The records of an event file that may be damaged: whole ones, and the stretches that are not.

Lives here: walking a file record by record, finding the next whole record behind damage, and the few
fields of an Event that order and repair need. Must not: change a file, import protobuf.
Whatever the bytes are, a walk ends, and holds one record at a time.
"""

from __future__ import annotations

import contextlib
import struct
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES, crc32c, mask, masked_crc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


_AROUND = HEADER_BYTES + FOOTER_BYTES
_WINDOW_BYTES = 1 << 20
_MAX_BYTES = (1 << 31) - 1  # no message of protocol buffers is larger


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
    starts_session: bool
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
    if len(head) < HEADER_BYTES:  # someone shortened the file meanwhile; so below
        return None
    length, length_crc = struct.unpack("<QI", head)
    if masked_crc(head[:8]) != length_crc or length > _MAX_BYTES or offset + _AROUND + length > size:
        return None
    if length > _WINDOW_BYTES and not _is_whole(file, offset + HEADER_BYTES, length):
        return None
    file.seek(offset + HEADER_BYTES)
    data, footer = file.read(length), file.read(FOOTER_BYTES)
    return (
        data if len(footer) == FOOTER_BYTES and masked_crc(data) == int.from_bytes(footer, "little") else None
    )


def _is_whole(file: BinaryIO, start: int, length: int) -> bool:
    """Return whether the checksum behind so many bytes is theirs, before they are held in memory."""
    file.seek(start)
    crc, remaining = 0, length
    while remaining:
        chunk = file.read(min(remaining, _WINDOW_BYTES))
        if not chunk:
            return False
        crc = crc32c()(chunk, crc)
        remaining -= len(chunk)
    return mask(crc) == int.from_bytes(file.read(FOOTER_BYTES), "little")


def _next_record(file: BinaryIO, offset: int, size: int) -> int:
    """Return where the next whole record of one byte or more starts, or the file's end."""
    while offset + _AROUND < size:
        file.seek(offset)
        window = np.frombuffer(file.read(_WINDOW_BYTES + HEADER_BYTES - 1), np.uint8)
        for candidate in _headers(window, size - offset):
            if _record(file, offset + int(candidate), size) is not None:
                return offset + int(candidate)
        offset += _WINDOW_BYTES
    return size


def _headers(window: NDArray[np.uint8], remaining: int) -> NDArray[np.int64]:
    """Return the positions in a window of a length that fits the file, with its checksum behind it."""
    count = len(window) - HEADER_BYTES + 1
    if count <= 0:
        return np.empty(0, np.int64)
    byte = [window[i : i + count] for i in range(8)]
    low, high = byte[0] | byte[1] | byte[2] | byte[3], byte[4] | byte[5] | byte[6] | byte[7]
    positions = np.flatnonzero((low != 0) & (high == 0))
    length = [window[positions + i] for i in range(4)]
    crcs = _word(window, positions + 8)
    positions = positions[crcs == _masked_crcs(length)]
    ends = positions + _word(window, positions) + _AROUND
    fitting: NDArray[np.int64] = positions[ends <= remaining]
    return fitting


def _word(window: NDArray[np.uint8], positions: NDArray[np.int64]) -> NDArray[np.uint32]:
    word = np.zeros(len(positions), np.uint32)
    for i in range(4):
        word |= window[positions + i].astype(np.uint32) << np.uint32(8 * i)
    return word


def _masked_crcs(length: list[NDArray[np.uint8]]) -> NDArray[np.uint32]:
    """Return the masked checksums of lengths, given by their lower four bytes; the others are zero."""
    tables, zeros = _crc_tables()
    crcs = np.full(len(length[0]), zeros, np.uint32)
    for table, byte in zip(tables, length, strict=True):
        crcs ^= table[byte]
    return mask(crcs)


@cache
def _crc_tables() -> tuple[list[NDArray[np.uint32]], int]:
    """Return what each value of each of four bytes adds to the checksum of eight zeros; a CRC is linear."""
    crc, zeros = crc32c(), crc32c()(bytes(8))
    tables = [
        np.array([crc(bytes(8)[:i] + bytes([byte]) + bytes(7 - i)) ^ zeros for byte in range(256)], np.uint32)
        for i in range(4)
    ]
    return tables, zeros


def event_head(data: bytes) -> EventHead:
    """Read the fields of a serialised Event that stand beside its payload."""
    wall_time, step, version, has_summary, starts_session = 0.0, 0, b"", False, False
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
            elif field == 7 and wire == 2:  # SessionLog, whose status 1 is START
                starts_session = data[position - value : position].startswith(b"\x08\x01")
    except (IndexError, ValueError, struct.error):
        return EventHead(wall_time, step, version, has_summary, starts_session, is_whole=False)
    return EventHead(wall_time, step, version, has_summary, starts_session, is_whole=True)


def event_tags(data: bytes) -> list[str]:
    """Return the tag of each value in a serialised Event's summary, as far as they can be read."""
    return [
        tag.decode(errors="replace")
        for summary in _messages(data, 5)
        for value in _messages(summary, 1)
        for tag in list(_messages(value, 1))[-1:] or [b""]
    ]


def _messages(data: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the bytes of a field, which is a message or a text, each time that it stands there."""
    position = 0
    with contextlib.suppress(IndexError, ValueError):
        while position < len(data):
            key, position = _varint(data, position)
            value, position = _value(data, position, key & 7)
            if key == wanted << 3 | 2:
                yield data[position - value : position]


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
