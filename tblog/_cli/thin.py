"""`tblog thin`: reduce curves to fewer points, and keep their ends and extremes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

import tblog
from tblog._cli import output
from tblog._cli.arguments import NOTHING, CommandError, add_filters, add_source, command
from tblog._cli.leaving import Leaving
from tblog._cli.rewriting import add_target, rewrite
from tblog._cli.tags import files_of
from tblog.reading import _curves, _events

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from tblog._cli.edits import Found

_EXAMPLES = """
  tblog thin runs 1000 -o small                    at most 1000 values of each curve
  tblog thin runs 100 --tag 'system/*' --in-place  only these; keeps the old files
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = (
        "Thin curves: the smallest and the largest value of each stretch stay, so no spike is lost. "
        "Other kinds of values do not change."
    )
    parser = command(subcommands, "thin", _thin, text, _EXAMPLES)
    add_source(parser)
    parser.add_argument("most", metavar="N", type=int, help="the most values to keep of a curve, 4 or more")
    add_filters(parser, steps=False)
    add_target(parser)


class _Rest:
    """Returns whether to leave out a scalar, by its position among those of its tag."""

    def __init__(self, stay: dict[str, NDArray[np.bool_]]) -> None:
        self._stay = stay
        self._seen: Counter[str] = Counter()

    def __call__(self, found: Found) -> bool:
        if found.form not in {_events.SIMPLE, _events.TENSOR}:
            return False
        stay, place = self._stay[found.tag], self._seen[found.tag]
        self._seen[found.tag] += 1
        return place < len(stay) and not stay[place]  # values that were logged after the count stay


def _thin(given: argparse.Namespace) -> int:
    if given.most < 4:
        raise CommandError(
            f"thin keeps 4 values of a curve or more, its ends and extremes; {given.most} was given"
        )
    files = files_of(given)
    stay: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for series in tblog.read(given.dir, run=given.run, tag=given.tag, restarts="keep").scalars.series():
        if len(series.value) > given.most:
            mask = np.zeros(len(series.value), bool)
            mask[_curves.thin(series.value, given.most)] = True
            stay.setdefault(series.run, {})[series.tag] = mask
    if not stay:
        output.tell(f"no curve has more than {given.most} values, nothing is written")
        return NOTHING
    return rewrite(files, given, lambda run: Leaving(stay[run], _Rest(stay[run])) if run in stay else None)
