"""Tags of a run and their numbers.

Lives here: one number for each tag, looked up for a million texts at once. Must not: know files.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tblog._wire.parsing import text

_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
_BUCKETS = 16


class Tags:
    """The tags of a run, numbered in the order in which they appear.

    Args:
        wanted: returns whether to keep a tag's values.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self.names: list[str] = []
        self._wants = wanted
        self._wanted: list[bool] = []
        self._ids: dict[str, int] = {}
        self._of_bytes: dict[bytes, int] = {}

    def number(self, tag: str) -> int:
        """Return the number of a tag."""
        found = self._ids.get(tag)
        if found is None:
            found = self._ids[tag] = len(self.names)
            self.names.append(tag)
            self._wanted.append(self._wants(tag))
        return found

    def is_wanted(self, tag: str) -> bool:
        """Return whether a tag's values are kept."""
        return self._wanted[self.number(tag)]

    def wanted(self) -> NDArray[np.bool_]:
        """Return for each number whether its tag's values are kept."""
        return np.array(self._wanted, bool)

    def numbers(self, texts: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the number of each tag, given as bytes, (n, length) with n > 0."""
        first = texts[0]
        if not texts.shape[1] or (texts == first).all():
            return np.full(len(texts), self._number_of(first.tobytes()), np.int32)
        found = np.empty(len(texts), np.int32)
        rows = np.arange(len(texts))
        for multiplier in _MULTIPLIERS:
            rows = self._number_some(texts, rows, multiplier, found)
            if not len(rows):
                return found
        for row in rows:
            found[row] = self._number_of(texts[row].tobytes())
        return found

    def _number_some(
        self, texts: NDArray[np.uint8], rows: NDArray[np.int64], multiplier: int, found: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        """Number the tags that are the first of their bucket; return the rows of the others."""
        everyone = len(rows) == len(texts)
        columns = _words(texts if everyone else texts[rows])
        mixed = np.zeros(len(rows), np.uint64)
        for column in columns:
            mixed = (mixed ^ column) * np.uint64(multiplier)
            mixed ^= mixed >> np.uint64(29)
        bucket = (mixed * np.uint64(multiplier)) >> np.uint64(64 - _BUCKETS)
        first = np.full(1 << _BUCKETS, -1, np.int64)
        first[bucket[::-1]] = np.arange(len(rows) - 1, -1, -1)
        number = np.full(1 << _BUCKETS, -1, np.int32)
        for row in np.sort(first[first >= 0]):
            number[bucket[row]] = self._number_of(texts[rows[row]].tobytes())
        representative = first[bucket]
        same = np.ones(len(rows), bool)
        for column in columns:
            same &= column == column[representative]
        numbered = number[bucket]
        if same.all():
            found[rows] = numbered
            return rows[:0]
        found[rows[same]] = numbered[same]
        return rows[~same]

    def _number_of(self, raw: bytes) -> int:
        found = self._of_bytes.get(raw)
        if found is None:
            found = self._of_bytes[raw] = self.number(text(raw))
        return found


def _words(texts: NDArray[np.uint8]) -> list[NDArray[np.uint64]]:
    """Return texts as columns of eight bytes each, the last one padded with zeros."""
    count, length = texts.shape
    padded = np.zeros((count, -(-length // 8) * 8), np.uint8)
    padded[:, :length] = texts
    return list(padded.view(np.uint64).T)
