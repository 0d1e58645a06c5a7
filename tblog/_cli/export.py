"""`tblog export`: scalars as csv, jsonl, json or parquet; images and sounds as files."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

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
from tblog._cli.media import write_media
from tblog._files.completing import check_output, written
from tblog.reading._exports import needed, wide_columns

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from tblog.reading import Items, Runs, Scalars

_EXAMPLES = """
  tblog export runs --to csv -o runs.csv                columns run, tag, step, wall_time, value
  tblog export runs --to csv --wide --tag 'loss/*'      a row for each run and step, a column for each tag
  tblog export runs --to parquet -o runs.parquet        needs pyarrow: pip install tblog[arrow]
  tblog export runs --to jsonl --last | jq .value       the last value of each curve
  tblog export runs --to csv --thin 500 -o small.csv    at most 500 points of a curve, extremes kept
  tblog export runs --to images --last -o pictures      pictures/RUN/TAG/step-12.png; --to audio for sounds
"""

_COLUMNS = ["run", "tag", "step", "wall_time", "value"]
_BLOCK_ROWS = 10_000


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = command(
        subcommands,
        "export",
        _export,
        "Write scalars to a file of another format, or images and sounds to files.",
        _EXAMPLES,
    )
    add_source(parser)
    parser.add_argument("--to", required=True, choices=[*_WRITERS, "parquet", *_MEDIA], help="the format")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the file, the standard output without it; for images and audio a new directory",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")
    add_filters(parser)
    parser.add_argument("--wide", action="store_true", help="a row for each run and step, a column per tag")
    parser.add_argument("--last", action="store_true", help="only the last value of each curve")
    parser.add_argument("--thin", type=int, metavar="N", help="at most N values of a curve, extremes kept")
    parser.add_argument(
        "--restarts",
        choices=["tensorboard", "rust", "keep"],
        default="tensorboard",
        help="which points count where a training was started again: as TensorBoard's Python loader has it (default), "
        "as its Rust loader, or all",
    )


def _export(given: argparse.Namespace) -> int:
    if given.to in _MEDIA:
        return _export_media(given)
    if given.output:
        _refuse(given.output, may_replace=given.force)
    runs = chosen_runs(given, restarts=given.restarts)
    scalars = runs.scalars
    scalars = scalars.last() if given.last else scalars
    if given.thin is not None:
        if given.thin < 4:
            raise CommandError(f"--thin keeps 4 values of a curve or more; {given.thin} was given")
        scalars = scalars.thin(given.thin)
    if not len(scalars):
        return nothing_fits(given, runs, ", nothing is written")
    if given.to == "parquet":
        _write_parquet(scalars, given)
    else:
        with _opened(given.output) as file:
            _WRITERS[given.to](scalars, file, given.wide)
    if given.output:
        output.tell(
            f"{output.counted(len(scalars), 'scalar')} of {output.counted(len(scalars.runs), 'run')} in {given.output}"
        )
    return DONE


def _export_media(given: argparse.Namespace) -> int:
    if given.output is None or given.wide or given.thin is not None:
        raise CommandError(
            f"{given.to} are written to a new directory, given by -o, without --wide and --thin"
        )
    items = _MEDIA[given.to](chosen_runs(given, restarts=given.restarts))
    files, unreadable = write_media(items.last() if given.last else items, given.output)
    if not files:
        output.tell(
            f"no {given.to} fit, nothing is written; see what is there by tblog ls --tags {given.dir}"
        )
        return NOTHING
    output.tell(f"{output.counted(files, 'file')} in {given.output}")
    return NOTHING if unreadable else DONE


def _refuse(path: str, *, may_replace: bool) -> None:
    """Refuse a file that is a directory, lies in none, is an event file, or is there."""
    check_output(path)
    if os.path.isfile(path) and not may_replace:
        raise CommandError(f"{path} is there already; give another name, or --force to replace it")


@contextlib.contextmanager
def _opened(path: str | None) -> Iterator[TextIO]:
    """Yield the file to write to; it takes its name once it is complete."""
    if path is None:
        yield sys.stdout
        return
    with (
        written(path) as partial,
        open(partial, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        yield file


def _blocks(columns: dict[str, Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield rows of plain Python values, a block at a time."""
    rows = len(next(iter(columns.values())))
    starts = range(0, rows, _BLOCK_ROWS)
    for start in output.with_progress(starts, "writing"):
        parts = [column[start : start + _BLOCK_ROWS].tolist() for column in columns.values()]
        yield list(zip(*parts, strict=True))


def _columns(scalars: Scalars, *, is_wide: bool) -> dict[str, Any]:
    if not is_wide:
        return scalars.to_numpy()
    runs, steps, columns = wide_columns(scalars)
    for name in {"run", "step"} & columns.keys():
        raise CommandError(
            f"the column {name!r} would be there twice, since a tag is called so; export without --wide"
        )
    return {"run": np.array([*scalars.runs, None], object)[runs], "step": steps, **columns}


def _write_csv(scalars: Scalars, file: TextIO, is_wide: bool) -> None:
    columns = _columns(scalars, is_wide=is_wide)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for rows in _blocks(columns):
        writer.writerows([_without_gaps(row) for row in rows] if is_wide else rows)


def _without_gaps(row: tuple[Any, ...]) -> list[Any]:
    return ["" if value != value else value for value in row]  # noqa: PLR0124 # NaN


def _records(scalars: Scalars, is_wide: bool) -> Iterator[str]:
    """Yield each row as a JSON object; null is where a wide row has no value."""
    columns = _columns(scalars, is_wide=is_wide)
    for rows in _blocks(columns):
        for row in rows:
            record = dict(zip(columns, row, strict=True))
            if is_wide:
                record = {key: None if value != value else value for key, value in record.items()}  # noqa: PLR0124
            yield json.dumps(output.finite(record), ensure_ascii=False)


def _write_jsonl(scalars: Scalars, file: TextIO, is_wide: bool) -> None:
    file.writelines(f"{record}\n" for record in _records(scalars, is_wide))


def _write_json(scalars: Scalars, file: TextIO, is_wide: bool) -> None:
    file.write("[\n")
    records = _records(scalars, is_wide)
    file.writelines(f",\n{record}" if number else record for number, record in enumerate(records))
    file.write("\n]\n")


_WRITERS: dict[str, Callable[[Scalars, TextIO, bool], None]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "json": _write_json,
}


_MEDIA: dict[str, Callable[[Runs], Items[Any]]] = {
    "images": lambda runs: runs.images,
    "audio": lambda runs: runs.audio,
}


def _write_parquet(scalars: Scalars, given: argparse.Namespace) -> None:
    if given.output is None:
        raise CommandError("parquet is not written to the standard output; give a file by -o")
    parquet, pyarrow = needed("pyarrow.parquet", "arrow"), needed("pyarrow", "arrow")
    table = pyarrow.table(_columns(scalars, is_wide=True)) if given.wide else scalars.to_arrow()
    with written(given.output) as partial:
        parquet.write_table(table, partial)
