"""`tblog mean`: the mean and the spread of several runs of one experiment, usually seeds."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tblog._cli import output
from tblog._cli.arguments import (
    DONE,
    NOTHING,
    CommandError,
    add_filters,
    add_source,
    chosen_runs,
    command,
    nothing_fits,
)
from tblog._cli.new_directory import keep_apart, new_directory
from tblog._cli.scalar_files import ScalarFiles

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from tblog.reading import Series

_EXAMPLES = """
  tblog mean runs --run 're:^seed\\d+$' -o mean      runs mean/mean, mean/std, mean/min, mean/max and mean/median
  tblog mean runs --by 're:seed\\d+' -o mean          a group for each name without this part: lr1/seed1 -> lr1
  tensorboard --logdir_spec runs:runs,seeds:mean    beside the runs
"""

_STATISTICS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "mean": lambda values: values.mean(0),
    "std": lambda values: values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1]),
    "min": lambda values: values.min(0),
    "max": lambda values: values.max(0),
    "median": lambda values: np.median(values, 0),
}


class _Curve(NamedTuple):
    """A tag of several runs at their common steps: (steps,) and (runs, steps)."""

    tag: str
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: NDArray[np.float64]


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = (
        "Write the mean, std, min, max and median of runs as new runs. A step counts if all runs of a group that have "
        "the tag have this step. std is that of a sample (n - 1)."
    )
    parser = command(subcommands, "mean", _mean, text, _EXAMPLES)
    add_source(parser)
    add_filters(parser)
    parser.add_argument(
        "--by",
        metavar="TEXT",
        help="runs whose names are the same without this text, or what re: and a regular expression finds, are a group "
        "(default: all are one)",
    )
    parser.add_argument("-o", "--output", metavar="NEWDIR", required=True, help="a new log directory")


def _mean(given: argparse.Namespace) -> int:
    name_of = _grouper(given.by)
    keep_apart(given.dir, given.output, "count the means among its runs")
    found: dict[str, dict[str, list[Series]]] = {}
    chosen = chosen_runs(given)
    if not len(chosen.scalars):
        return nothing_fits(given, chosen, ", nothing is written")
    if given.by is not None and all(name_of(run) == os.path.normpath(run) for run in chosen if run != "."):
        output.tell(
            f"{given.by!r} is in no run's name, nothing is written; give a part of the names, or re: and a regular expression"
        )
        return NOTHING
    for series in chosen.scalars.series():
        found.setdefault(name_of(series.run), {}).setdefault(series.tag, []).append(series)
    groups = {group: [*map(_together, tags.values())] for group, tags in found.items()}
    if not any(len(curve.steps) for curves in groups.values() for curve in curves):
        output.tell("the runs have no step of a scalar in common, nothing is written")
        return NOTHING
    with new_directory(given.output) as partial, ScalarFiles(partial) as files:
        for group, curves in output.with_progress([*groups.items()], "writing groups"):
            _write(files, group, curves)
    for group, tags in found.items():
        runs = {series.run for each in tags.values() for series in each}
        left = sum(_left_out(each) for each in tags.values())
        told = f"; {output.counted(left, 'step')} left out that not all runs have" if left else ""
        if within := _within_another(runs):
            told += (
                f"; {within} lies in another of them: choose runs by --run, or keep such runs apart by --by"
            )
        output.tell(
            f"{os.path.normpath(os.path.join(given.output, group))}: {output.counted(len(runs), 'run')}, {output.counted(len(tags), 'tag')}{told}"
        )
    return DONE


def _within_another(runs: set[str]) -> str | None:
    """Return a run that lies below another one of the group, such as one of `add_scalars`, if any."""
    return next((run for run in sorted(runs) if any(run.startswith(f"{other}/") for other in runs)), None)


def _grouper(by: str | None) -> Callable[[str], str]:
    """Return a function from a run's name to that of its group, a path below the new directory."""
    if by is None:
        return lambda _: ""
    try:
        pattern = re.compile(by.removeprefix("re:") if by.startswith("re:") else re.escape(by))
    except re.error as error:
        raise CommandError(f"{by!r} is not a regular expression: {error}") from None
    return lambda run: "/".join(
        part for part in pattern.sub("", run).split("/") if part not in {"", ".", ".."}
    )


def _last_of_each_step(series: Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the steps of a curve, sorted, and the row of the last value at each."""
    steps, rows = np.unique(series.step[::-1], return_index=True)
    return steps, len(series.step) - 1 - rows


def _together(runs: list[Series]) -> _Curve:
    each = [_last_of_each_step(series) for series in runs]
    common = each[0][0]
    for steps, _ in each[1:]:
        common = np.intersect1d(common, steps, assume_unique=True)
    rows = [at[np.searchsorted(steps, common)] for steps, at in each]
    return _Curve(
        runs[0].tag,
        common,
        _finite_mean(np.array([series.wall_time[at] for series, at in zip(runs, rows, strict=True)])),
        np.array([series.value[at] for series, at in zip(runs, rows, strict=True)]),
    )


def _finite_mean(wall_times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each column, and 0 where it is none: TensorBoard drops a file that has a NaN as a time."""
    with np.errstate(invalid="ignore", over="ignore"):
        means: NDArray[np.float64] = wall_times.mean(0)
    return np.where(np.isfinite(means), means, 0.0)


def _left_out(runs: list[Series]) -> int:
    """Return how many steps are missing in some runs."""
    every = np.unique(np.concatenate([series.step for series in runs]))
    return len(every) - len(_together(runs).steps)


def _write(files: ScalarFiles, group: str, curves: Iterable[_Curve]) -> None:
    for name, statistic in _STATISTICS.items():
        for curve in curves:
            with np.errstate(invalid="ignore", over="ignore"):
                columns = statistic(curve.values), curve.steps, curve.wall_times
            rows = zip(*(column.tolist() for column in columns), strict=True)
            files.add(
                os.path.join(group, name),
                [(curve.tag, value, step, wall_time) for value, step, wall_time in rows],
            )
