"""`tblog kept`: list, restore or remove the kept parts of event files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tblog._cli.arguments import command
from tblog._files import kept_command
from tblog._files.stores import is_url

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """
  tblog kept runs                                            list what is kept, and why
  tblog kept runs --restore --cut 20260131-120000-000000     put back what was taken out at that time
  tblog kept runs --remove-kept                              delete everything kept, for good
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = (
        "List what was kept of event files, restore it or delete it. A resumed run keeps what it cuts off, "
        "and a repair or an edit in place keeps the old file."
    )
    parser = command(subcommands, "kept", lambda given: _work(given, parser), text, _EXAMPLES)
    parser.add_argument("path", metavar="DIR", help="a log directory, a run, or an event file")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--restore", action="store_true", help="put it back, in the place of what is there now")
    what.add_argument("--remove-kept", action="store_true", help="remove it, for good")
    parser.add_argument("--cut", metavar="TIME", help="which of the kept ones, by its time in the list")


def _work(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if is_url(given.path):
        parser.error(f"{given.path} can be read but keeps nothing aside; copy it to this machine first")
    if not os.path.exists(given.path):
        parser.error(
            f"there is nothing at {given.path}; give a directory that holds event files, or an event file"
        )
    what = "restore" if given.restore else "remove_kept" if given.remove_kept else "list_kept"
    return kept_command.COMMANDS[what](given.path, given.cut, parser.error)
