"""Which runs, tags and steps a user asks for.

Lives here: matching names with texts, globs and regular expressions, and steps with ranges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tblog.errors import InvalidTypeError, shortened

Names: TypeAlias = "str | re.Pattern[str] | Iterable[str | re.Pattern[str]] | None"
Steps: TypeAlias = "range | slice | tuple[int | None, int | None] | None"


def matcher(names: Names) -> Callable[[str], bool]:
    """Return a function that matches a name with texts, globs and regular expressions; None matches all names."""
    if names is None:
        return lambda _: True
    if isinstance(names, (str, re.Pattern)):
        names = [names]
    asked = list(names) if isinstance(names, Iterable) else [names]
    for name in asked:
        if not isinstance(name, (str, re.Pattern)):
            raise InvalidTypeError(
                f"the name of a run or tag was {shortened(name)} of type {type(name).__name__}; give a name, a glob "
                "(loss/*), a compiled regular expression, or a list of these"
            )
    return lambda name: any(_fits(name, one) for one in asked)


def _fits(name: str, asked: str | re.Pattern[str]) -> bool:
    if isinstance(asked, str):
        return name == asked or fnmatchcase(name, asked)
    return asked.search(name) is not None


def step_range(steps: Steps) -> range | None:
    """Return the chosen steps, None for all."""
    if steps is None or isinstance(steps, range):
        return steps
    if isinstance(steps, slice):
        steps = (steps.start, steps.stop) if steps.step in {None, 1} else ()  # type: ignore[assignment] # refused below
    if (
        not isinstance(steps, tuple)
        or len(steps) != 2
        or not all(end is None or isinstance(end, (int, np.integer)) for end in steps)
    ):
        raise InvalidTypeError(
            f"steps was {shortened(steps)}; give (start, stop), without stop itself, or a range"
        )
    start, stop = steps
    return range(-(1 << 63) if start is None else int(start), 1 << 63 if stop is None else int(stop))


def within(steps: NDArray[np.int64], asked: range) -> NDArray[np.bool_]:
    """Return which steps are in the range."""
    if not asked:
        return np.zeros(len(steps), bool)
    low, high = min(asked[0], asked[-1]), max(asked[0], asked[-1])
    chosen = (steps >= low) & (steps <= high)
    if abs(asked.step) != 1:
        chosen &= (steps - low) % abs(asked.step) == 0
    return chosen
