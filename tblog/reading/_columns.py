"""Many scalar events of one length -> columns, without a loop over them.

Events whose bytes agree but for times, steps, tags and values have one layout. What varies is picked out of all of
them at once.

Lives here: bytes in memory to numpy columns. Must not: know files, runs, or what follows damage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._wire.framing import HEADER_BYTES
from tblog.reading._frames import Bytes, Int64s, words
from tblog.reading._layouts import Layout, layout
from tblog.reading._likeness import alike, texts

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
    buffer: Bytes, starts: Int64s, rows: Int64s, length: int, tag_ids: Callable[[Bytes], Any]
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
        which, is_whole, varies = alike(buffer, at, first, plan.varies)
        if len(which) < fewest:
            found.others.append(rows[which])
        else:
            found.damaged.append(rows[which[~is_whole]])
            whole = which if is_whole.all() else which[is_whole]
            if len(whole):
                found.columns.append(_column(buffer, plan, rows[whole], at[whole], varies, tag_ids))
        rest = np.ones(len(rows), bool)
        rest[which] = False
        rows = rows[rest]
    if len(rows):
        found.others.append(rows)
    return found


def _column(
    buffer: Bytes,
    plan: Layout,
    rows: Int64s,
    at: Int64s,
    varies: NDArray[np.bool_],
    tag_ids: Callable[[Bytes], Any],
) -> Column:
    wall_times = np.zeros(len(rows))
    if plan.wall_time is not None:
        wall_times = words(buffer, "<u8", at + plan.wall_time).view("<f8")
    steps = _varints(buffer, at, plan.step) if plan.step else np.zeros(len(rows), np.int64)
    tags = np.empty((len(rows), len(plan.slots)), np.int32)
    for number, slot in enumerate(plan.slots):
        different = at if varies[slot.tag].any() else at[:1]
        tags[:, number] = tag_ids(texts(buffer, different + slot.tag.start, slot.tag.stop - slot.tag.start))
    return Column(plan, rows, steps, wall_times, tags, _values(buffer, plan, at))


def _values(buffer: Bytes, plan: Layout, at: Int64s) -> NDArray[np.float64]:
    found = np.empty((len(at), len(plan.slots)))
    dtypes = [slot.dtype for slot in plan.slots]
    for dtype in dict.fromkeys(dtypes):
        slots = [number for number, one in enumerate(dtypes) if one == dtype]
        places = at[:, None] + np.array([plan.slots[number].value for number in slots])
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
            found[:, slots if len(slots) < len(dtypes) else slice(None)] = words(
                buffer, dtype.replace("|", ""), places
            )
    return found


def _varints(buffer: Bytes, at: Int64s, place: slice) -> Int64s:
    value = np.zeros(len(at), np.uint64)
    for i in range(place.stop - place.start):
        byte = words(buffer, "|u1", at + place.start + i)
        value |= (byte.astype(np.uint64) & np.uint64(0x7F)) << np.uint64(7 * i)
    return value.view(np.int64)
