"""Scalars of a file as columns that grow. Lives here: keeping them in as little memory as possible."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MAX_ROOM = 1 << 24
"""So many scalars at most get room in advance: memory that is not used costs nothing, but may be refused."""


class Columns(NamedTuple):
    """Scalars in their order, all (n,): the numbers of their tags, steps, times in seconds, values."""

    tags: NDArray[np.int32]
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, rows: NDArray[np.bool_] | slice) -> Columns:
        """Return some of the rows."""
        return Columns(self.tags[rows], self.steps[rows], self.wall_times[rows], self.values[rows])

    def copy(self) -> Columns:
        """Return the same in memory of its own."""
        return Columns(self.tags.copy(), self.steps.copy(), self.wall_times.copy(), self.values.copy())


def _empty(count: int) -> Columns:
    return Columns(np.empty(count, np.int32), np.empty(count, np.int64), np.empty(count), np.empty(count))


EMPTY = _empty(0)


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
        self._room, self._used = EMPTY, 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, columns: Columns, more: int = 0) -> None:
        """Add the scalars of a stretch; so many `more` are likely to follow at once."""
        count = len(columns.tags)
        if not count:
            return
        self._count += count
        if count > len(self._room.tags) - self._used:
            self._close()
            if not more:
                self._parts.append(columns)
                return
            self._room = _empty(count + min(more, _MAX_ROOM))
        free = self._room.at(slice(self._used, self._used + count))
        free.tags[:], free.steps[:] = columns.tags, columns.steps
        free.wall_times[:], free.values[:] = columns.wall_times, columns.values
        self._used += count

    def joined(self) -> Columns:
        """Return all of them."""
        self._close()
        self._parts = [joined(self._parts)]
        return self._parts[0]

    def _close(self) -> None:
        """Make a part of what is used of the room."""
        if self._used:
            self._parts.append(self._room.at(slice(self._used)))
        self._room, self._used = EMPTY, 0
