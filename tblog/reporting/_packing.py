"""Packs numbers as text, which the page unpacks on demand: bytes in planes, deflated, in base64.

`page/unpack.js` reads it. Lives here: bytes. Must not: know what the numbers mean.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST_DELTA = 2**31 - 1
_LARGEST_EXACT = 2**53
_PLAIN = 2**40


class Blocks:
    """The page's data: numbered blocks in base64."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, content: bytes) -> int:
        """Add bytes as they are; return the block's number."""
        self.texts.append(base64.b64encode(content).decode())
        return len(self.texts) - 1

    def add_deflated(self, content: bytes) -> int:
        """Add bytes deflated; return the block's number."""
        return self.add(zlib.compress(content, 9))

    def add_json(self, value: Any) -> int:
        """Add a value as deflated JSON; return the block's number."""
        return self.add_deflated(to_json(value).encode())


def to_json(value: Any) -> str:
    """Return JSON that a browser can parse. NaN and infinities must have been replaced before."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def base_of(values: Iterable[int]) -> int:
    """Return a round number from which the page counts large integers, so that it has each of them exactly.

    It is 0 where they are small, and where they are too far from each other.
    """
    known = list(values)
    low, high = min(known, default=0), max(known, default=0)
    unit: int = 10 ** len(str(high - low))
    base = low // unit * unit
    return base if max(-low, high) > _PLAIN and high - base <= _LARGEST_EXACT else 0


def based(base: int) -> dict[str, str]:
    """Return a base for the page's index, which has none where it is 0."""
    return {"base": str(base)} if base else {}


class Packed:
    """Columns of numbers, one after the other, with the format of each for the page."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def integers(self, values: NDArray[np.int64], base: int = 0) -> list[Any]:
        """Add integers, less `base`, by their differences; as float64 where those or their sums would not be exact."""
        if base:  # it may be beyond an int64, but the differences are not
            values = (values.view(np.uint64) - np.uint64(base % 2**64)).view(np.int64)
        wide = values.astype(np.float64)
        if (
            np.abs(wide).max(initial=0) > _LARGEST_EXACT
            or np.abs(np.diff(wide)).max(initial=0) > _LARGEST_DELTA
        ):
            self._add(values.astype("<f8"))
            return ["f8", 0]
        self._add(np.diff(values, prepend=values[:1]).astype("<i4"))
        return ["i4", int(values[0]) if len(values) else 0]

    def numbers(self, values: NDArray[np.float64]) -> list[Any]:
        """Add numbers exactly, in four bytes if these are enough; return ["f4", 0] or ["f8", 0]."""
        with np.errstate(over="ignore"):
            short = values.astype("<f4")
        if np.array_equal(short.astype(np.float64), values, equal_nan=True):
            self._add(short)
            return ["f4", 0]
        self._add(values.astype("<f8"))
        return ["f8", 0]

    def rounded(self, values: NDArray[np.float64]) -> list[Any]:
        """Add numbers rounded to float32; return ["f4", 0]."""
        with np.errstate(over="ignore"):
            self._add(values.astype("<f4"))
        return ["f4", 0]

    def bytes(self) -> bytes:
        """Return all columns."""
        return b"".join(self._parts)

    def _add(self, values: NDArray[Any]) -> None:
        # The first bytes of all numbers, then the second ones, so that similar bytes are neighbours.
        self._parts.append(
            np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.itemsize).T.tobytes()
        )
