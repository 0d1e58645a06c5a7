"""Many scalar events of one length -> columns, without a loop over them.

Events whose bytes agree but for times, steps, tags and values have one layout. What varies is picked out of all of
them at once.

Lives here: bytes in memory to numpy columns. Must not: know files, runs, or what follows damage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._wire.framing import HEADER_BYTES
from tblog.reading._frames import Bytes, Int64s, column
from tblog.reading._layouts import Layout, layout
from tblog.reading._likeness import alike

_FEW_BYTES = 1024
"""Up to this many bytes, events of one length are read faster one by one."""

_MIN_SHARE = 1 / 32
_TRIES = 8
"""After this many events with too few like them, the rest is read one by one, to bound the work."""


class Column(NamedTuple):
    """The values of many events; `layout` is theirs, tags and values are (n, values of each event)."""

    layout: Layout
    rows: Int64s
    steps: Int64s
    wall_times: NDArray[np.float64]
    tags: NDArray[np.int32]
    values: NDArray[np.float64]

    def at(self, which: NDArray[np.bool_]) -> Column:
        """Return some of the events."""
        return self._replace(
            rows=self.rows[which],
            steps=self.steps[which],
            wall_times=self.wall_times[which],
            tags=self.tags[which],
            values=self.values[which],
        )


class Sorted(NamedTuple):
    """What became of the events of one length: columns, events to be read one by one, and damaged ones."""

    columns: list[Column]
    others: list[Int64s]
    damaged: list[Int64s]


def by_length(lengths: Int64s) -> Iterator[Int64s]:
    """Yield the rows of each length, in their order."""
    order = np.argsort(lengths.astype(np.uint16) if not (lengths >> 16).any() else lengths, kind="stable")
    changes = np.flatnonzero(np.diff(lengths[order])) + 1
    yield from np.split(order, changes)


def columns(
    buffer: Bytes, starts: Int64s, rows: Int64s, length: int, tag_ids: Callable[[Bytes], NDArray[np.int32]]
) -> Sorted:
    """Take apart those of the events at `rows`, which all have one length, that hold nothing but scalars.

    Args:
        buffer: the bytes that they stand in.
        starts: int64, where each record of the buffer starts.
        rows: which of them have this length.
        length: the bytes of their data.
        tag_ids: what gives numbers for tags, from the tags' bytes, uint8 (n, length of each).
    """
    found = Sorted([], [], [])
    few = _FEW_BYTES // max(length, 1)
    fewest = max(few, len(rows) * _MIN_SHARE)
    while len(rows) > few and len(found.others) <= _TRIES:
        at = starts[rows] + HEADER_BYTES
        first = buffer[at[0] : at[0] + length].tobytes()
        plan = layout(first)
        if plan is None:
            found.others.append(rows[:1])
            rows = rows[1:]
            continue
        which, table, is_whole, varies = alike(buffer, at, first, plan.varies)
        its = rows[which]
        if len(which) < fewest:
            found.others.append(its)
        else:
            if not is_whole.all():
                found.damaged.append(its[~is_whole])
                its, table = its[is_whole], table[is_whole]
            if len(its):
                found.columns.append(_column(table, plan, its, varies, tag_ids))
        if len(which) == len(rows):
            return found
        rest = np.ones(len(rows), bool)
        rest[which] = False
        rows = rows[rest]
    if len(rows):
        found.others.append(rows)
    return found


def _column(
    table: Bytes,
    plan: Layout,
    rows: Int64s,
    varies: NDArray[np.bool_],
    tag_ids: Callable[[Bytes], NDArray[np.int32]],
) -> Column:
    wall_times = np.zeros(len(rows)) if plan.wall_time is None else column(table, "<f8", plan.wall_time)
    steps = _varints(table[:, plan.step]) if plan.step else np.zeros(len(rows), np.int64)
    tags = np.empty((len(rows), len(plan.slots)), np.int32)
    values = np.empty((len(rows), len(plan.slots)))
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        for number, slot in enumerate(plan.slots):
            different = table if varies[slot.tag].any() else table[:1]
            tags[:, number] = tag_ids(different[:, slot.tag])
            values[:, number] = column(table, slot.dtype, slot.value)
    return Column(plan, rows, steps, wall_times, tags, values)


def _varints(digits: Bytes) -> Int64s:
    """Return numbers of seven bits for each byte, uint8 (n, bytes of each)."""
    value = np.zeros(len(digits), np.uint64)
    for i in range(digits.shape[1]):
        value |= (digits[:, i] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * i)
    return value.view(np.int64)
