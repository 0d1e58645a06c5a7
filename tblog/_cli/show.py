"""`tblog show`: the curves of a run in the terminal, and their last values."""

from __future__ import annotations

import argparse
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._cli import output
from tblog._cli.arguments import (
    DONE,
    CommandError,
    add_filters,
    add_json,
    add_source,
    chosen_runs,
    command,
    nothing_fits,
)
from tblog._cli.plots import plot, sparkline
from tblog._terminal import plain

if TYPE_CHECKING:
    from tblog.reading import Scalars, Series

_EXAMPLES = """
  tblog show runs/seed1                       one line for each curve: last value, extremes, shape
  tblog show runs --tag loss/train --plot     a plot of this curve for each run
  tblog show runs --tag loss --plot --smooth 0.9
  tblog show runs/seed1 --json
"""

_SPARK = 24
_HEIGHT = 8
_NARROWEST, _WIDEST = 20, 1000


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = command(subcommands, "show", _show, "Show the curves of runs in the terminal.", _EXAMPLES)
    add_source(parser)
    add_filters(parser)
    parser.add_argument("--plot", action="store_true", help="draw each curve over its steps")
    parser.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="WEIGHT",
        help="smooth, as TensorBoard's slider does: 0 to 1",
    )
    parser.add_argument(
        "--width", type=_columns, metavar="COLUMNS", help="columns of the output (default: the terminal's)"
    )
    add_json(parser)


def _show(given: argparse.Namespace) -> int:
    runs = chosen_runs(given)
    scalars = runs.scalars
    if not len(scalars):
        return nothing_fits(given, runs)
    if not 0 <= given.smooth <= 1:
        raise CommandError(
            f"--smooth must be from 0 to 1, as on TensorBoard's slider; {given.smooth} was given"
        )
    drawn = scalars.smooth(given.smooth) if given.smooth else scalars
    width = given.width or min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)
    if given.json:
        output.say(json.dumps([_as_json(series) for series in scalars.series()], indent=1))
    elif given.plot:
        _plot(scalars, drawn, width)
    else:
        _list(scalars, drawn, given.width)
    return DONE


def _plot(scalars: Scalars, drawn: Scalars, width: int) -> None:
    for number, (series, curve) in enumerate(zip(scalars.series(), drawn.series(), strict=True)):
        if number:
            output.say()
        name, last = plain(f"{series.run}  {series.tag}"), output.number(series.value[-1])
        output.say(f"{name}  {output.counted(len(series.step), 'value')}, the last {last}")
        for line in plot(curve.step, curve.value, max(10, width - 16), _HEIGHT):
            output.say(line)


def _columns(text: str) -> int:
    """Return how many columns to use."""
    if not text.isascii() or not text.isdigit() or not _NARROWEST <= int(text[:9]) <= _WIDEST:
        raise argparse.ArgumentTypeError(
            f"give a number of columns from {_NARROWEST} to {_WIDEST:,}; {text!r} was given"
        )
    return int(text)


def _list(scalars: Scalars, drawn: Scalars, width: int | None) -> None:
    titles = ["~run", "~tag", ">count", "steps", ">last", ">min", ">max", "curve"]
    output.table(
        titles,
        [
            (*_cells(series), sparkline(curve.value, _SPARK))
            for series, curve in zip(scalars.series(), drawn.series(), strict=True)
        ],
        width,
    )


def _cells(series: Series) -> tuple[str, ...]:
    low, high = _extremes(series)
    return (
        series.run,
        series.tag,
        output.count(len(series.step)),
        output.span(int(series.step.min()), int(series.step.max())),
        output.number(series.value[-1]),
        output.number(low),
        output.number(high),
    )


def _extremes(series: Series) -> tuple[float, float]:
    """Return the smallest and the largest value, without NaN if there are other values."""
    values = series.value[~np.isnan(series.value)]
    return (float(values.min()), float(values.max())) if len(values) else (float("nan"), float("nan"))


def _as_json(series: Series) -> dict[str, Any]:
    low, high = _extremes(series)
    return output.finite(
        {
            "run": series.run,
            "tag": series.tag,
            "count": len(series.step),
            "first_step": int(series.step.min()),
            "last_step": int(series.step.max()),
            "last": float(series.value[-1]),
            "min": low,
            "max": high,
        }
    )
