"""`tblog rename`: rename tags."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._cli import output
from tblog._cli.applying import Decisions
from tblog._cli.arguments import NOTHING, CommandError, add_source, command, name
from tblog._cli.rewriting import add_target, rewrite
from tblog._cli.tags import files_of, tags_of
from tblog.reading._selection import matcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._cli.stretches import Values

_EXAMPLES = """
  tblog rename runs loss loss/train -o renamed           one tag, in all runs
  tblog rename runs 'train_*' 'train/*' -o renamed       keeps what * matches
  tblog rename runs 're:^(\\w+)_(\\w+)$' '\\2/\\1' -o renamed
  tblog rename runs loss loss/train --in-place           keeps the old files
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = (
        "Rename tags. Records without such a tag stay byte for byte. Layouts of custom scalars and the metrics of "
        "hparams also name tags; they are not changed."
    )
    parser = command(subcommands, "rename", _rename, text, _EXAMPLES)
    add_source(parser)
    parser.add_argument("old", metavar="OLD", help="a tag; a pattern with *; or re: and a regular expression")
    parser.add_argument(
        "new",
        metavar="NEW",
        help="its new name; a * in it for each of OLD; or \\1 for a regular expression's group",
    )
    parser.add_argument(
        "--run",
        action="append",
        type=name,
        metavar="RUN",
        help="only in runs of this name, or glob; others are copied as they are",
    )
    add_target(parser)


def _rename(given: argparse.Namespace) -> int:
    new_name = _renamer(given.old, given.new)
    files, found = files_of(given), tags_of(given)
    changes: dict[str, dict[str, str]] = {}
    for run, tags in found.items():
        names = {tag: new_name(tag) for tag in tags}
        _require_distinct(run, names)
        changed = {tag: name for tag, name in names.items() if tag != name}
        if changed:
            changes[run] = changed
    if not changes:
        output.tell(f"{_why_nothing(given, found)}; nothing is written")
        return NOTHING
    return rewrite(files, given, lambda run: _Renaming(changes[run]) if run in changes else None)


def _why_nothing(given: argparse.Namespace, found: dict[str, set[str]]) -> str:
    fits = matcher([name(given.old)])
    if any(fits(tag) for tags in found.values() for tag in tags):
        return f"the tags that {given.old} matches are called so already"
    return f"no tag matches {given.old or repr(given.old)}; tblog ls --tags {given.dir} shows what is there"


class _Renaming:
    """Renames tags of a run."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def __call__(self, values: Values, names: list[str]) -> Decisions:
        """Decide about the values of the next stretch."""
        new = {number: self._names[name] for number, name in enumerate(names) if name in self._names}
        return Decisions(np.zeros(len(values.tags), bool), new, {})


def _renamer(old: str, new: str) -> Callable[[str], str]:
    """Return a function from a tag to its new name, or to itself if it does not match."""
    if not new:
        raise CommandError("the new name is empty; give one, or remove the tag with tblog drop")
    try:
        pattern = name(old)
    except argparse.ArgumentTypeError as error:
        raise CommandError(str(error)) from None
    if isinstance(pattern, re.Pattern):
        try:
            re.compile(f"(?:{pattern.pattern})|").sub(new, "")  # the new name uses only groups that exist
        except (re.error, IndexError) as error:
            raise CommandError(f"{new!r} does not go with {old!r}: {error}") from None
        return lambda tag: pattern.sub(new, tag)
    if new.count("*") > old.count("*"):
        raise CommandError(f"{new!r} has a * for which {old!r} has none")
    fitting = re.compile("(.*)".join(map(re.escape, old.split("*"))), re.DOTALL)

    def renamed(tag: str) -> str:
        found = fitting.fullmatch(tag)
        if found is None:
            return tag
        stars = iter(found.groups())
        return "".join(next(stars) if part == "*" else part for part in re.split(r"(\*)", new))

    return renamed


def _require_distinct(run: str, names: dict[str, str]) -> None:
    taken: dict[str, str] = {}
    for tag, new in names.items():
        if new in taken:
            raise CommandError(
                f"in the run {run!r}, {taken[new]!r} and {tag!r} would both be called {new!r}; "
                "choose another name, or remove one of them first with tblog drop"
            )
        taken[new] = tag
