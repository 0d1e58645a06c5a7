"""Which values of a run count, where a training was started again: as TensorBoard's loaders have it, or all.

Lives here: rows and steps. Must not: know values or files.

- "tensorboard": as EventAccumulator, TensorBoard's Python loader. A START event hides what stands before it and has
  its step or a later one. In files without a version, an event that comes after a later step hides the values of its
  tags from its step on.
  https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/backend/event_processing/event_accumulator.py
- "rust": as RustBoard, the default loader. Each value hides those of its tag that stand before it and have its step or
  a later one; events whose time is no number are dropped.
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
    least: int | None = None  # the smallest step of the START events behind what is looked at
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
    """Return which values have one of their tag behind them that hides, and whose step is the same or smaller."""
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
    """Return which values but the last have one behind them that hides."""
    return np.logical_or.accumulate(hides[::-1])[::-1][1:]


def _split(counts: Bools, parts: Sequence[Part]) -> list[Bools]:
    return np.split(counts, np.cumsum([len(part.steps) for part in parts])[:-1])
