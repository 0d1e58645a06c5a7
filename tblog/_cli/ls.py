"""`tblog ls`: list runs and what they hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tblog._cli import output
from tblog._cli.arguments import DONE, NOTHING, add_filters, add_json, add_source, chosen_runs, command
from tblog._cli.overview import RunRow, overview
from tblog.reading._selection import matcher

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

_EXAMPLES = """
  tblog ls runs                            one line for each run
  tblog ls runs --tags --run 'seed*'       one line for each tag of these runs
  tblog ls runs --tags --kind images       only images
  tblog ls runs --sort changed --reverse   the run that was written last comes first
  tblog ls runs --json | jq '.[].run'
"""

_ORDERS: dict[str, Callable[[RunRow], Any]] = {
    "name": lambda row: row.run,
    "changed": lambda row: row.changed,
    "records": lambda row: row.records,
    "size": lambda row: row.nbytes,
    "step": lambda row: row.last_step,
}


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = command(subcommands, "ls", _list, "List runs, and with --tags what they hold.", _EXAMPLES)
    add_source(parser)
    add_filters(parser)
    parser.add_argument(
        "--tags", action="store_true", help="a line for each tag: kind, count, steps, last value"
    )
    parser.add_argument(
        "--kind", action="append", metavar="KIND", help="only tags of a kind: scalars, images, texts, ..."
    )
    parser.add_argument("--sort", choices=_ORDERS, default="name", help="order of the runs (default: name)")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    add_json(parser)


def _list(given: argparse.Namespace) -> int:
    runs = chosen_runs(given)
    rows = [overview(run) for run in output.with_progress([*runs.values()], "reading runs")]
    kinds = sorted({tag.kind for row in rows for tag in row.tags})
    if given.kind:
        rows = [row._replace(tags=[tag for tag in row.tags if tag.kind in given.kind]) for row in rows]
    if given.tag:
        # The reader keeps what belongs to a run as a whole, which nobody asked for here.
        fits = matcher(given.tag)
        rows = [row._replace(tags=[tag for tag in row.tags if fits(tag.tag)]) for row in rows]
    if given.kind or given.tag or given.steps:
        rows = [row for row in rows if row.tags]
    rows.sort(key=_ORDERS[given.sort], reverse=given.reverse)
    if given.json:
        output.say(json.dumps([_as_json(row) for row in rows], indent=1))
    elif given.tags and rows:
        _print_tags(rows)
    elif rows:
        _print_runs(rows)
    if not rows and not given.json:
        output.tell(_why_none(given, kinds, is_empty=not runs))
    return DONE if rows else NOTHING


def _why_none(given: argparse.Namespace, kinds: list[str], *, is_empty: bool) -> str:
    if is_empty and not given.run:
        return f"there are no event files in {given.dir!r}"
    if given.kind and kinds:
        return f"no run matches; the kinds that are there: {', '.join(kinds)}"
    return f"no run matches; tblog ls {given.dir} shows what is there"


def _print_runs(rows: list[RunRow]) -> None:
    titles = ["~run", ">tags", ">scalars", ">last step", ">records", ">files", ">size", "changed", ""]
    output.table(
        titles,
        [
            (
                row.run,
                output.count(len(row.tags)),
                output.count(sum(tag.values for tag in row.tags if tag.kind == "scalars")),
                str(row.last_step) if row.tags else "",
                output.count(row.records),
                output.count(row.files),
                output.size(row.nbytes) if row.changed else "",
                output.local_time("%Y-%m-%d %H:%M", row.changed) if row.changed else "",
                f"{output.counted(row.damage, 'damaged stretch')}: tblog check" if row.damage else "",
            )
            for row in rows
        ],
    )


def _print_tags(rows: list[RunRow]) -> None:
    titles = ["~run", "kind", "~tag", ">count", "steps", ">last value"]
    output.table(
        titles,
        [
            (
                row.run,
                tag.kind,
                tag.tag,
                output.count(tag.values),
                output.span(tag.first_step, tag.last_step),
                "" if tag.last is None else output.number(tag.last),
            )
            for row in rows
            for tag in row.tags
        ],
    )


def _as_json(row: RunRow) -> dict[str, Any]:
    return {**row._asdict(), "tags": [output.finite(tag._asdict()) for tag in row.tags]}
