"""Values that are shown step by step: the choice of steps for each tag and run.

Lives here: the choice, and counting values that cannot be shown. Must not: know any kind.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any, TypeVar

import numpy as np

from tblog.reading import Item, UnreadableError
from tblog.reporting._packing import base_of, based

ItemT = TypeVar("ItemT", bound=Item)


class NoRoomError(Exception):
    """The report would become too large with this value."""


def series(
    items: Iterable[ItemT], most: int, runs: list[str], show: Callable[[ItemT], Any]
) -> list[dict[str, Any]]:
    """Return the steps, times and contents to show for each tag of each run; steps are counted from a tag's `base`.

    The last steps of all tags are taken first, then the steps before them. So early steps are left out first.

    Args:
        items: the values of one kind.
        most: maximum number of steps of one tag of one run, including the first and the last.
        runs: the names of all runs.
        show: converts a value to the page's form; raises UnreadableError or NoRoomError.
    """
    numbers = {name: number for number, name in enumerate(runs)}
    found: dict[tuple[str, int], list[ItemT]] = {}
    for item in items:
        found.setdefault((item.tag, numbers[item.run]), []).append(item)
    keys = sorted(found)
    steps: dict[str, list[int]] = {}
    for (tag, _), of_key in found.items():
        steps.setdefault(tag, []).extend(item.step for item in of_key)
    bases = {tag: base_of(of_tag) for tag, of_tag in steps.items()}
    shown: dict[tuple[str, int], list[tuple[ItemT, Any]]] = {key: [] for key in keys}
    missing = {key: Counter[str]() for key in keys}
    for turn in zip_longest(*(reversed(_evenly(found[key], most)) for key in keys)):
        for key, item in zip(keys, turn, strict=True):
            if item is None:
                continue
            try:
                shown[key].append((item, show(item)))
            except UnreadableError:
                missing[key]["unreadable"] += 1
            except NoRoomError:
                missing[key]["noRoom"] += 1
    return [
        {
            "tag": tag,
            "run": run,
            **based(bases[tag]),
            "of": len(found[tag, run]),
            **missing[tag, run],
            "steps": [item.step - bases[tag] for item, _ in reversed(shown[tag, run])],
            "times": [number(item.wall_time) for item, _ in reversed(shown[tag, run])],
            "shown": [content for _, content in reversed(shown[tag, run])],
        }
        for tag, run in keys
    ]


def _evenly(items: list[ItemT], most: int) -> list[ItemT]:
    """Return the first, the last, and some between them."""
    if len(items) <= most:
        return items
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, most)]


def number(value: float) -> float | None:
    """Return a number in a form that JSON has."""
    return value if math.isfinite(value) else None
