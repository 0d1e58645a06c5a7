"""Where the records of a stretch of an event file start and end, for a million of them in some hundredths of a second.

The length of each record says where the next one starts, so finding them is a loop. numpy goes the other way round: it
looks everywhere for lengths with their checksum, and follows them as long as each record ends where the next one starts.

Lives here: lengths and their checksums. Must not: look into a record, know what follows damage.
Pure functions over bytes in memory, with `PADDING` bytes behind their end.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._files.walk import masked_crcs
from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES, header

AROUND = HEADER_BYTES + FOOTER_BYTES
PADDING = 16

_PROBE = 64
"""So many records are found in a loop before numpy looks for the next ones, if many are left."""

_LONG = 1 << 16
"""Records of so many bytes are found in a loop."""

Int64s = NDArray[np.int64]
Bytes = NDArray[np.uint8]


_NONE = np.empty(0, np.int64)


class Frames(NamedTuple):
    """The complete records of a stretch: where each starts, and how many bytes of data it has.

    `end` is behind the last one. `is_torn` says that the beginning of one more record follows, or nothing. It is False
    if a length with a wrong checksum follows.
    """

    starts: Int64s
    lengths: Int64s
    end: int
    is_torn: bool


def frames(buffer: Bytes, size: int) -> Frames:
    """Find the records in the first `size` bytes, and verify the checksums of their lengths, not of their data."""
    parts = [(_NONE, _NONE)]
    at, is_good, chains, count = 0, True, None, _PROBE
    while at < size and is_good:
        begin = at
        starts, lengths, at, is_good = _walked(buffer, at, size, count)
        parts.append((starts, lengths))
        if len(starts) < count:
            break
        is_far = size - at > 8 * (at - begin) * _PROBE // count
        if is_good and (chains is not None or is_far):
            chains = chains or _Chains(buffer, at, size)
            starts, lengths, at = chains.follow(at)
            parts.append((starts, lengths))
        else:
            count = 16 * _PROBE
    starts, lengths = (np.concatenate(several) for several in zip(*parts, strict=True))
    is_torn = is_good and (size - at < HEADER_BYTES or _is_length(buffer, at))
    return Frames(starts, lengths, at, is_torn)


def words(buffer: Bytes, dtype: str, offsets: Int64s) -> NDArray[np.uint64]:
    """Return the little-endian numbers that start at these offsets, at any byte."""
    size = np.dtype(dtype).itemsize
    everywhere = np.ndarray((len(buffer) - size + 1,), dtype, buffer.data, strides=(1,))
    taken: NDArray[np.uint64] = everywhere[offsets]  # take() would copy the whole buffer first
    return taken


def column(table: Bytes, dtype: str, offset: int) -> NDArray[Any]:
    """Return the little-endian numbers at an offset of each row of a table, uint8 (n, bytes of a row)."""
    count, width = table.shape
    return np.ndarray((count,), dtype, table.data, offset, (width,)).copy()


def _walked(buffer: Bytes, at: int, size: int, count: int) -> tuple[Int64s, Int64s, int, bool]:
    """Return starts and lengths of the next records, `count` at most, their end, and whether no next one has a wrong length."""
    unpack, data = struct.Struct("<Q").unpack_from, buffer.data
    found: list[int] = []
    last, next_at = size - AROUND, at
    while next_at <= last and len(found) < count:
        (length,) = unpack(data, next_at)
        if length > last - next_at:
            break
        found.append(length)
        next_at += length + AROUND
    lengths = np.array(found, np.int64)
    starts = at + np.cumsum(lengths + AROUND) - (lengths + AROUND)
    good = _right_lengths(buffer, starts, lengths)
    if good < len(starts):
        return starts[:good], lengths[:good], int(starts[good]), False
    return starts, lengths, next_at, True


def _right_lengths(buffer: Bytes, starts: Int64s, lengths: Int64s) -> int:
    """Return how many lengths, counted from the first, match their checksum."""
    wanted = _crcs_of_lengths().take(np.minimum(lengths, _LONG - 1))
    for row in np.flatnonzero(lengths >= _LONG).tolist():
        wanted[row] = int.from_bytes(header(int(lengths[row]))[8:], "little")
    wrong = words(buffer, "<u4", starts + 8) != wanted
    return int(wrong.argmax()) if wrong.any() else len(lengths)


class _Chains:
    """Everything in a buffer that looks like a record of less than 65,536 bytes.

    A record begins with its length, whose checksum is right. That other bytes have the same form is rare. A chain is
    records each of which ends where the next one starts.
    """

    def __init__(self, buffer: Bytes, at: int, size: int) -> None:
        starts = _with_six_zeros(buffer, at, size - at - AROUND + 1)
        heads = words(buffer, f"V{HEADER_BYTES}", starts).view(np.uint8).reshape(-1, HEADER_BYTES)
        lengths, crcs = column(heads, "<u2", 0), column(heads, "<u4", 8)
        is_right = crcs == _crcs_of_lengths().take(lengths)
        if not is_right.all():
            starts, lengths = starts[is_right], lengths[is_right]
        self._starts, self._lengths = starts, lengths.astype(np.int64)
        self._ends = starts + (self._lengths + AROUND)
        is_last = np.ones(len(starts), bool)
        np.not_equal(self._ends[:-1], starts[1:], out=is_last[:-1])
        self._last = np.flatnonzero(is_last | (self._ends > size))
        self._size = size

    def follow(self, at: int) -> tuple[Int64s, Int64s, int]:
        """Return starts and lengths of the records of the chain that starts at a byte, and where it ends."""
        first = int(np.searchsorted(self._starts, at))
        if first == len(self._starts) or self._starts[first] != at:
            return _NONE, _NONE, at
        last = int(self._last[np.searchsorted(self._last, first)])
        stop = last if self._ends[last] > self._size else last + 1
        end = at if stop == first else int(self._ends[stop - 1])
        return self._starts[first:stop], self._lengths[first:stop], end


def _with_six_zeros(buffer: Bytes, at: int, count: int) -> Int64s:
    """Return those of `count` positions whose bytes 2 to 7 are zero, as those of a length below 65,536 are.

    The byte before a length below 256 would be such a position as well, and is left out. So are the few lengths from 256
    on whose checksum begins with a zero: they look the same. A loop finds these.
    """
    two = buffer[at + 1 : at + 6 + count] | buffer[at + 2 : at + 7 + count]
    four = two[:-2] | two[2:]
    last = four[3 : 3 + count]
    found = (four[1 : 1 + count] | last) == 0
    is_short = (four[:count] | last) == 0
    found[:-1] &= is_short[1:] <= is_short[:-1]
    return np.flatnonzero(found) + at


@cache
def _crcs_of_lengths() -> NDArray[np.uint32]:
    """Return the masked checksums of the lengths below 65,536."""
    lengths = np.arange(_LONG, dtype="<u4").view(np.uint8).reshape(-1, 4)
    return masked_crcs(list(lengths.T))


def _is_length(buffer: Bytes, at: int) -> bool:
    head = buffer[at : at + HEADER_BYTES].tobytes()
    return head == header(int.from_bytes(head[:8], "little"))
