"""`tblog import`: scalars of csv and jsonl files, of wandb and of trackio as runs."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from tblog._cli import output
from tblog._cli.arguments import DONE, NOTHING, CommandError, command
from tblog._cli.points import LoggedRun, Point, number, run_name, step_number
from tblog._cli.rewriting import new_directory
from tblog._cli.trackio_database import trackio_runs
from tblog._cli.wandb_file import wandb_runs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import TextIO

_EXAMPLES = """
  tblog import log.csv -o runs                  columns run, tag, step, wall_time, value, as tblog export writes them
  tblog import wide.csv -o runs                 or step and a column for each tag (run and wall_time may be there)
  tblog import log.jsonl --step-column epoch --run baseline -o runs
  tblog import wandb/offline-run-*/run-*.wandb -o runs                a run for each, by its name
  tblog import ~/.cache/huggingface/trackio/project.db -o runs        all runs of a trackio project
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = (
        "Write the scalars of csv and jsonl files, of wandb's offline runs and of trackio's databases as runs. Values "
        "become float32, as a SummaryWriter logs them."
    )
    parser = command(subcommands, "import", _import, text, _EXAMPLES)
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a file that ends in .csv, .jsonl, .wandb or .db; - is csv from the standard input",
    )
    parser.add_argument("-o", "--output", metavar="NEWDIR", required=True, help="a new log directory")
    parser.add_argument("--run", default=".", help="the run of rows that name none (default: NEWDIR itself)")
    parser.add_argument(
        "--step-column", default="step", metavar="NAME", help="the column of the step (default: step)"
    )


def _import(given: argparse.Namespace) -> int:
    with new_directory(given.output) as partial:
        runs = _write(partial, _points(given))
    if not runs:
        output.tell(f"there is no number in {', '.join(given.files)}, nothing is written")
        return NOTHING
    output.tell(
        f"{output.counted(sum(runs.values()), 'scalar')} of {output.counted(len(runs), 'run')} in {given.output}"
    )
    return DONE


def _write(folder: str, points: Iterator[Point]) -> dict[str, int]:
    """Log points; return how many each run has."""
    from tblog.writer import SummaryWriter

    writers: dict[str, SummaryWriter] = {}
    counts: dict[str, int] = {}
    try:
        for run, tag, step, wall_time, value in points:
            if run not in writers:
                writers[run] = SummaryWriter(os.path.join(folder, run))
            writers[run].add_scalar(tag, value, step, wall_time)
            counts[run] = counts.get(run, 0) + 1
    finally:
        for writer in writers.values():
            writer.close()
    return counts


def _points(given: argparse.Namespace) -> Iterator[Point]:
    names: set[str] = set()
    for path in given.files:
        ending = "csv" if path == "-" else path.rpartition(".")[2].lower()
        if ending in _READERS:
            with _opened(path) as file:
                yield from _of_rows(_READERS[ending](file), given)
        elif ending in _RUNS:
            try:
                for run in _RUNS[ending](path):
                    yield from run.points(_free(run, names))
            except (ValueError, TypeError, OverflowError) as error:
                raise CommandError(f"{path} cannot be read: {error}") from None
        else:
            raise CommandError(
                f"files that end in .csv, .jsonl, .wandb or .db are imported; {path} was given"
            )


def _opened(path: str) -> contextlib.AbstractContextManager[TextIO]:
    if path == "-":
        return contextlib.nullcontext(sys.stdin)
    return open(path, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _free(run: LoggedRun, names: set[str]) -> str:
    """Return the name of a run, with its id where another one has the name."""
    name = run_name(run.name if run.name not in names else f"{run.name}-{run.key}")
    names.add(run.name)
    return name


def _csv_rows(file: TextIO) -> Iterator[dict[str, Any]]:
    yield from csv.DictReader(file)


def _jsonl_rows(file: TextIO) -> Iterator[dict[str, Any]]:
    for place, line in enumerate(file, 1):
        try:
            row = json.loads(line) if line.strip() else {}
        except ValueError as error:
            raise CommandError(f"line {place} is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise CommandError(f"line {place} is no JSON object: {line.strip()[:60]}")
        yield row


_RUNS: dict[str, Callable[[str], Iterator[LoggedRun]]] = {"wandb": wandb_runs, "db": trackio_runs}
_READERS: dict[str, Callable[[TextIO], Iterator[dict[str, Any]]]] = {"csv": _csv_rows, "jsonl": _jsonl_rows}


def _of_rows(rows: Iterator[dict[str, Any]], given: argparse.Namespace) -> Iterator[Point]:
    now = time.time()
    for place, row in enumerate(rows, 1):
        if not row:
            continue
        try:
            run, step = run_name(row.pop("run", None) or given.run), step_number(row.pop(given.step_column))
            wall_time = float(row.pop("wall_time", None) or now)
            values = [(row["tag"], row["value"])] if {"tag", "value"} <= row.keys() else [*row.items()]
            numbers = [(tag, number(value)) for tag, value in values]
        except KeyError:
            raise CommandError(
                f"row {place} has no column {given.step_column!r}; name the one of the step by --step-column"
            ) from None
        except (TypeError, ValueError) as error:
            raise CommandError(f"row {place} cannot be read: {error}") from None
        yield from (
            Point(run, str(tag), step, wall_time, value) for tag, value in numbers if value is not None
        )
