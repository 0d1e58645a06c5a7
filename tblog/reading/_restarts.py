"""Which values of a run count after a training was restarted: those that TensorBoard's loaders keep, or all.

Lives here: rows and steps. Must not: know values or files.

- "tensorboard": as in EventAccumulator, TensorBoard's Python loader. A START event hides earlier values of its step
  and of later steps. In files without a version, an event whose step is smaller than one before it hides the values of
  its tags from its step on.
  https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/backend/event_processing/event_accumulator.py
- "rust": as in RustBoard, the default loader. Each value hides earlier values of its tag with the same or a later step.
  Events whose time is NaN are dropped.
  https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/data/server/reservoir.rs
- "keep": everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESTARTS = ("tensorboard", "rust", "keep")

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Part(NamedTuple):
    """The values of one kind in one file, in order.

    `latest` is the largest step of any event before each value; None in a file that states its version.
    """

    tags: NDArray[np.int32]
    steps: Int64s
    wall_times: NDArray[np.float64]
    starts: Sequence[tuple[int, int]]
    latest: Int64s | None


def counting(parts: Sequence[Part], restarts: str) -> list[Bools] | None:
    """Return for each file which of its values count; None where all of them do.

    `starts` of a part are (values of this kind before it, step) of each START event of its file.
    """
    if restarts == "keep" or not any(len(part.steps) for part in parts):
        return None
    if restarts == "rust":
        return _as_rust(parts)
    return _as_python(parts)


def _as_rust(parts: Sequence[Part]) -> list[Bools] | None:
    tags = np.concatenate([part.tags for part in parts])
    steps = np.concatenate([part.steps for part in parts])
    valid = ~np.isnan(np.concatenate([part.wall_times for part in parts]))
    counts = valid.copy()
    rows = np.flatnonzero(valid)
    counts[rows[_is_hidden(tags[rows], steps[rows], np.ones(len(rows), bool))]] = False
    return None if counts.all() else _split(counts, parts)


def _as_python(parts: Sequence[Part]) -> list[Bools] | None:
    if not any(part.starts or part.latest is not None for part in parts):
        return None
    counts = [np.ones(len(part.steps), bool) for part in parts]
    old = [
        part for part in parts if part.latest is not None
    ]  # those before the first that states its version
    if old:
        tags = np.concatenate([part.tags for part in old])
        steps = np.concatenate([part.steps for part in old])
        latest = np.concatenate([part.latest for part in old if part.latest is not None])
        counts[: len(old)] = _split(~_is_hidden(tags, steps, steps < latest), old)
    least: int | None = None  # the smallest step of the START events behind the current rows
    for number in range(len(parts) - 1, -1, -1):
        part, end = parts[number], len(parts[number].steps)
        for before, step in reversed(part.starts if part.latest is None else ()):
            if least is not None:
                counts[number][before:end] &= part.steps[before:end] < least
            least, end = step if least is None else min(least, step), before
        if least is not None:
            counts[number][:end] &= part.steps[:end] < least
    return counts


def _is_hidden(tags: NDArray[np.int32], steps: Int64s, hides: Bools) -> Bools:
    """Return which values are followed by one of the same tag that hides and whose step is not larger."""
    hidden = np.zeros(len(tags), bool)
    order = np.argsort(tags, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(tags[order])) + 1):
        series = steps[rows]
        if (np.diff(series) > 0).all():
            continue
        hiding = np.where(hides[rows], series, np.iinfo(np.int64).max)
        least = np.minimum.accumulate(hiding[::-1])[::-1]
        hidden[rows[:-1]] = (least[1:] <= series[:-1]) & _any_behind(hides[rows])
    return hidden


def _any_behind(hides: Bools) -> Bools:
    """Return, for all values except the last, whether one behind it hides."""
    return np.logical_or.accumulate(hides[::-1])[::-1][1:]


def _split(counts: Bools, parts: Sequence[Part]) -> list[Bools]:
    return np.split(counts, np.cumsum([len(part.steps) for part in parts])[:-1])
