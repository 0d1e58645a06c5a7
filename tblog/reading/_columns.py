"""Many scalar events of one length -> columns, without a loop over them.

Events that differ only in times, steps, tags and values have one layout. numpy picks these parts out of all events at
once. A CRC is linear, so the checksum of each event follows from that of one event and the bytes that differ.

Lives here: bytes in memory to numpy columns. Must not: know files, runs, or what follows damage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._wire.checksums import MAX_BYTES, contributions
from tblog._wire.framing import HEADER_BYTES, crc32c, mask
from tblog.reading._frames import Bytes, Int64s, words
from tblog.reading._layouts import Layout, layout

FEW = 16
"""Fewer events of one length are read faster one by one."""

_MIN_SHARE = 1 / 32
_TRIES = 8
"""After this many events without enough others like them, the rest is read one by one, so that the work stays linear."""


class Column(NamedTuple):
    """One value of each of many events, which share `layout`."""

    layout: Layout
    rows: Int64s
    steps: Int64s
    wall_times: NDArray[np.float64]
    tags: list[NDArray[np.int32]]
    values: list[NDArray[np.float64]]


class Sorted(NamedTuple):
    """The events of one length, sorted: columns, events to read one by one, and damaged events."""

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
    """Read the events at `rows` that hold only scalars. All of them have one length.

    Args:
        buffer: the bytes with the events.
        starts: int64, where each record of the buffer starts.
        rows: which of them have this length.
        length: the bytes of their data.
        tag_ids: returns the numbers of tags, given as bytes, uint8 (n, length of each).
    """
    found = Sorted([], [], [])
    total = len(rows)
    while len(rows) > FEW and length <= MAX_BYTES:
        at = starts[rows] + HEADER_BYTES
        first = buffer[at[0] : at[0] + length].tobytes()
        plan = layout(first)
        if plan is None:
            found.others.append(rows[:1])
            rows = rows[1:]
            if len(found.others) > _TRIES:
                break
            continue
        different = _differences(buffer, at, first)
        alike = _alike(different, plan)
        if len(alike) < max(FEW, total * _MIN_SHARE):
            found.others.append(rows[alike])
        else:
            crcs = _checksums(different, alike, first)
            is_whole = crcs == words(buffer, "<u4", at[alike] + length)
            found.damaged.append(rows[alike[~is_whole]])
            whole = alike[is_whole] if not is_whole.all() else alike
            if len(whole):
                found.columns.append(_column(buffer, plan, rows[whole], at[whole], tag_ids))
        rest = np.ones(len(rows), bool)
        rest[alike] = False
        rows = rows[rest]
        if len(found.others) > _TRIES:
            break
    if len(rows):
        found.others.append(rows)
    return found


def _differences(buffer: Bytes, at: Int64s, first: bytes) -> list[NDArray[np.uint64]]:
    """Return the bytes of all events, eight to a column, XORed with those of the first; bytes behind the end are 0."""
    found = []
    for place in range(0, len(first), 8):
        part = first[place : place + 8]
        column = words(buffer, "<u8", at + place) ^ np.uint64(int.from_bytes(part, "little"))
        if len(part) < 8:
            column &= np.uint64((1 << 8 * len(part)) - 1)
        found.append(column)
    return found


def _alike(different: list[NDArray[np.uint64]], plan: Layout) -> Int64s:
    """Return which events differ from the first only where the layout allows it."""
    strange = np.zeros(len(different[0]), bool)
    for place, column in enumerate(different):
        may_vary = np.uint64(int.from_bytes(plan.varies[8 * place : 8 * place + 8], "little"))
        if np.bitwise_or.reduce(column) & ~may_vary:
            strange |= (column & ~may_vary) != 0
    return np.flatnonzero(~strange)


def _checksums(different: list[NDArray[np.uint64]], alike: Int64s, first: bytes) -> NDArray[np.uint32]:
    """Return the masked CRC-32C of these events."""
    crcs = np.full(len(alike), crc32c()(first), np.uint32)
    everyone = len(alike) == len(different[0])
    for place, column in enumerate(different):
        chosen = column if everyone else column[alike]
        varying = int(np.bitwise_or.reduce(chosen)) if len(chosen) else 0
        bytes_of = chosen.view(np.uint8).reshape(-1, 8)
        for i in range(8):
            if varying >> 8 * i & 0xFF:
                crcs ^= contributions()[len(first) - 1 - 8 * place - i].take(bytes_of[:, i])
    return mask(crcs)


def _column(buffer: Bytes, plan: Layout, rows: Int64s, at: Int64s, tag_ids: Callable[[Bytes], Any]) -> Column:
    wall_times = np.zeros(len(rows))
    if plan.wall_time is not None:
        wall_times = words(buffer, "<u8", at + plan.wall_time).view("<f8")
    steps = _varints(buffer, at, plan.step) if plan.step else np.zeros(len(rows), np.int64)
    tags, values = [], []
    for slot in plan.slots:
        size = slot.tag.stop - slot.tag.start
        tags.append(tag_ids(texts(buffer, at + slot.tag.start, size)))
        raw = words(buffer, slot.dtype.replace("|", ""), at + slot.value)
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
            values.append(raw.astype(np.float64))
    return Column(plan, rows, steps, wall_times, tags, values)


def texts(buffer: Bytes, at: Int64s, size: int) -> Bytes:
    """Return `size` bytes at each position, uint8 (n, size)."""
    if not size:
        return np.empty((len(at), 0), np.uint8)
    return words(buffer, f"V{size}", at).view(np.uint8).reshape(len(at), size)


def _varints(buffer: Bytes, at: Int64s, place: slice) -> Int64s:
    value = np.zeros(len(at), np.uint64)
    for i in range(place.stop - place.start):
        byte = words(buffer, "|u1", at + place.start + i)
        value |= (byte.astype(np.uint64) & np.uint64(0x7F)) << np.uint64(7 * i)
    return value.view(np.int64)
