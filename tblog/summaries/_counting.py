"""Counts and moments of an array's finite values, in pieces that release the interpreter lock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog.summaries._bins import BinCounter, compiled_type, count_compiled, tensorflow_edges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Values per piece: large enough that numpy's calls cost little, and small enough that three
# buffers of 8 bytes each stay in a processor's second-level cache.
_PIECE = 32_768
_PATTERNS = 1 << 16


@dataclass(slots=True)
class Moments:
    """The moments of a histogram's finite values, in float64."""

    num: int = 0
    min: float = math.inf
    max: float = -math.inf
    sum: float = 0.0
    sum_squares: float = 0.0

    def add(self, values: NDArray[np.float64], total: float) -> None:
        """Add one or more finite values, and their sum."""
        self.num += values.size
        self.min = min(self.min, float(values.min()))
        self.max = max(self.max, float(values.max()))
        self.sum += total
        self.sum_squares += float(np.einsum("i,i", values, values))


def count(values: NDArray[Any], bins: Any) -> tuple[NDArray[np.int64], NDArray[np.float64], Moments]:
    """Return the counts, the edges (one more) and the moments of the finite values.

    Args:
        values: real numbers of any dtype, shape (n,).
        bins: "tensorflow", or any bins that `numpy.histogram` accepts.
    """
    moments = Moments()
    with np.errstate(over="ignore", invalid="ignore"):
        if not (isinstance(bins, str) and bins == "tensorflow"):
            finite = [piece.copy() for piece in _finite_pieces(values, moments)]
            return *_count_by_numpy(np.concatenate(finite) if finite else np.empty(0), bins), moments
        kind = compiled_type(values)
        if kind is not None:
            counts, found = count_compiled(values, kind)
            return counts, tensorflow_edges(), Moments(*found)
        if values.dtype.itemsize <= 2 and values.size > _PATTERNS:
            return _count_patterns(values, moments), tensorflow_edges(), moments
        counter = BinCounter(min(values.size, _PIECE))
        for piece in _finite_pieces(values, moments):
            if (
                piece[0] == piece[-1] and (piece == piece[0]).all()
            ):  # such as zeros: `bincount` is slow for them
                counter.add(piece[:1], piece.size)
            else:
                counter.add(piece)
        return counter.counts(), tensorflow_edges(), moments


def _count_by_numpy(values: NDArray[np.float64], bins: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count finite values, in a single bin if float64 does not have enough edges."""
    try:
        counts, edges = np.histogram(values, bins)
    except ValueError:  # the values are too close together, or their difference overflows
        return np.array([values.size]), np.array([values.min(), values.max()])
    return counts, edges.astype(np.float64)


def _finite_pieces(values: NDArray[Any], moments: Moments) -> Iterator[NDArray[np.float64]]:
    """Yield the finite values as float64, in pieces. The next piece overwrites the buffer."""
    buffer = np.empty(min(values.size, _PIECE))
    for start in range(0, values.size, _PIECE):
        part = values[start : start + _PIECE]
        piece = buffer[: part.size]
        piece[...] = part
        total = float(piece.sum())
        if not math.isfinite(total):
            piece = piece[np.isfinite(piece)]
            total = float(piece.sum())
        if piece.size:
            moments.add(piece, total)
            yield piece


def _count_patterns(values: NDArray[Any], moments: Moments) -> NDArray[np.int64]:
    """Count values of 8 or 16 bits: first each bit pattern, then the few distinct values."""
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    patterns = np.zeros(_PATTERNS, np.int64)
    for start in range(0, values.size, _PATTERNS):
        patterns += np.bincount(values[start : start + _PATTERNS].view(unsigned), minlength=_PATTERNS)
    present = np.flatnonzero(patterns)
    distinct, repeats = present.astype(unsigned).view(values.dtype).astype(np.float64), patterns[present]
    finite = np.isfinite(distinct)
    distinct, repeats = distinct[finite], repeats[finite]
    if distinct.size:
        moments.num, moments.min, moments.max = int(repeats.sum()), distinct.min(), distinct.max()
        moments.sum = float((distinct * repeats).sum())
        moments.sum_squares = float((distinct * distinct * repeats).sum())
    counts: NDArray[np.int64] = np.histogram(distinct, tensorflow_edges(), weights=repeats)[0]
    return counts
