"""`tblog import`: scalars of csv and jsonl files, of wandb and of trackio as runs."""

from __future__ import annotations

import csv
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tblog._cli import output
from tblog._cli.arguments import DONE, NOTHING, CommandError, command
from tblog._cli.new_directory import new_directory
from tblog._cli.points import (
    LoggedRun,
    Point,
    number,
    parsed_json,
    run_name,
    step_number,
    tag_name,
    wall_time,
)
from tblog._cli.scalar_files import ScalarFiles
from tblog._cli.trackio_database import trackio_runs
from tblog._cli.wandb_file import wandb_runs
from tblog.errors import shortened

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
    for path in given.files:
        _require_file(path)
    with new_directory(given.output) as partial:
        runs = _write(partial, _points(given))
    if not runs:
        output.tell(f"there is no number in {', '.join(given.files)}, nothing is written")
        return NOTHING
    output.tell(
        f"{output.counted(runs.total(), 'scalar')} of {output.counted(len(runs), 'run')} in {given.output}"
    )
    return DONE


def _require_file(path: str) -> None:
    if path == "-":
        return
    if _ending(path) not in {*_READERS, *_RUNS}:
        raise CommandError(f"files that end in .csv, .jsonl, .wandb or .db are imported; {path} was given")
    if not os.path.exists(path):
        raise CommandError(f"there is no file {path}; give the file that another program wrote")


def _ending(path: str) -> str:
    return "csv" if path == "-" else path.rpartition(".")[2].lower()


def _write(folder: str, points: Iterator[Point]) -> Counter[str]:
    """Write points; return how many each run has."""
    counts: Counter[str] = Counter()
    with ScalarFiles(folder) as files:
        for run, tag, step, wall_secs, value in points:
            files.add(run, [(tag, value, step, wall_secs)])
            counts[run] += 1
    return counts


def _points(given: argparse.Namespace) -> Iterator[Point]:
    names: set[str] = set()
    for path in given.files:
        ending = _ending(path)
        try:
            if ending in _READERS:
                with _opened(path) as file:
                    yield from _of_rows(_READERS[ending](file), given)
            else:
                for run in _RUNS[ending](path):
                    yield from run.points(_free(run, names))
        except (ValueError, TypeError, OverflowError, csv.Error) as error:
            raise CommandError(f"{path} cannot be read: {error}") from None


def _opened(path: str) -> TextIO:
    source = 0 if path == "-" else path
    return open(
        source, encoding="utf-8-sig", errors="surrogateescape", newline="", closefd=isinstance(source, str)
    )


def _free(run: LoggedRun, names: set[str]) -> str:
    """Return the name of a run, with its id where another one has the name."""
    name = run_name(run.name if run.name not in names else f"{run.name}-{run.key}")
    names.add(run.name)
    return name


def _csv_rows(file: TextIO) -> Iterator[dict[str, Any]]:
    rows = csv.DictReader(file)
    twice = [name for name, many in Counter(rows.fieldnames or ()).items() if many > 1 and name]
    if twice:
        raise ValueError(f"it has several columns {shortened(twice[0])}; give each a name of its own")
    yield from rows


def _jsonl_rows(file: TextIO) -> Iterator[dict[str, Any]]:
    for place, line in enumerate(file, 1):
        try:
            row = parsed_json(line) if line.strip() else {}
        except ValueError as error:
            raise ValueError(f"line {place} is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise TypeError(f"line {place} is no JSON object: {shortened(line.strip())}")
        yield row


_RUNS: dict[str, Callable[[str], Iterator[LoggedRun]]] = {"wandb": wandb_runs, "db": trackio_runs}
_READERS: dict[str, Callable[[TextIO], Iterator[dict[str, Any]]]] = {"csv": _csv_rows, "jsonl": _jsonl_rows}


def _of_rows(rows: Iterator[dict[str, Any]], given: argparse.Namespace) -> Iterator[Point]:
    now = time.time()
    for place, row in enumerate(rows, 1):
        if not row:
            continue
        if given.step_column not in row:
            raise ValueError(
                f"row {place} has no column {given.step_column!r}; name the one of the step by --step-column; "
                f"it has {shortened([*row])}"
            )
        try:
            yield from _of_row(row, given, now)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"row {place}: {error}") from None


def _of_row(row: dict[str, Any], given: argparse.Namespace, now: float) -> Iterator[Point]:
    step = step_number(row.pop(given.step_column))
    run, when = row.pop("run", None), row.pop("wall_time", None)
    name = run_name(given.run if run is None or run == "" else run)
    secs = now if when is None or when == "" else wall_time(when)
    if {"tag", "value"} <= row.keys():
        values = [(row["tag"], row["value"])]
    else:  # a column without a name is the index that pandas writes
        values = [(tag, value) for tag, value in row.items() if tag]
    for tag, raw in values:
        value = number(raw)
        if value is not None:
            yield Point(name, tag_name(tag), step, secs, value)
