"""Which events of one length are like the first of them, and whether their bytes are those that were written.

Short events are compared word by word, a column of all of them at a time; and since a CRC is linear, the checksum of
each is that of the first, changed by the bytes that differ. Long ones are compared as a table of bytes, and each
checksum costs little beside the values that it covers.

Lives here: bytes that may vary, and checksums. Must not: know where a tag or a value lies.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._wire.checksums import MAX_BYTES, contributions
from tblog._wire.framing import FOOTER_BYTES, crc32c, mask
from tblog.reading._frames import Bytes, Int64s, column, words


class Alike(NamedTuple):
    """Those of `n` events that differ from the first where they may, and nowhere else.

    `which` are their numbers among the events, `table` their bytes, with those behind them up to a multiple of eight.
    `is_whole` says of each whether its checksum is right, and `varies` of each byte, bool (length,), whether it is
    another one in any of them.
    """

    which: Int64s
    table: Bytes
    is_whole: NDArray[np.bool_]
    varies: NDArray[np.bool_]


def alike(buffer: Bytes, at: Int64s, first: bytes, may_vary: bytes) -> Alike:
    """Compare the events at `at` with the first; `may_vary` has a bit for each bit that may be another one."""
    length = len(first)
    table = texts(buffer, at, -(-(length + FOOTER_BYTES) // 8) * 8)
    found = _long if length > MAX_BYTES else _short
    which, crcs, varies = found(table, first, may_vary)
    table = table if len(which) == len(table) else table[which]
    return Alike(which, table, mask(crcs) == column(table, "<u4", length), varies)


_Found = tuple[Int64s, NDArray[np.uint32], NDArray[np.bool_]]


def _long(table: Bytes, first: bytes, may_vary: bytes) -> _Found:
    data = table[:, : len(first)]
    different = data ^ np.frombuffer(first, np.uint8)
    which = np.flatnonzero(~(different & ~np.frombuffer(may_vary, np.uint8)).any(axis=1))
    crcs = np.array([crc32c()(data[row]) for row in which], np.uint32)
    return which, crcs, np.bitwise_or.reduce(different[which], axis=0) != 0


def _short(table: Bytes, first: bytes, may_vary: bytes) -> _Found:
    count = -(-len(first) // 8)
    different = np.ascontiguousarray(table.view("<u8")[:, :count].T) ^ _as_words(first, 0)[:, None]
    if behind := 8 * count - len(first):
        different[-1] &= np.uint64((1 << 64 - 8 * behind) - 1)
    which, varying = np.arange(len(table)), np.bitwise_or.reduce(different, axis=1)
    must_stay = ~_as_words(may_vary, 0xFF)
    if (varying & must_stay).any():
        which = np.flatnonzero(~(different & must_stay[:, None]).any(axis=0))
        different = different.take(which, axis=1)
        varying = np.bitwise_or.reduce(different, axis=1)
    crcs = np.full(len(which), crc32c()(first), np.uint32)
    bytes_of = different.view(np.uint8).reshape(count, len(which), 8)
    varies = varying.view(np.uint8)[: len(first)] != 0
    for place in np.flatnonzero(varies).tolist():
        crcs ^= contributions()[len(first) - 1 - place].take(bytes_of[place // 8, :, place % 8])
    return which, crcs, varies


def _as_words(data: bytes, behind: int) -> NDArray[np.uint64]:
    """Return bytes as words, the last one filled up with a byte."""
    return np.frombuffer(data.ljust(-(-len(data) // 8) * 8, bytes([behind])), "<u8")


def texts(buffer: Bytes, at: Int64s, size: int) -> Bytes:
    """Return `size` bytes at each position, uint8 (n, size)."""
    if not size:
        return np.empty((len(at), 0), np.uint8)
    return words(buffer, f"V{size}", at).view(np.uint8).reshape(len(at), size)
