"""The tags and files of the runs to edit.

Lives here: queries to the reader. Must not: change files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import tblog
from tblog._cli.arguments import CommandError
from tblog.reading._selection import matcher

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

_OF_THE_RUN = frozenset({"hparams", "layouts", "graphs", "meta_graphs", "keras_graphs"})
"""Kinds whose tags must have fixed names in TensorBoard."""

_MOST_NEEDLES = 50


def files_of(given: argparse.Namespace) -> dict[str, list[str]]:
    """Return the event files of all runs, chosen or not.

    Raises:
        CommandError: they are not on this machine.
    """
    if "://" in given.dir:
        raise CommandError(f"{given.dir} can be read but not changed; copy it to this machine first")
    return {name: run.files for name, run in tblog.read(given.dir).items()}


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
        for name, run in tblog.read(given.dir, run=wanted.get("run"), restarts="keep").items()
    }


def mentions(tags: Iterable[str]) -> Callable[[bytes], bool]:
    """Return a fast test of a record's data: False means that none of the tags is in it, True that one may be."""
    needles = [tag.encode(errors="surrogatepass") for tag in tags]
    if len(needles) > _MOST_NEEDLES or any(not one or b"\xef\xbf\xbd" in one for one in needles):
        return _always  # for a tag that is not UTF-8, the reader's text differs from the bytes in the file
    return _Search(re.compile(b"|".join(map(re.escape, needles))))


def _always(_data: bytes) -> bool:
    return True


class _Search:
    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern

    def __call__(self, data: bytes) -> bool:
        return self._pattern.search(data) is not None
