"""The few fields of a serialised Event that order, resuming and repair need, read from bytes that may be damaged.

Must not: import protobuf, raise, whatever the bytes are.
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class EventHead(NamedTuple):
    """What an Event says beside its payload; `is_whole` is False where the bytes are no message."""

    wall_time: float
    step: int
    file_version: bytes
    has_summary: bool
    starts_session: bool
    is_whole: bool


def event_head(data: bytes) -> EventHead:
    """Read the fields of a serialised Event that stand beside its payload."""
    wall_time, step, version, has_summary, starts_session = 0.0, 0, b"", False, False
    position = 0
    try:
        while position < len(data):
            key, position = _varint(data, position)
            field, wire = key >> 3, key & 7
            start = position
            value, position = _value(data, position, wire)
            if field == 1 and wire == 1:
                (wall_time,) = struct.unpack_from("<d", data, start)
            elif field == 2 and wire == 0:
                step = value - (1 << 64) if value >= 1 << 63 else value
            elif field == 3 and wire == 2:
                version = data[position - value : position]
            elif field == 5:
                has_summary = True
            elif field == 7 and wire == 2:  # SessionLog, whose status 1 is START
                starts_session = data[position - value : position].startswith(b"\x08\x01")
    except (IndexError, ValueError, struct.error):
        return EventHead(wall_time, step, version, has_summary, starts_session, is_whole=False)
    return EventHead(wall_time, step, version, has_summary, starts_session, is_whole=True)


def event_tags(data: bytes) -> list[str]:
    """Return the tag of each value in a serialised Event's summary, as far as they can be read."""
    return [
        tag.decode(errors="replace")
        for summary in _messages(data, 5)
        for value in _messages(summary, 1)
        for tag in list(_messages(value, 1))[-1:] or [b""]
    ]


def _messages(data: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the bytes of a field, which is a message or a text, each time that it stands there."""
    position = 0
    with contextlib.suppress(IndexError, ValueError):
        while position < len(data):
            key, position = _varint(data, position)
            value, position = _value(data, position, key & 7)
            if key == wanted << 3 | 2:
                yield data[position - value : position]


def _value(data: bytes, position: int, wire: int) -> tuple[int, int]:
    """Return a varint's value or a field's length, and the position behind the field."""
    if wire == 0:
        return _varint(data, position)
    if wire == 2:
        length, position = _varint(data, position)
    elif wire in {1, 5}:
        length = 8 if wire == 1 else 4
    else:
        raise ValueError(wire)
    if position + length > len(data):
        raise ValueError(length)
    return length, position + length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & ((1 << 64) - 1), position
        shift += 7
        if shift > 63:
            raise ValueError(shift)
