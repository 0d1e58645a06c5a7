"""Scalars -> one block for each tag, with the curves of all runs.

The reader thins a long curve and keeps the extremes. The block also has the mean of each stretch, because smoothing
extremes alone would draw the middle between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tblog.reading import Scalars, Series
from tblog.reading._curves import thin
from tblog.reporting._packing import Blocks, Packed, base_of, based

MOST_POINTS = 2000
"""Of one curve."""
FEWEST_POINTS = 200
POINTS_OF_A_TAG = 24_000
"""For all runs with the tag together, because one chart draws them."""


def scalars(table: Scalars, blocks: Blocks, runs: list[str]) -> list[dict[str, Any]]:
    """Pack the curves; return the name of each tag, its block, and a description of each curve in it."""
    numbers = {name: number for number, name in enumerate(runs)}
    curves: dict[str, list[Series]] = {}
    for curve in table.series():
        curves.setdefault(curve.tag, []).append(curve)
    tags = []
    for tag, of_tag in sorted(curves.items()):
        packed = Packed()
        points = max(FEWEST_POINTS, min(MOST_POINTS, POINTS_OF_A_TAG // len(of_tag)))
        base = base_of(int(step) for curve in of_tag for step in (curve.step.min(), curve.step.max()))
        described = [_curve(packed, curve, base, points, numbers[curve.run]) for curve in of_tag]
        block = blocks.add_deflated(packed.bytes())
        tags.append({"tag": tag, **based(base), "block": block, "curves": described})
    return tags


def _curve(packed: Packed, curve: Series, base: int, points: int, run: int) -> dict[str, Any]:
    """Add one curve's columns; return its run, how many points it keeps of how many, and its columns."""
    rows = thin(curve.value, points)
    milliseconds = np.round(curve.wall_time[rows] * 1000)
    clear = np.where(np.isfinite(milliseconds) & (np.abs(milliseconds) < 2**53), milliseconds, 0)
    columns = [
        packed.integers(curve.step[rows], base),
        packed.integers(clear.astype(np.int64)),
        packed.numbers(curve.value[rows]),
    ]
    if len(rows) < len(curve.step):
        columns.append(packed.rounded(_means(curve.value, len(rows))))
    return {"run": run, "points": len(rows), "of": len(curve.step), "columns": columns}


def _means(values: NDArray[np.float64], kept: int) -> NDArray[np.float64]:
    """Return the mean of each stretch of the whole curve at every second kept point, and NaN at the others."""
    means = np.full(kept, np.nan)
    starts = np.arange(0, kept, 2)
    edges = np.linspace(0, len(values), len(starts) + 1).astype(np.int64)
    is_number = np.isfinite(values)
    sums = np.add.reduceat(np.where(is_number, values, 0.0), edges[:-1])
    counts = np.add.reduceat(is_number.astype(np.int64), edges[:-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        means[starts] = sums / counts
    return means
