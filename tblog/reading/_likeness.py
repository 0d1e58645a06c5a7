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
from tblog._wire.framing import crc32c, mask
from tblog.reading._frames import Bytes, Int64s, words


class Alike(NamedTuple):
    """Those of `n` events that differ from the first where they may, and nowhere else.

    `which` are their numbers among the events, `is_whole` says of each whether its checksum is right, and `varies` of
    each byte, bool (length,), whether it is another one in any of them.
    """

    which: Int64s
    is_whole: NDArray[np.bool_]
    varies: NDArray[np.bool_]


def alike(buffer: Bytes, at: Int64s, first: bytes, may_vary: bytes) -> Alike:
    """Compare the events at `at` with the first; `may_vary` has a bit for each bit that may be another one."""
    found = _long if len(first) > MAX_BYTES else _short
    which, crcs, varies = found(buffer, at, first, may_vary)
    return Alike(which, mask(crcs) == words(buffer, "<u4", at[which] + len(first)), varies)


_Found = tuple[Int64s, NDArray[np.uint32], NDArray[np.bool_]]


def _long(buffer: Bytes, at: Int64s, first: bytes, may_vary: bytes) -> _Found:
    table = texts(buffer, at, len(first))
    different = table ^ np.frombuffer(first, np.uint8)
    which = np.flatnonzero(~(different & ~np.frombuffer(may_vary, np.uint8)).any(axis=1))
    crcs = np.array([crc32c()(table[row]) for row in which], np.uint32)
    return which, crcs, np.bitwise_or.reduce(different[which], axis=0) != 0


def _short(buffer: Bytes, at: Int64s, first: bytes, may_vary: bytes) -> _Found:
    different = _differences(buffer, at, first)
    strange = np.zeros(len(at), bool)
    for place, column in enumerate(different):
        must_stay = ~np.uint64(int.from_bytes(may_vary[8 * place : 8 * place + 8], "little"))
        if np.bitwise_or.reduce(column) & must_stay:
            strange |= (column & must_stay) != 0
    which = np.flatnonzero(~strange)
    crcs = np.full(len(which), crc32c()(first), np.uint32)
    varying = np.zeros(len(different), np.uint64)
    for place, column in enumerate(different):
        chosen = column if len(which) == len(column) else column[which]
        varying[place] = np.bitwise_or.reduce(chosen)
        bytes_of = chosen.view(np.uint8).reshape(-1, 8)
        for i in np.flatnonzero(varying[place : place + 1].view(np.uint8)):
            crcs ^= contributions()[len(first) - 1 - 8 * place - i].take(bytes_of[:, i])
    return which, crcs, varying.view(np.uint8)[: len(first)] != 0


def _differences(buffer: Bytes, at: Int64s, first: bytes) -> list[NDArray[np.uint64]]:
    """Return the bytes of all events, eight to a column, XORed with those of the first; none behind their end differ."""
    found = []
    for place in range(0, len(first), 8):
        part = first[place : place + 8]
        column = words(buffer, "<u8", at + place) ^ np.uint64(int.from_bytes(part, "little"))
        if len(part) < 8:
            column &= np.uint64((1 << 8 * len(part)) - 1)
        found.append(column)
    return found


def texts(buffer: Bytes, at: Int64s, size: int) -> Bytes:
    """Return `size` bytes at each position, uint8 (n, size)."""
    if not size:
        return np.empty((len(at), 0), np.uint8)
    return words(buffer, f"V{size}", at).view(np.uint8).reshape(len(at), size)
