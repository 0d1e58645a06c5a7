"""The tags and files of the runs to edit.

Lives here: queries to the reader. Must not: change files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tblog
from tblog._cli.arguments import CommandError, NothingFoundError, require_listed
from tblog._files.stores import is_url
from tblog.reading._selection import matcher

if TYPE_CHECKING:
    import argparse

_OF_THE_RUN = frozenset({"hparams", "layouts", "graphs", "meta_graphs", "keras_graphs"})
"""Kinds whose tags must have fixed names in TensorBoard."""


def files_of(given: argparse.Namespace) -> dict[str, list[str]]:
    """Return the event files of all runs, chosen or not.

    Raises:
        CommandError: they are not on this machine, or cannot all be found.
        NothingFoundError: there are none.
    """
    if is_url(given.dir):
        raise CommandError(f"{given.dir} can be read but not changed; copy it to this machine first")
    require_listed(given.dir)
    found = {name: run.files for name, run in tblog.read(given.dir).items()}
    if not found:
        raise NothingFoundError(f"there are no event files in {given.dir!r}, nothing is written")
    return found


def tags_of(given: argparse.Namespace) -> dict[str, set[str]]:
    """Return the tags of each chosen run. Tags with a fixed name count only if that exact name is given."""
    wanted = vars(given)
    tag = wanted.get("tag")
    fits, exact = matcher(tag), set(tag or ()) - {None}
    return {
        name: {
            one
            for kind, tags in run.tags.items()
            for one in tags
            if (one in exact if kind in _OF_THE_RUN else fits(one))
        }
        for name, run in tblog.read(
            given.dir, run=wanted.get("run"), steps=wanted.get("steps"), restarts="keep"
        ).items()
    }
