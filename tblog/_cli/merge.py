"""`tblog merge`: copy the runs of several log directories into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tblog
from tblog._cli.arguments import DONE, CommandError, NothingFoundError, command, require_listed
from tblog._cli.new_directory import keep_apart
from tblog._cli.rewriting import write_new
from tblog._files.stores import is_url

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """
  tblog merge monday tuesday -o week            runs with the same name become one, in the order of their file names
  tblog merge run run-resumed -o whole          two directories of event files become one run
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = "Copy the runs of several log directories into a new one. Event files are copied byte for byte."
    parser = command(subcommands, "merge", _merge, text, _EXAMPLES)
    parser.add_argument(
        "dirs", metavar="DIR", nargs="+", help="a log directory, a run, an event file, or a quoted glob"
    )
    parser.add_argument("-o", "--output", metavar="NEWDIR", required=True, help="a new log directory")


def _merge(given: argparse.Namespace) -> int:
    runs: dict[str, list[str]] = {}
    for place in given.dirs:
        if is_url(place):
            raise CommandError(f"{place} can be read but not merged; copy it to this machine first")
        keep_apart(place, given.output)
        require_listed(place)
        for name, run in tblog.read(place).items():
            runs.setdefault(name, []).extend(run.files)
    if not runs:
        raise NothingFoundError(f"there are no event files in {', '.join(given.dirs)}, nothing is written")
    write_new(runs, given.output, lambda _: None)
    return DONE
