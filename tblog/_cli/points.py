"""Scalars on their way into new runs, and what the files of others have as a run, a step and a value."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_TEXTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Point(NamedTuple):
    """One scalar."""

    run: str
    tag: str
    step: int
    wall_time: float
    value: float


class LoggedRun(NamedTuple):
    """A run that another program logged.

    `key` is its id, `rows` are (step, time in seconds, values by their names), of which texts and the like are left out.
    """

    name: str
    key: str
    rows: Iterable[tuple[int, float, dict[str, Any]]]

    def points(self, name: str) -> Iterator[Point]:
        """Yield its scalars as those of a run of some name."""
        for step, wall_time, values in self.rows:
            for tag, raw in values.items():
                value = number(raw)
                if value is not None:
                    yield Point(name, tag, step, wall_time, value)


def run_name(given: Any) -> str:
    """Return a run's name, which is a directory below the new one."""
    name = os.path.normpath(str(given))
    if os.path.isabs(name) or name.split(os.sep)[0] == os.pardir:
        raise ValueError(f"the run {given!r} would lie outside of the new directory")
    return name


def step_number(given: Any) -> int:
    """Return a step, which is a whole number of 64 bits, written as an integer or, as pandas does, as a float."""
    try:
        step = int(given) if isinstance(given, str) or given == int(given) else None
    except (TypeError, ValueError, OverflowError):
        step = None
    if step is None and isinstance(given, str):
        step = int(float(given)) if float(given).is_integer() else None
    if step is None or not -(2**63) <= step < 2**63:
        raise ValueError(f"the step is {given!r}; give a whole number of 64 bits")
    return step


def number(value: Any) -> float | None:
    """Return a value as a number, or None for what is none: an empty cell, a text."""
    if value is None or isinstance(value, (bool, list, dict)):
        return None
    if isinstance(value, str) and value in _TEXTS:
        return _TEXTS[value]
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
