"""`tblog import`: scalars of csv and jsonl files as runs."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tblog._cli import output
from tblog._cli.arguments import DONE, NOTHING, CommandError, command
from tblog._cli.rewriting import new_directory

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import TextIO

_EXAMPLES = """
  tblog import log.csv -o runs                  columns run, tag, step, wall_time, value, as tblog export writes them
  tblog import wide.csv -o runs                 or step and a column for each tag (run and wall_time may be there)
  tblog import log.jsonl --step-column epoch --run baseline -o runs
"""

_TEXTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class _Point(NamedTuple):
    run: str
    tag: str
    step: int
    wall_time: float
    value: float


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = "Write the scalars of a csv or jsonl file as runs. Values become float32, as a SummaryWriter logs them."
    parser = command(subcommands, "import", _import, text, _EXAMPLES)
    parser.add_argument(
        "file", metavar="FILE", help="a file that ends in .csv or .jsonl; - is csv from the standard input"
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
        output.tell(f"there is no number in {given.file}, nothing is written")
        return NOTHING
    output.tell(
        f"{output.counted(sum(runs.values()), 'scalar')} of {output.counted(len(runs), 'run')} in {given.output}"
    )
    return DONE


def _write(folder: str, points: Iterator[_Point]) -> dict[str, int]:
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


def _points(given: argparse.Namespace) -> Iterator[_Point]:
    ending = "csv" if given.file == "-" else given.file.rpartition(".")[2].lower()
    if ending not in _READERS:
        raise CommandError(f"files that end in .csv or .jsonl are imported; {given.file} was given")
    if given.file == "-":
        yield from _of_rows(_READERS[ending](sys.stdin), given)
        return
    with open(given.file, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield from _of_rows(_READERS[ending](file), given)


def _csv_rows(file: TextIO) -> Iterator[dict[str, Any]]:
    yield from csv.DictReader(file)


def _jsonl_rows(file: TextIO) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        try:
            row = json.loads(line) if line.strip() else {}
        except ValueError as error:
            raise CommandError(f"line {number} is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise CommandError(f"line {number} is no JSON object: {line.strip()[:60]}")
        yield row


_READERS: dict[str, Callable[[TextIO], Iterator[dict[str, Any]]]] = {"csv": _csv_rows, "jsonl": _jsonl_rows}


def _of_rows(rows: Iterator[dict[str, Any]], given: argparse.Namespace) -> Iterator[_Point]:
    now = time.time()
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        try:
            run, step = _run(row.pop("run", None) or given.run), _step(row.pop(given.step_column))
            wall_time = float(row.pop("wall_time", None) or now)
            values = [(row["tag"], row["value"])] if {"tag", "value"} <= row.keys() else [*row.items()]
            numbers = [(tag, _number(value)) for tag, value in values]
        except KeyError:
            raise CommandError(
                f"row {number} has no column {given.step_column!r}; name the one of the step by --step-column"
            ) from None
        except (TypeError, ValueError) as error:
            raise CommandError(f"row {number} cannot be read: {error}") from None
        yield from (
            _Point(run, str(tag), step, wall_time, value) for tag, value in numbers if value is not None
        )


def _run(given: Any) -> str:
    """Return a run's name, which is a directory below the new one."""
    name = os.path.normpath(str(given))
    if os.path.isabs(name) or name.split(os.sep)[0] == os.pardir:
        raise ValueError(f"the run {given!r} would lie outside of the new directory")
    return name


def _step(given: Any) -> int:
    """Return a step, which is a whole number of 64 bits, written as an integer or, as pandas does, as a float."""
    try:
        step = int(given) if isinstance(given, str) or given == int(given) else None
    except (TypeError, ValueError, OverflowError):
        step = None
    if step is None and isinstance(given, str):
        step = int(float(given)) if float(given).is_integer() else None
    if step is None or not -(2**63) <= step < 2**63:
        raise ValueError(f"the step is {given!r}; give a whole number of 64 bits")
    return step


def _number(value: Any) -> float | None:
    """Return a value as a number, or None for what is none: an empty cell, a text."""
    if value is None or isinstance(value, (bool, list, dict)):
        return None
    if isinstance(value, str) and value in _TEXTS:
        return _TEXTS[value]
    try:
        return float(value)
    except ValueError:
        return None
