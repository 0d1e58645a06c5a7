"""`tblog thin`: reduce curves to fewer points, and keep their ends and extremes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._cli import output
from tblog._cli.arguments import (
    NOTHING,
    CommandError,
    add_filters,
    add_source,
    chosen_runs,
    command,
    nothing_fits,
)
from tblog._cli.leaving import Leaving, places_by
from tblog._cli.rewriting import add_target, rewrite
from tblog._cli.tags import files_of
from tblog.reading import _curves, _events

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from tblog._cli.stretches import Values

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
    """Marks the scalars to remove, by their places among the scalars of their tags."""

    def __init__(self, stay: dict[str, NDArray[np.bool_]]) -> None:
        self._stay = stay
        self._seen: Counter[str] = Counter()

    def __call__(self, values: Values, names: list[str]) -> NDArray[np.bool_]:
        goes = np.zeros(len(values.tags), bool)
        is_scalar = np.isin(values.forms, [_events.SIMPLE, _events.TENSOR])
        for number, places in places_by(values.tags, is_scalar).items():
            name = names[number]
            if name in self._stay:
                left = self._stay[name][self._seen[name] :][: len(places)]
                goes[places[: len(left)]] = ~left  # scalars that were logged after the count stay
                self._seen[name] += len(places)
        return goes


def _thin(given: argparse.Namespace) -> int:
    if given.most < 4:
        raise CommandError(
            f"thin keeps 4 values of a curve or more, its ends and extremes; {given.most} was given"
        )
    files = files_of(given)
    stay: dict[str, dict[str, NDArray[np.bool_]]] = {}
    runs = chosen_runs(given, restarts="keep")
    if not len(runs.scalars):
        return nothing_fits(given, runs, ", nothing is written")
    for series in runs.scalars.series():
        if len(series.value) > given.most:
            mask = np.zeros(len(series.value), bool)
            mask[_curves.thin(series.value, given.most)] = True
            stay.setdefault(series.run, {})[series.tag] = mask
    if not stay:
        output.tell(f"no curve has more than {given.most} values, nothing is written")
        return NOTHING
    return rewrite(files, given, lambda run: Leaving(stay[run], _Rest(stay[run])) if run in stay else None)
