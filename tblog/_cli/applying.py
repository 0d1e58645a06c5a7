"""Applies decisions about the values of many records to their bytes.

Records whose values stay are copied. Values that are removed are cut out of all records of one layout at once. Where tags
are renamed, one of the records with the same layout, tags and decisions is edited; the others are copies of it with their
own times, steps and values. All other records are edited one by one.

Lives here: bytes -> bytes. Must not: know files, or why a value is removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tblog._cli.edits import Kept, edited, summary_of
from tblog._cli.stretches import framed_bytes
from tblog._wire.events import SUMMARY
from tblog._wire.fields import varint
from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES, frame, header, masked_crc
from tblog.reading._frames import AROUND, Bytes, Int64s
from tblog.reading._layouts import layout
from tblog.reading._likeness import texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tblog._cli.edits import Found
    from tblog._cli.stretches import Records
    from tblog.reading._columns import Column
    from tblog.reading._layouts import Layout

_FEW = 4
"""Up to this many records are edited faster one by one."""


class Decisions(NamedTuple):
    """Decisions about the values of a stretch.

    `goes` marks the values to remove, bool (n,). `names` has new names by the numbers of tags. `metadata` has, by the
    place of a value, the metadata to give to it.
    """

    goes: NDArray[np.bool_]
    names: dict[int, str]
    metadata: dict[int, bytes]


def touched(records: Records, decided: Decisions) -> NDArray[np.bool_]:
    """Return which records change."""
    changes = decided.goes | np.isin(records.values.tags, [*decided.names])
    changes[[*decided.metadata]] = True
    found = np.zeros(len(records.found.starts), bool)
    found[records.values.rows[changes]] = True
    return found


def applied(records: Records, names: list[str], decided: Decisions) -> Bytes:
    """Return the new bytes of the records; `names` are the tags by their numbers."""
    is_touched = touched(records, decided)
    if not is_touched.any():
        return records.buffer[: records.found.end]
    editor = _Editor(records, names, decided)
    made = [one for column, at in records.columns for one in editor.of_column(column, at, is_touched)]
    made += [editor.one(single.row, first) for single, first in records.singles if is_touched[single.row]]
    before = framed_bytes(records.found)
    sizes = np.where(is_touched, 0, before)
    for rows, table in made:
        sizes[rows] = table.shape[1]
    starts = np.cumsum(sizes) - sizes
    new = np.empty(int(sizes.sum()), np.uint8)
    new[np.repeat(~is_touched, sizes)] = records.buffer[: records.found.end][np.repeat(~is_touched, before)]
    for rows, table in made:
        width = table.shape[1]
        if width:
            everywhere = np.ndarray((len(new) - width + 1,), f"V{width}", new.data, strides=(1,))
            everywhere[starts[rows]] = table.view(f"V{width}")[:, 0]
    return new


_Made = tuple[Int64s, Bytes]
"""Rows of records, and their framed bytes, uint8 (rows, bytes of each): none where they go."""


class _Editor:
    """Edits the records of a stretch."""

    def __init__(self, records: Records, names: list[str], decided: Decisions) -> None:
        self._records, self._names, self._decided = records, names, decided

    def of_column(self, column: Column, at: Int64s, is_touched: NDArray[np.bool_]) -> Iterator[_Made]:
        """Yield the records of a column that change."""
        goes = self._decided.goes[at]
        gone = np.logical_and.reduce(goes, axis=1)
        yield column.rows[gone], np.empty((int(gone.sum()), 0), np.uint8)
        left = np.flatnonzero(is_touched[column.rows] & ~gone)
        if not len(left):
            return
        odd = [
            number for number, name in enumerate(self._names) if "\ufffd" in name
        ]  # these may have several spellings
        alone = np.isin(at, [*self._decided.metadata]) | np.isin(column.tags, odd)
        is_alone = np.logical_or.reduce(alone[left], axis=1)
        for one in left[is_alone]:
            yield self.one(int(column.rows[one]), int(at[one, 0]))
        left = left[~is_alone]
        renamed = np.isin(column.tags[left], [*self._decided.names]).any(axis=1)
        yield from self._cut(column.rows[left[~renamed]], goes[left[~renamed]])
        left = left[renamed]
        fates = column.tags[left].astype(np.int64) << 1 | goes[left]
        _, which = np.unique(fates, axis=0, return_inverse=True)
        order = np.argsort(which.reshape(-1), kind="stable")
        for group in np.split(left[order], np.flatnonzero(np.diff(which.reshape(-1)[order])) + 1):
            yield from self._alike(column.rows[group], at[group, 0], column.layout, goes[group[:1]])

    def _cut(self, rows: Int64s, goes: NDArray[np.bool_]) -> Iterator[_Made]:
        """Yield records of one layout without the values that go, of which each has others, but as they are otherwise."""
        if not len(rows):
            return
        starts = self._records.found.starts[rows] + HEADER_BYTES
        table = texts(self._records.buffer, starts, int(self._records.found.lengths[rows[0]]))
        begin, edges = summary_of(table[0].tobytes())
        sizes = np.diff(edges)
        lengths = (~goes * sizes).sum(axis=1)
        for length in np.unique(lengths).tolist():
            which = np.flatnonzero(lengths == length)
            values = table[which, edges[0] : edges[-1]][np.repeat(~goes[which], sizes, axis=1)]
            head = np.frombuffer(varint(SUMMARY << 3 | 2) + varint(length), np.uint8)
            parts = [
                table[which, :begin],
                np.tile(head, (len(which), 1)),
                values.reshape(len(which), length),
                table[which, edges[-1] :],
            ]
            yield rows[which], _framed(np.concatenate(parts, axis=1))

    def _alike(
        self, rows: Int64s, firsts: Int64s, before: Layout, goes: NDArray[np.bool_]
    ) -> Iterator[_Made]:
        """Yield records with the same layout, tags and decisions."""
        new = self._edited(int(rows[0]), int(firsts[0])) if len(rows) > _FEW else None
        after = layout(new) if new else None
        if new is None or after is None or len(after.slots) + int(goes.sum()) != len(before.slots):
            for row, first in zip(rows.tolist(), firsts.tolist(), strict=True):
                yield self.one(row, first)
            return
        starts = self._records.found.starts[rows] + HEADER_BYTES
        length = int(self._records.found.lengths[rows[0]])
        table = np.tile(np.frombuffer(new, np.uint8), (len(rows), 1))
        slots = [slot for slot, gone in zip(before.slots, goes[0], strict=True) if not gone]
        table[:, _varying(after)] = texts(self._records.buffer, starts, length)[
            :, _varying(before._replace(slots=slots))
        ]
        yield rows, _framed(table)

    def one(self, row: int, first: int) -> _Made:
        """Edit one record, whose first value is at the place `first`."""
        new = self._edited(row, first)
        content = b"" if new is None else frame(new)
        return np.array([row]), np.frombuffer(content, np.uint8).reshape(1, -1)

    def _edited(self, row: int, first: int) -> bytes | None:
        start = int(self._records.found.starts[row])
        end = start + int(self._records.found.lengths[row]) + AROUND
        places = iter(range(first, len(self._records.values.rows)))

        def decide(found: Found) -> Kept | None:
            place = next(places)
            if self._decided.goes[place]:
                return None
            name = self._decided.names.get(int(self._records.values.tags[place]), found.tag)
            return Kept(name, self._decided.metadata.get(place, b""))

        data = self._records.buffer[start + HEADER_BYTES : end - FOOTER_BYTES].tobytes()
        return edited(data, decide)


def _framed(table: Bytes) -> Bytes:
    """Return events of one length as records."""
    count, size = table.shape
    packed = memoryview(table.tobytes())
    crcs = [masked_crc(packed[place : place + size]) for place in range(0, len(packed), size)]
    heads = np.tile(np.frombuffer(header(size), np.uint8), (count, 1))
    feet = np.array(crcs, "<u4").view(np.uint8).reshape(count, FOOTER_BYTES)
    return np.concatenate([heads, table, feet], axis=1)


def _varying(plan: Layout) -> Int64s:
    """Return where an event keeps its time, step and values."""
    spans = [] if plan.wall_time is None else [(plan.wall_time, plan.wall_time + 8)]
    spans += [] if plan.step is None else [(plan.step.start, plan.step.stop)]
    spans += [(slot.value, slot.value + np.dtype(slot.dtype).itemsize) for slot in plan.slots]
    return np.concatenate([np.arange(start, end) for start, end in spans])
