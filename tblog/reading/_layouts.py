"""Where a scalar event keeps its time, step, tags and values. In events of one layout, all other bytes are equal.

Lives here: which events can be read in columns. Must not: read columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tblog._wire import parsing as wire
from tblog._wire.parsing import Field, MalformedError
from tblog.reading import _events
from tblog.reading._tensors import DTYPES

_PLAIN = {1, 2, 3, 8, 9, 22, 23, 19}
"""TensorFlow's dtypes that can be read as columns."""


class Slot(NamedTuple):
    """One value of an event: the positions of its tag and its number, and the metadata of its tag."""

    tag: slice
    value: int
    dtype: str
    is_tensor: bool
    metadata: bytes | None


class Layout(NamedTuple):
    """The layout of a scalar event; `varies` has a 1 for each bit that may differ between events of this layout."""

    wall_time: int | None
    step: slice | None
    slots: list[Slot]
    varies: bytes


def layout(data: bytes) -> Layout | None:
    """Return the layout of an event that holds only scalars, or None for any other event."""
    try:
        return _layout(data)
    except MalformedError:
        return None


def _layout(data: bytes) -> Layout | None:
    wall_time, step, slots = None, None, []
    found = _only(data, 0, len(data), {1: wire.FIXED64, 2: wire.VARINT, 5: wire.BYTES})
    if found is None or 5 not in found:
        return None
    if 1 in found:
        wall_time = found[1].start
    if 2 in found:
        step = slice(found[2].start, found[2].end)
    for field in wire.fields(data, found[5].start, found[5].end):
        slot = _slot(data, field) if (field.key, field.wire) == (1, wire.BYTES) else None
        if slot is None:
            return None
        slots.append(slot)
    varies = np.zeros(len(data), np.uint8)
    if wall_time is not None:
        varies[wall_time : wall_time + 8] = 0xFF
    if step is not None:
        varies[step] = 0x7F  # a varint of the same length
    for slot in slots:
        varies[slot.tag] = 0xFF
        varies[slot.value : slot.value + np.dtype(slot.dtype).itemsize] = 0xFF
    return Layout(wall_time, step, slots, varies.tobytes()) if slots else None


def _only(data: bytes, start: int, end: int, wires: dict[int, int]) -> dict[int, Field] | None:
    """Return the fields of a message by number, or None if one is not expected or occurs twice."""
    found: dict[int, Field] = {}
    for field in wire.fields(data, start, end):
        if wires.get(field.key) != field.wire or field.key in found:
            return None
        found[field.key] = field
    return found


def _slot(data: bytes, value: Field) -> Slot | None:
    wires = {1: wire.BYTES, 2: wire.FIXED32, 8: wire.BYTES, 9: wire.BYTES}
    found = _only(data, value.start, value.end, wires)
    if found is None or 1 not in found or (2 in found) == (8 in found):
        return None
    tag = slice(found[1].start, found[1].end)
    metadata = data[found[9].start : found[9].end] if 9 in found else None
    if _events.SIMPLE in found:
        return Slot(tag, found[2].start, "<f4", is_tensor=False, metadata=metadata)
    place = _number(data, found[8]) if tag.stop > tag.start else None
    return Slot(tag, *place, is_tensor=True, metadata=metadata) if place else None


def _number(data: bytes, tensor: Field) -> tuple[int, str] | None:
    """Return the position and the dtype of the number in a tensor without dimensions, or None for any other tensor."""
    parts = [*wire.fields(data, tensor.start, tensor.end)]
    found = {field.key: field for field in parts}
    if not {1, 2} <= set(found) <= {1, 2, 4, 5, 6} or not len(parts) == len(found) == 3 or found[2].number:
        return None
    if found[1].wire != wire.VARINT or found[2].wire != wire.BYTES or found[1].number not in _PLAIN:
        return None
    (content,) = (field for key, field in found.items() if key > 2)
    dtype = DTYPES[found[1].number]
    wanted = {4: dtype, 5: "<f4", 6: "<f8"}[content.key]
    if (
        content.wire == wire.VARINT
        or wanted != dtype
        or content.end - content.start != np.dtype(dtype).itemsize
    ):
        return None
    return content.start, dtype
