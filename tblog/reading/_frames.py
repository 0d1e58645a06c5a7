"""Where the records of a stretch of an event file start and end, for a million of them in some hundredths of a second.

The length of each record says where the next one starts, so finding them is a loop. A training loop repeats the same
lengths again and again. Where they repeat, the next positions are predicted, and numpy checks all of them at once.

Lives here: lengths and their checksums. Must not: look into a record, know what follows damage.
Pure functions over bytes in memory, with `PADDING` bytes behind their end.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES, header

AROUND = HEADER_BYTES + FOOTER_BYTES
PADDING = 16

_PROBE = 256
_MAX_PERIOD = 128

Int64s = NDArray[np.int64]
Bytes = NDArray[np.uint8]


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
    parts, at, probe = [], 0, _PROBE
    while at < size:
        lengths, at = _walked(buffer, at, size, probe)
        parts.append(lengths)
        if len(lengths) < probe:
            break
        foretold, at = _foretold(buffer, at, size, lengths.tolist())
        parts.append(foretold)
        probe = _PROBE if len(foretold) else min(probe * 4, 1 << 16)
    lengths = np.concatenate(parts) if parts else np.empty(0, np.int64)
    starts = np.cumsum(lengths + AROUND) - (lengths + AROUND)
    good = _whole_lengths(buffer, starts, lengths)
    if good < len(lengths):
        return Frames(starts[:good], lengths[:good], int(starts[good]), is_torn=False)
    return Frames(starts, lengths, at, is_torn=size - at < HEADER_BYTES or _is_length(buffer, at))


def words(buffer: Bytes, dtype: str, offsets: Int64s) -> NDArray[np.uint64]:
    """Return the little-endian numbers that start at these offsets, at any byte."""
    size = np.dtype(dtype).itemsize
    everywhere = np.ndarray((len(buffer) - size + 1,), dtype, buffer.data, strides=(1,))
    taken: NDArray[np.uint64] = everywhere[offsets]  # take() would copy the whole buffer first
    return taken


def _walked(buffer: Bytes, at: int, size: int, count: int) -> tuple[Int64s, int]:
    unpack, data = struct.Struct("<Q").unpack_from, buffer.data
    lengths, last = [], size - AROUND
    for _ in range(count):
        if at > last:
            break
        (length,) = unpack(data, at)
        if length > last - at:
            break
        lengths.append(length)
        at += length + AROUND
    return np.array(lengths, np.int64), at


def _foretold(buffer: Bytes, at: int, size: int, seen: list[int]) -> tuple[Int64s, int]:
    """Return the lengths that repeat the last ones seen, as far as they do, and where they end."""
    seen = seen[-2 * _MAX_PERIOD :]
    period = next((k for k in range(1, _MAX_PERIOD + 1) if seen[k:] == seen[:-k]), None)
    if period is None:
        return np.empty(0, np.int64), at
    pattern = np.array(seen[-period:], np.int64)
    lengths = np.tile(pattern, (size - at) // int((pattern + AROUND).sum()))
    starts = at + np.cumsum(lengths + AROUND) - (lengths + AROUND)
    different = words(buffer, "<u8", starts) != lengths.view(np.uint64)
    count = int(different.argmax()) if different.any() else len(lengths)
    return lengths[:count], at + int((lengths[:count] + AROUND).sum())


def _whole_lengths(buffer: Bytes, starts: Int64s, lengths: Int64s) -> int:
    """Return how many lengths, counted from the first, match their checksum."""
    distinct, index = _distinct(lengths)
    wanted = np.array([int.from_bytes(header(int(length))[8:], "little") for length in distinct], np.uint32)
    wrong = words(buffer, "<u4", starts + 8) != wanted[index]
    return int(wrong.argmax()) if wrong.any() else len(lengths)


def _distinct(lengths: Int64s) -> tuple[Int64s, Int64s]:
    if len(lengths) and lengths.max() < 1 << 16:
        is_there = np.bincount(lengths) > 0
        return np.flatnonzero(is_there), (np.cumsum(is_there) - 1)[lengths]
    return np.unique(lengths, return_inverse=True)


def _is_length(buffer: Bytes, at: int) -> bool:
    head = buffer[at : at + HEADER_BYTES].tobytes()
    return head == header(int.from_bytes(head[:8], "little"))
