"""`tblog drop`: leave out runs, tags and steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._cli import output
from tblog._cli.arguments import DONE, NOTHING, CommandError, add_filters, add_source, command
from tblog._cli.leaving import Leaving
from tblog._cli.rewriting import add_target, are_free, rewrite, tell_of_kept
from tblog._cli.tags import files_of, tags_of
from tblog._files.kept import move_aside, stamp
from tblog._files.rewrite import unless_in_use
from tblog.reading._selection import step_range, within

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from tblog._cli.stretches import Values

_EXAMPLES = """
  tblog drop runs --tag 'gradients/*' -o smaller      tags, in all runs
  tblog drop runs --run 'debug*' -o smaller           whole runs
  tblog drop runs --run a --steps 1000: --in-place    the steps of a run from 1000 on; keeps the old file
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = "Leave out runs, tags and steps: what matches all of --run, --tag and --steps. Other records stay byte for byte."
    parser = command(subcommands, "drop", _drop, text, _EXAMPLES)
    add_source(parser)
    add_filters(parser)
    add_target(parser)


class _InRange:
    """Marks the values at the steps to drop."""

    def __init__(self, steps: range | None) -> None:
        self._steps = steps

    def __call__(self, values: Values, _names: list[str]) -> NDArray[np.bool_]:
        if self._steps is None:
            return np.ones(len(values.steps), bool)
        return within(values.steps, self._steps)


def _drop(given: argparse.Namespace) -> int:
    if given.run is None and given.tag is None and given.steps is None:
        raise CommandError("say what to leave out: --run, --tag, --steps")
    files, tags = files_of(given), tags_of(given)
    if given.tag is None and given.steps is None:
        return _drop_runs(given, files, {*tags})
    goes = _InRange(step_range(given.steps))
    tags = {run: names for run, names in tags.items() if names}
    if not tags:
        output.tell("nothing matches, nothing is written")
        return NOTHING
    return rewrite(files, given, lambda run: Leaving(tags[run], goes) if run in tags else None)


def _drop_runs(given: argparse.Namespace, files: dict[str, list[str]], runs: set[str]) -> int:
    if not runs:
        output.tell("no run matches, nothing is written")
        return NOTHING
    if not given.in_place:
        left = {name: paths for name, paths in files.items() if name not in runs}
        if not left:
            raise CommandError("this would leave out all runs; nothing is written")
        return rewrite(left, given, lambda _: None)
    paths = [path for run in sorted(runs) for path in files[run]]
    if not are_free(paths):
        return NOTHING
    when, done = stamp(), 0
    for path in paths:
        with unless_in_use(path) as held:
            if held is not None and held.may_change():
                move_aside(path, "edit", when)
                done += 1
    tell_of_kept(done, given.dir, when)
    return DONE if done == len(paths) else NOTHING
