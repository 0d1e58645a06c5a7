"""Tags of a run and their numbers.

Lives here: one number for each tag, looked up for a million texts at once. Must not: know files.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tblog._wire.parsing import text

_MULTIPLIER = 0x9E3779B97F4A7C15
_BUCKETS = 1 << 16
_MAX_BYTES = 256
"""Longer tags are looked up one by one."""

_FIRST = 64
"""So many new tags are looked up one by one before the others are compared with them."""


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
        self._known: _Known | None = None

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
        count, length = texts.shape
        if count == 1 or not 0 < length <= _MAX_BYTES:
            return np.array([self._number_of(one.tobytes()) for one in texts], np.int32)
        known = self._known = self._known or _Known()
        words = _words(texts)
        buckets = _buckets(words)
        found = known.numbers(words, buckets, length)
        rows = np.flatnonzero(found < 0)
        few = _FIRST
        while len(rows):
            for row in rows[:few].tolist():
                raw = texts[row].tobytes()
                found[row] = self._number_of(raw)
                known.add(raw, int(buckets[row]), int(found[row]))
            rows = rows[few:]
            found[rows] = known.numbers(words[:, rows], buckets[rows], length)
            rows, few = rows[found[rows] < 0], 4 * few
        return found

    def _number_of(self, raw: bytes) -> int:
        found = self._of_bytes.get(raw)
        if found is None:
            found = self._of_bytes[raw] = self.number(text(raw))
        return found


class _Known:
    """Texts and their numbers, one text for each bucket. The place 0 is that of no text."""

    def __init__(self) -> None:
        self._place = np.zeros(_BUCKETS, np.int32)
        self._count = 1
        self._numbers, self._lengths = np.full(64, -1, np.int32), np.zeros(64, np.int32)
        self._words = np.zeros((_MAX_BYTES // 8, 64), np.uint64)

    def add(self, raw: bytes, bucket: int, number: int) -> None:
        """Keep a text, if it is the first of its bucket."""
        if self._place[bucket]:
            return
        if self._count == len(self._numbers):
            self._numbers = np.concatenate([self._numbers, np.full(self._count, -1, np.int32)])
            self._lengths = np.concatenate([self._lengths, np.zeros(self._count, np.int32)])
            self._words = np.concatenate([self._words, np.zeros_like(self._words)], axis=1)
        place = self._place[bucket] = self._count
        self._count += 1
        self._numbers[place], self._lengths[place] = number, len(raw)
        self._words[:, place] = np.frombuffer(raw.ljust(_MAX_BYTES, b"\0"), "<u8")

    def numbers(
        self, words: NDArray[np.uint64], buckets: NDArray[np.uint64], length: int
    ) -> NDArray[np.int32]:
        """Return the numbers of texts, -1 for those that are not kept."""
        places = self._place[buckets]
        is_same = self._lengths[places] == length
        for known, word in zip(self._words, words, strict=False):
            is_same &= known[places] == word
        return np.where(is_same, self._numbers[places], np.int32(-1))


def _buckets(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = np.zeros(words.shape[1], np.uint64)
    for word in words:
        mixed ^= word
        mixed *= np.uint64(_MULTIPLIER)
        mixed ^= mixed >> np.uint64(29)
    return (mixed * np.uint64(_MULTIPLIER)) >> np.uint64(64 - _BUCKETS.bit_length() + 1)


def _words(texts: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return texts as rows of their words of eight bytes, uint64 (words, n), the last one padded with zeros."""
    count, length = texts.shape
    padded = np.zeros((count, -(-length // 8) * 8), np.uint8)
    padded[:, :length] = texts
    return np.ascontiguousarray(padded.view("<u8").T)
