"""Scalars of a file as columns that grow. Lives here: keeping them in as little memory as possible."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Columns(NamedTuple):
    """Scalars in their order, all (n,): the numbers of their tags, steps, times in seconds, values."""

    tags: NDArray[np.int32]
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, rows: NDArray[np.bool_]) -> Columns:
        """Return some of the rows."""
        return Columns(self.tags[rows], self.steps[rows], self.wall_times[rows], self.values[rows])


EMPTY = Columns(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0))


def joined(parts: list[Columns]) -> Columns:
    """Concatenate columns, and empty the list on the way, so that little is in memory twice."""
    if len(parts) <= 1:
        return parts[0] if parts else EMPTY
    tags, steps, wall_times, values = ([*column] for column in zip(*parts, strict=True))
    parts.clear()
    all_tags = np.concatenate(tags)
    tags.clear()
    all_steps = np.concatenate(steps)
    steps.clear()
    all_times = np.concatenate(wall_times)
    wall_times.clear()
    return Columns(all_tags, all_steps, all_times, np.concatenate(values))


class ScalarParts:
    """Columns that grow at their end, and are joined on demand."""

    def __init__(self) -> None:
        self._parts: list[Columns] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, columns: Columns) -> None:
        """Add the scalars of a stretch."""
        if len(columns.tags):
            self._parts.append(columns)
            self._count += len(columns.tags)

    def joined(self) -> Columns:
        """Return all of them."""
        self._parts = [joined(self._parts)]
        return self._parts[0]
