"""Scalars on their way into new runs, and what the files of others have as a run, a tag, a step, a time and a value."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tblog._values.arguments import to_wall_time
from tblog._values.checks import check_text
from tblog.errors import shortened

_TEXTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LONGEST_RUN, _LONGEST_PART = 1000, 255
"""In bytes: what a path and a name may have, with room for the directory before it and the file in it."""


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
                    yield Point(name, tag_name(tag), step, wall_time, value)


def run_name(given: Any) -> str:
    """Return a run's name, which is a directory below the new one."""
    if isinstance(given, (list, dict, bytes)):
        raise ValueError(f"the run is {shortened(given)}; give a name")  # noqa: TRY004 # of the file, not of the code
    name = os.path.normpath(str(given))
    if os.path.isabs(name) or name.split(os.sep)[0] == os.pardir:
        raise ValueError(f"the run {shortened(given)} would lie outside of the new directory")
    raw = name.encode(errors="surrogateescape") if _is_file_name(name) else b"\0"
    if b"\0" in raw or len(raw) > _LONGEST_RUN or max(map(len, raw.split(b"/"))) > _LONGEST_PART:
        raise ValueError(f"the run {shortened(given)} cannot be the name of a directory")
    return name


def _is_file_name(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def tag_name(given: Any) -> str:
    """Return a tag, which may be a number in a file of JSON."""
    tag = str(given) if isinstance(given, (int, float)) else given
    check_text(tag, "the tag")
    return str(tag)


def step_number(given: Any) -> int:
    """Return a step, which is a whole number of 64 bits, written as an integer or, as pandas does, as a float."""
    step = None if isinstance(given, bool) else _whole(given)
    if step is None or not -(2**63) <= step < 2**63:
        raise ValueError(f"the step is {shortened(given)}; give a whole number of 64 bits")
    return step


def _whole(given: Any) -> int | None:
    for form in (int, float):
        try:
            value = form(given)
            if isinstance(given, str) or value == given:
                return int(value) if value == int(value) else None
        except (TypeError, ValueError, OverflowError):
            continue
    return None


def wall_time(given: Any) -> float:
    """Return a time in seconds since the epoch."""
    return to_wall_time(float(given) if isinstance(given, str) else given, "the wall_time")


def parsed_json(text: str | bytes) -> Any:
    """Return what a text of JSON holds.

    Raises:
        ValueError: it is none, or has more levels than Python can take.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it has too many levels of lists and objects") from None


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
