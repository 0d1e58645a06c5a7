"""`tblog tail`: the last values, and with -f the new values of a running training."""

from __future__ import annotations

import json
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
    nothing_fits,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tblog.reading import Runs

_EXAMPLES = """
  tblog tail runs                      the last ten values
  tblog tail -f runs --tag 'loss*'     follow new values until Ctrl-C
  tblog tail -f runs --json | jq --unbuffered .value
"""


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
        "-n", type=int, default=10, metavar="N", help="how many values to print first (default: 10)"
    )
    parser.add_argument(
        "--every",
        type=float,
        default=1.0,
        metavar="SECS",
        help="how often -f looks for new values (default: 1)",
    )
    add_json(parser)


def _tail(given: argparse.Namespace) -> int:
    runs = chosen_runs(given, restarts="keep")
    seen: dict[tuple[str, str], int] = {}
    rows = sorted(_new_rows(runs, seen))
    if not rows:
        nothing_fits(given, runs, " yet, waiting" if given.follow else "")
    _print(rows[-given.n :] if given.n > 0 else [], as_json=given.json)
    while given.follow:
        output.flush()
        time.sleep(max(given.every, 0.05))
        _print(sorted(_new_rows(runs.refresh(), seen)), as_json=given.json)
    return DONE if rows else NOTHING


def _new_rows(runs: Runs, seen: dict[tuple[str, str], int]) -> Iterator[_Row]:
    """Yield the values that are new since the last call."""
    for series in runs.scalars.series():
        key, count = (series.run, series.tag), len(series.step)
        start = (
            seen.get(key, 0) if seen.get(key, 0) <= count else 0
        )  # the curve of a replaced file may be shorter
        seen[key] = count
        columns = (series.wall_time, series.step, series.value)
        for wall_time, step, value in zip(*(column[start:].tolist() for column in columns), strict=True):
            yield _Row(wall_time, series.run, series.tag, step, value)


def _print(rows: list[_Row], *, as_json: bool) -> None:
    for row in rows:
        if as_json:
            output.say(json.dumps(output.finite(row._asdict()), ensure_ascii=False))
            continue
        clock = time.strftime("%H:%M:%S", time.localtime(row.wall_time))
        output.say(
            output.plain(f"{clock}  {row.run}  {row.tag}  step {row.step}  {output.number(row.value)}")
        )
