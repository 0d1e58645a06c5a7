"""Scalars of runs as columns, and what people do with them first: choose, thin, smooth, hand over.

Lives here: the table in memory. Must not: read files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog.reading import _curves, _exports
from tblog.reading._selection import Names, Steps, matcher, step_range, within

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Series(NamedTuple):
    """One curve: the scalars of a tag of a run, in the order in which they were logged.

    `step` is int64, `wall_time` (seconds since 1970, UTC) and `value` are float64, all (n,).

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        >>> [(series.tag, series.step.tolist()) for series in tblog.read("runs").scalars.series()]
        [('loss', [0, 1, 2])]
    """

    run: str
    tag: str
    step: NDArray[np.int64]
    wall_time: NDArray[np.float64]
    value: NDArray[np.float64]


class Thinned(NamedTuple):
    """What `Scalars.thin` did: how many rows it kept, `of` how many.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     for step in range(100):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        >>> tblog.read("runs").scalars.thin(10).thinned
        Thinned(kept=10, of=100)
    """

    kept: int
    of: int


@dataclass(repr=False, eq=False)
class Scalars:
    """The scalars of one or more runs, one row for each: by runs, and within a run in the order of its files.

    Attributes:
        runs: the runs' names.
        tags: the tags' names.
        run_index: int, (n,), which of `runs` each row belongs to.
        tag_index: int, (n,), which of `tags` each row belongs to.
        step: int64, (n,).
        wall_time: float64, (n,), seconds since 1970 (UTC).
        value: float64, (n,); exactly what is in the file, which is float32 as a rule.
        thinned: how much `thin` left out, or None if all is there.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        >>> tblog.read("runs").scalars.last().step
        array([2])
    """

    runs: tuple[str, ...]
    tags: tuple[str, ...]
    run_index: NDArray[np.integer[Any]]
    tag_index: NDArray[np.integer[Any]]
    step: NDArray[np.int64]
    wall_time: NDArray[np.float64]
    value: NDArray[np.float64]
    thinned: Thinned | None = None

    def __len__(self) -> int:
        return len(self.step)

    def __repr__(self) -> str:
        thinned = f", thinned from {self.thinned.of:,}" if self.thinned else ""
        return f"<Scalars: {len(self):,} rows, {len(self.runs)} runs, {len(self.tags)} tags{thinned}>"

    def filter(self, run: Names = None, tag: Names = None, steps: Steps = None) -> Scalars:
        """Choose rows.

        Args:
            run: a run's name, a glob (`"lr*/seed?"`), a compiled regular expression (found anywhere in the name), or
                a list of these.
            tag: the same for tags.
            steps: (start, stop), in which either may be None, or a range; stop is not included.
        """
        chosen = _wanted(self.runs, run)[self.run_index] & _wanted(self.tags, tag)[self.tag_index]
        if (asked := step_range(steps)) is not None:
            chosen &= within(self.step, asked)
        return self._rows(np.flatnonzero(chosen))

    def last(self) -> Scalars:
        """Return the last row of each tag of each run."""
        return self._rows(np.sort(np.array([rows[-1] for rows in self._series_rows()], np.int64)))

    def thin(self, n: int) -> Scalars:
        """Keep about `n` rows of each curve that is longer: the first, the last, and extremes between them.

        A curve is cut into buckets of as many rows each, and the rows of a bucket's smallest and largest value are
        kept, so no spike is lost. `thinned` of the result says how many rows were there.

        Args:
            n: how many rows of a curve are kept at most, 4 or more.
        """
        if n < 4:
            raise ValueError(
                f"a curve is thinned to 4 rows or more, because its ends and extremes are kept: {n!r} was given"
            )
        kept = [rows[_curves.thin(self.value[rows], n)] for rows in self._series_rows()]
        rows = np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)
        whole = self.thinned.of if self.thinned else len(self)
        thinned = self.thinned if len(rows) == len(self) else Thinned(len(rows), whole)
        return replace(self._rows(rows), thinned=thinned)

    def smooth(self, weight: float = 0.6) -> Scalars:
        """Smooth each curve as TensorBoard draws it: an exponential mean whose start is debiased.

        A constant curve, and values that are not finite, stay what they are.

        Args:
            weight: 0 (not at all) to 1, TensorBoard's slider.
        """
        if not 0 <= weight <= 1:
            raise ValueError(
                f"the weight of smoothing lies from 0 to 1, as TensorBoard's slider: {weight!r} was given"
            )
        value = np.empty(len(self))
        for rows in self._series_rows():
            value[rows] = _curves.smooth(self.value[rows], weight)
        return replace(self, value=value)

    def series(self) -> Iterator[Series]:
        """Yield each curve, by runs and tags."""
        for rows in self._series_rows():
            run, tag = self.runs[self.run_index[rows[0]]], self.tags[self.tag_index[rows[0]]]
            yield Series(run, tag, self.step[rows], self.wall_time[rows], self.value[rows])

    def to_numpy(self) -> dict[str, NDArray[Any]]:
        """Return the five columns as arrays; run and tag are arrays of str objects."""
        return {
            "run": np.array([*self.runs, None], object)[self.run_index],
            "tag": np.array([*self.tags, None], object)[self.tag_index],
            "step": self.step,
            "wall_time": self.wall_time,
            "value": self.value,
        }

    def to_pandas(self, *, wide: bool = False) -> pd.DataFrame:
        """Return a data frame of the columns run, tag (both categorical), step, wall_time and value.

        Args:
            wide: one row for each run and step, which are the index, and one column for each tag; the last value
                counts where a step was logged more than once.

        Raises:
            ImportError: if pandas is not installed.
        """
        frame: pd.DataFrame = _exports.pandas_wide(self) if wide else _exports.pandas_long(self)
        return frame

    def to_polars(self, *, wide: bool = False) -> pl.DataFrame:
        """Return the same as `to_pandas`, as a frame of polars; run and step are columns where `wide`."""
        frame: pl.DataFrame = _exports.polars_wide(self) if wide else _exports.polars_long(self)
        return frame

    def to_arrow(self) -> pa.Table:
        """Return a table of Arrow of the five columns; run and tag are dictionaries."""
        table: pa.Table = _exports.arrow(self)
        return table

    def _rows(self, rows: NDArray[np.int64]) -> Scalars:
        """Return the scalars at these rows, with no other runs and tags."""
        if len(rows) == len(self):
            return self
        runs, run_index = _used(self.runs, self.run_index[rows])
        tags, tag_index = _used(self.tags, self.tag_index[rows])
        step, wall_time, value = self.step[rows], self.wall_time[rows], self.value[rows]
        return Scalars(runs, tags, run_index, tag_index, step, wall_time, value, self.thinned)

    def _series_rows(self) -> list[NDArray[np.int64]]:
        """Return the rows of each curve, in their order."""
        if not len(self):
            return []
        key = self.run_index.astype(np.int64) * len(self.tags) + self.tag_index
        order = np.argsort(key.astype(np.uint16) if int(key.max()) < 1 << 16 else key, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(key[order])) + 1)


def _wanted(names: tuple[str, ...], asked: Names) -> NDArray[np.bool_]:
    wants = matcher(asked)
    return np.array([wants(name) for name in names], bool)


def _used(names: tuple[str, ...], index: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[Any]]:
    is_used = np.bincount(index, minlength=len(names)) > 0
    if is_used.all():
        return names, index
    renumbered = (np.cumsum(is_used) - 1).astype(index.dtype)
    return tuple(name for name, used in zip(names, is_used, strict=True) if used), renumbered[index]
