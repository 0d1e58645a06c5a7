"""Walks an event file that may be damaged: whole records, and the damage between them.

Lives here: walking a file record by record, and finding the next whole record behind damage.
Must not: change a file, know what a record holds.
A walk ends whatever the bytes are, and holds one record at a time.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES, crc32c, mask, masked_crc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


_AROUND = HEADER_BYTES + FOOTER_BYTES
_FIRST_WINDOW_BYTES = 1 << 12
_WINDOW_BYTES = 1 << 20
_MAX_BYTES = (1 << 31) - 1  # no message of protocol buffers is larger


class Piece(NamedTuple):
    """A stretch of a file: a whole record with its data, or damage, whose data is None."""

    start: int
    end: int
    data: bytes | None


def walk(file: BinaryIO) -> Iterator[Piece]:
    """Yield the pieces of a file from its start to its end, without gaps."""
    size = file.seek(0, 2)
    offset = 0
    while offset < size:
        data = record_at(file, offset, size)
        end = offset + len(data) + _AROUND if data is not None else next_record(file, offset + 1, size)
        yield Piece(offset, end, data)
        offset = end


class Patience:
    """How many bytes to search for records that turn out not to be whole.

    A malicious file may have a length with its checksum at every twelfth byte, each as long as the file.
    """

    def __init__(self, size: int) -> None:
        self.bytes = 4 * size + (1 << 28)


def record_at(file: BinaryIO, offset: int, size: int, patience: Patience | None = None) -> bytes | None:
    """Return the data of the whole record at `offset` of a file of `size` bytes, or None if there is none."""
    length = _length_at(file, offset, size)
    if length is None or (patience is not None and length > patience.bytes):
        return None
    data = _data_at(file, offset, length)
    if data is None and patience is not None:
        patience.bytes -= length
    return data


def _length_at(file: BinaryIO, offset: int, size: int) -> int | None:
    if offset + _AROUND > size:
        return None
    file.seek(offset)
    head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:  # someone shortened the file meanwhile; so below
        return None
    length, length_crc = struct.unpack("<QI", head)
    if masked_crc(head[:8]) != length_crc or length > _MAX_BYTES or offset + _AROUND + length > size:
        return None
    return int(length)


def _data_at(file: BinaryIO, offset: int, length: int) -> bytes | None:
    if length > _WINDOW_BYTES and not _is_whole(file, offset + HEADER_BYTES, length):
        return None
    file.seek(offset + HEADER_BYTES)
    data, footer = file.read(length), file.read(FOOTER_BYTES)
    return (
        data if len(footer) == FOOTER_BYTES and masked_crc(data) == int.from_bytes(footer, "little") else None
    )


def _is_whole(file: BinaryIO, start: int, length: int) -> bool:
    """Return whether the checksum of `length` bytes is right, without holding them in memory."""
    file.seek(start)
    crc, remaining = 0, length
    while remaining:
        chunk = file.read(min(remaining, _WINDOW_BYTES))
        if not chunk:
            return False
        crc = crc32c()(chunk, crc)
        remaining -= len(chunk)
    return mask(crc) == int.from_bytes(file.read(FOOTER_BYTES), "little")


def next_record(file: BinaryIO, offset: int, size: int, patience: Patience | None = None) -> int:
    """Return where the next whole record of one byte or more starts, or the file's end."""
    length = _FIRST_WINDOW_BYTES  # it is usually near
    while offset + _AROUND < size:
        file.seek(offset)
        window = np.frombuffer(file.read(length + HEADER_BYTES - 1), np.uint8)
        for candidate in _headers(window, size - offset):
            if record_at(file, offset + int(candidate), size, patience) is not None:
                return offset + int(candidate)
        offset += length
        length = min(2 * length, _WINDOW_BYTES)
    return size


def _headers(window: NDArray[np.uint8], remaining: int) -> NDArray[np.int64]:
    """Return the positions in a window that may start a record: a length that fits into the file, and its checksum."""
    count = len(window) - HEADER_BYTES + 1
    if count <= 0:
        return np.empty(0, np.int64)
    byte = [window[i : i + count] for i in range(8)]
    low, high = byte[0] | byte[1] | byte[2] | byte[3], byte[4] | byte[5] | byte[6] | byte[7]
    positions = np.flatnonzero((low != 0) & (high == 0))
    length = [window[positions + i] for i in range(4)]
    crcs = _word(window, positions + 8)
    positions = positions[crcs == masked_crcs(length)]
    ends = positions + _word(window, positions) + _AROUND
    fitting: NDArray[np.int64] = positions[ends <= remaining]
    return fitting


def _word(window: NDArray[np.uint8], positions: NDArray[np.int64]) -> NDArray[np.uint32]:
    word = np.zeros(len(positions), np.uint32)
    for i in range(4):
        word |= window[positions + i].astype(np.uint32) << np.uint32(8 * i)
    return word


def masked_crcs(length: list[NDArray[np.uint8]]) -> NDArray[np.uint32]:
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
