"""CRC-32C of many records at once, where few bytes vary.

A CRC is linear over GF(2): a record's checksum is that of the record with zeros where bytes vary,
XORed with what each varying byte adds. That depends on the byte and on its distance from the record's
end alone, so it is looked up.
https://en.wikipedia.org/wiki/Mathematics_of_cyclic_redundancy_checks#Maths

Lives here: checksums in numpy columns. Must not: know what a record means.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tblog._wire.framing import crc32c, mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MIN_BYTES = 18
"""The length of the shortest record. The varying bytes at a record's start are among the first `MIN_BYTES`."""
MAX_BYTES = 1024
"""The length of the longest record."""


class Checksums:
    """The CRC-32C of records, to which the bytes that vary are added column by column.

    Args:
        lengths: int64, (n,), the length of each record in bytes, from `MIN_BYTES` to `MAX_BYTES`.
        start: the constant bytes that all records start with; zeros follow them.
    """

    def __init__(self, lengths: NDArray[np.int64], start: bytes) -> None:
        shortest = lengths - MIN_BYTES
        self.crcs: NDArray[np.uint32] = _crcs_by_length(start)[shortest]
        self._rows = shortest << 8
        self._index = np.empty_like(lengths)

    def add(self, offset: int, columns: Iterable[NDArray[np.uint8]]) -> None:
        """Add the bytes at `offset` from the start of each record, and those after it, one a column."""
        for column, crcs in zip(columns, _contributions_by_offset()[offset:], strict=False):
            np.add(self._rows, column, out=self._index)
            self.crcs ^= crcs[self._index]

    def add_last(self, columns: NDArray[np.uint8]) -> None:
        """Add the last bytes of each record, one a column."""
        table = contributions()
        for i, column in enumerate(columns):
            self.crcs ^= table[len(columns) - 1 - i][column.astype(np.int64)]

    def masked(self) -> NDArray[np.uint32]:
        """Return the checksums as the framing stores them."""
        return mask(self.crcs)


@cache
def contributions() -> NDArray[np.uint32]:
    """Return what a byte adds to the CRC-32C of a record: at [d, b], byte b followed by d bytes."""
    table = np.empty((MAX_BYTES, 256), np.uint32)
    table[0] = [crc32c()(bytes([byte])) ^ crc32c()(bytes(1)) for byte in range(256)]
    for distance in range(1, MAX_BYTES):
        nearer = table[distance - 1]
        table[distance] = nearer >> 8 ^ table[0][nearer & 0xFF]
    return table


@cache
def _contributions_by_offset() -> list[NDArray[np.uint32]]:
    """Return the contributions by offset from the start, then at [(length - MIN_BYTES) * 256 + b]."""
    table = contributions()
    return [table[MIN_BYTES - 1 - offset :].reshape(-1) for offset in range(MIN_BYTES)]


@lru_cache(maxsize=16)
def _crcs_by_length(start: bytes) -> NDArray[np.uint32]:
    """Return the CRC-32C of `start` and zeros, MIN_BYTES to MAX_BYTES in all."""
    lengths = range(MIN_BYTES, MAX_BYTES + 1)
    return np.array([crc32c()(start.ljust(length, b"\0")) for length in lengths], np.uint32)
