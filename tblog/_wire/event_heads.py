"""The few fields of a serialised Event that order and resuming need, read from bytes that may be damaged.

Must not: import protobuf, raise, whatever the bytes are.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from tblog._wire.events import FILE_VERSION, SESSION_LOG, SUMMARY
from tblog._wire.parsing import BYTES, FIXED64, VARINT, MalformedError, double, fields, signed, text

if TYPE_CHECKING:
    from collections.abc import Iterator


class EventHead(NamedTuple):
    """The fields of an Event beside its payload; `is_whole` is False if the bytes are not a message."""

    wall_time: float
    step: int
    file_version: bytes
    has_summary: bool
    starts_session: bool
    is_whole: bool


def event_head(data: bytes) -> EventHead:
    """Read the fields of a serialised Event that stand beside its payload."""
    wall_time, step, version, has_summary, starts_session, is_whole = 0.0, 0, b"", False, False, True
    try:
        for field in fields(data):
            if field.key == 1 and field.wire == FIXED64:
                wall_time = double(data, field.start)
            elif field.key == 2 and field.wire == VARINT:
                step = signed(field.number)
            elif field.key == FILE_VERSION and field.wire == BYTES:
                version = data[field.start : field.end]
            elif field.key == SUMMARY:
                has_summary = True
            elif field.key == SESSION_LOG and field.wire == BYTES:  # whose status 1 is START
                starts_session = data[field.start : field.end].startswith(b"\x08\x01")
    except MalformedError:
        is_whole = False
    return EventHead(wall_time, step, version, has_summary, starts_session, is_whole)


def event_tags(data: bytes) -> list[str]:
    """Return the tag of each value in a serialised Event's summary, as far as they can be read."""
    return [
        text(tag)
        for summary in _messages(data, SUMMARY)
        for value in _messages(summary, 1)
        for tag in list(_messages(value, 1))[-1:] or [b""]
    ]


def _messages(data: bytes, wanted: int) -> Iterator[bytes]:
    """Yield each content of a repeated field of bytes, up to any damage."""
    with contextlib.suppress(MalformedError):
        for field in fields(data):
            if field.key == wanted and field.wire == BYTES:
                yield data[field.start : field.end]
