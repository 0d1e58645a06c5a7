"""`tblog tail`: the last values, and with -f the new values of a running training."""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tblog._cli import output
from tblog._cli.arguments import (
    DONE,
    NOTHING,
    add_filters,
    add_json,
    add_source,
    chosen_runs,
    command,
    count,
    nothing_fits,
)
from tblog._terminal import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tblog.reading import Runs

_EXAMPLES = """
  tblog tail runs                      the last ten values
  tblog tail -f runs --tag 'loss*'     follow new values until Ctrl-C
  tblog tail -f runs --json | jq --unbuffered .value
"""

_SHORTEST_PAUSE_SECS, _LONGEST_PAUSE_SECS = 0.05, 86_400


class _Row(NamedTuple):
    wall_time: float
    run: str
    tag: str
    step: int
    value: float


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = command(
        subcommands, "tail", _tail, "Print the last values, and follow a running training.", _EXAMPLES
    )
    add_source(parser)
    add_filters(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="follow: print new values as they come")
    parser.add_argument(
        "-n", type=count, default=10, metavar="N", help="how many values to print first (default: 10)"
    )
    parser.add_argument(
        "--every",
        type=_pause,
        default=1.0,
        metavar="SECS",
        help="how often -f looks for new values (default: 1)",
    )
    add_json(parser)


def _tail(given: argparse.Namespace) -> int:
    runs = chosen_runs(given, restarts="keep")
    seen: dict[tuple[str, str], int] = {}
    rows = _sorted(_new_rows(runs, seen, most=max(given.n, 1)))
    if not rows:
        nothing_fits(given, runs, " yet, waiting" if given.follow else "")
    _print(rows[-given.n :] if given.n > 0 else [], as_json=given.json)
    while given.follow:
        output.flush()
        time.sleep(given.every)
        _print(_sorted(_new_rows(runs.refresh(), seen)), as_json=given.json)
    return DONE if rows else NOTHING


def _pause(text: str) -> float:
    """Return how long to wait between two looks; a short time is enough for any terminal."""
    try:
        secs = float(text)
    except ValueError:
        secs = math.nan
    if not 0 <= secs <= _LONGEST_PAUSE_SECS:
        raise argparse.ArgumentTypeError(
            f"give seconds from 0 to {_LONGEST_PAUSE_SECS:,}; {text!r} was given"
        )
    return max(secs, _SHORTEST_PAUSE_SECS)


def _sorted(rows: Iterable[_Row]) -> list[_Row]:
    """Return values in the order of their times; those whose time is no number come first."""
    return sorted(
        rows, key=lambda row: (not math.isnan(row.wall_time), row[int(math.isnan(row.wall_time)) :])
    )


def _new_rows(runs: Runs, seen: dict[tuple[str, str], int], most: int | None = None) -> Iterator[_Row]:
    """Yield the values that are new since the last call, of each curve `most` at most."""
    for series in runs.scalars.series():
        key, count = (series.run, series.tag), len(series.step)
        start = (
            seen.get(key, 0) if seen.get(key, 0) <= count else 0
        )  # the curve of a replaced file may be shorter
        seen[key] = count
        start = start if most is None else max(start, count - most)
        columns = (series.wall_time, series.step, series.value)
        for wall_time, step, value in zip(*(column[start:].tolist() for column in columns), strict=True):
            yield _Row(wall_time, series.run, series.tag, step, value)


def _print(rows: list[_Row], *, as_json: bool) -> None:
    for row in rows:
        if as_json:
            output.say(json.dumps(output.finite(row._asdict()), ensure_ascii=False))
            continue
        output.say(
            plain(
                f"{output.local_time('%H:%M:%S', row.wall_time)}  {row.run}  {row.tag}  step {row.step}  {output.number(row.value)}"
            )
        )
