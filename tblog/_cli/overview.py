"""A short overview of a run: the number of values, the steps and the last value of each tag.

Lives here: counting. Must not: print.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tblog.reading import Run, Series


class TagRow(NamedTuple):
    """One tag of a run; `last` is its last value, None if it is not a scalar."""

    kind: str
    tag: str
    values: int
    first_step: int
    last_step: int
    last: float | None


class RunRow(NamedTuple):
    """One run; `changed` is the last change of its files, in seconds since the epoch; `damage` counts damaged stretches.

    In a store, `nbytes` and `changed` are not known, and 0.
    """

    run: str
    tags: list[TagRow]
    files: int
    nbytes: int
    records: int
    changed: float
    damage: int

    @property
    def last_step(self) -> int:
        """The largest step of any tag, -1 without one."""
        return max((row.last_step for row in self.tags), default=-1)


def overview(run: Run) -> RunRow:
    """Read a run and count what it holds."""
    stats = [os.stat(path) for path in run.files if os.path.exists(path)]  # unknown for a URL
    return RunRow(
        run.name,
        [*map(_of_series, run.scalars.series()), *_others(run)],
        len(run.files),
        sum(stat.st_size for stat in stats),
        run.records,
        max((stat.st_mtime for stat in stats), default=0.0),
        len(run.damage),
    )


def _of_series(series: Series) -> TagRow:
    steps = series.step
    last = float(series.value[-1])
    return TagRow("scalars", series.tag, len(steps), int(np.min(steps)), int(np.max(steps)), last)


def _others(run: Run) -> list[TagRow]:
    found: dict[tuple[str, str], TagRow] = {}
    for _, entry in run.log.entries():
        key, step = (entry.kind, entry.tag), entry.step
        row = found.get(key) or TagRow(*key, 0, step, step, None)
        found[key] = row._replace(
            values=row.values + 1, first_step=min(row.first_step, step), last_step=max(row.last_step, step)
        )
    return [found[key] for key in sorted(found)]
