"""Scalars of runs as columns, and the first things to do with them: choose, thin, smooth, export.

Lives here: the table in memory. Must not: read files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._require import require
from tblog.reading import _curves, _exports
from tblog.reading._selection import Names, Steps, matcher, step_range, within

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Series(NamedTuple):
    """One curve: the scalars of one tag of one run, in the order of logging.

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
    """The scalars of one or more runs, one row for each value: by runs, and within a run in the order of its files.

    Attributes:
        runs: the runs' names.
        tags: the tags' names.
        run_index: int, (n,), the index in `runs` for each row.
        tag_index: int, (n,), the index in `tags` for each row.
        step: int64, (n,).
        wall_time: float64, (n,), seconds since 1970 (UTC).
        value: float64, (n,), exactly as in the file, which usually has float32.
        thinned: how much `thin` left out, or None if nothing.

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
            steps: (start, stop), where either may be None, or a range. `stop` is not included.
        """
        chosen = _wanted(self.runs, run)[self.run_index] & _wanted(self.tags, tag)[self.tag_index]
        if (asked := step_range(steps)) is not None:
            chosen &= within(self.step, asked)
        return self._rows(np.flatnonzero(chosen))

    def last(self) -> Scalars:
        """Return the last row of each tag of each run."""
        return self._rows(np.sort(np.array([rows[-1] for rows in self._series_rows()], np.int64)))

    def thin(self, n: int) -> Scalars:
        """Keep at most `n` rows of each curve: the first, the last, and the extremes between them.

        The curve is cut into buckets of equal length. The rows with the smallest and the largest value of each bucket
        stay, so no spike is lost. `thinned` of the result says how many rows there were.

        Args:
            n: the most rows to keep of a curve, 4 or more.

        Raises:
            InvalidValueError: `n` is less than 4.
        """
        require(n >= 4, "thin: n", n, "4 or more: a curve keeps its ends and extremes")
        kept = [rows[_curves.thin(self.value[rows], n)] for rows in self._series_rows()]
        rows = np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)
        whole = self.thinned.of if self.thinned else len(self)
        thinned = self.thinned if len(rows) == len(self) else Thinned(len(rows), whole)
        return replace(self._rows(rows), thinned=thinned)

    def smooth(self, weight: float = 0.6) -> Scalars:
        """Smooth each curve as TensorBoard draws it: an exponential mean, debiased at its start.

        A constant curve does not change, and neither do values that are not finite.

        Args:
            weight: 0 (no smoothing) to 1, as on TensorBoard's slider.

        Raises:
            InvalidValueError: `weight` is out of this range.
        """
        require(0 <= weight <= 1, "smooth: weight", weight, "0 to 1, as on TensorBoard's slider")
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
            wide: one row for each run and step, which are the index, and one column for each tag. If a step was
                logged more than once, the last value counts.

        Raises:
            ImportError: pandas is not installed.
        """
        frame: pd.DataFrame = _exports.pandas_wide(self) if wide else _exports.pandas_long(self)
        return frame

    def to_polars(self, *, wide: bool = False) -> pl.DataFrame:
        """Return the same as `to_pandas`, as a polars frame.

        Args:
            wide: as for `to_pandas`, but run and step are columns.

        Raises:
            ImportError: polars is not installed.
            ValueError: a tag is called "run" or "step", and the table is to be wide.
        """
        frame: pl.DataFrame = _exports.polars_wide(self) if wide else _exports.polars_long(self)
        return frame

    def to_arrow(self, *, wide: bool = False) -> pa.Table:
        """Return the same as `to_pandas`, as an Arrow table; run and tag are dictionaries.

        Args:
            wide: as for `to_pandas`, but run and step are columns.

        Raises:
            ImportError: pyarrow is not installed.
            ValueError: a tag is called "run" or "step", and the table is to be wide.
        """
        table: pa.Table = _exports.arrow_wide(self) if wide else _exports.arrow_long(self)
        return table

    def _rows(self, rows: NDArray[np.int64]) -> Scalars:
        """Return the scalars at these rows, with only their runs and tags."""
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
