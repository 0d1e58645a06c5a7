"""One Event message: its step and time, and which values it holds, without what they hold.

Lives here: reading single events, those that do not fit columns. Must not: decode a value other than a plain number.

https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/compat/proto/event.proto
https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/compat/proto/summary.proto
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tblog._wire import parsing as wire
from tblog._wire.events import FILE_VERSION, SESSION_LOG, SUMMARY

NOTHING, SIMPLE, IMAGE, HISTOGRAM, AUDIO, TENSOR = 0, 2, 4, 5, 6, 8
"""What a value is: the number of its field."""

_WHATS = frozenset({3, 4, 5, 6, 7, 8, 9})
_FORMS = frozenset({2, 4, 5, 6, 8})


class Value(NamedTuple):
    """One value of a summary, and its index there. Its content is at `start` to `end` of the event."""

    number: int
    tag: str
    form: int
    start: int
    end: int
    metadata: tuple[int, int] | None


class Event(NamedTuple):
    """One event; `what` is the number of the field that it holds, whose content is at `start` to `end`."""

    wall_time: float
    step: int
    what: int
    start: int
    end: int
    values: list[Value]


def parse(data: bytes) -> Event:
    """Parse an event; raises `MalformedError` if the bytes are not one."""
    wall_time, step, what, start, end = 0.0, 0, NOTHING, 0, 0
    values: list[Value] = []
    for field in wire.fields(data):
        if field.key == 1 and field.wire == wire.FIXED64:
            wall_time = wire.double(data, field.start)
        elif field.key == 2 and field.wire == wire.VARINT:
            step = wire.signed(field.number)
        elif field.key in _WHATS and field.wire == wire.BYTES:
            if field.key != what:  # the last of several counts, and summaries in a row are one
                values = []
            what, start, end = field.key, field.start, field.end
            if what == SUMMARY:
                values += _values(data, start, end, len(values))
    return Event(wall_time, step, what, start, end, values)


def _values(data: bytes, start: int, end: int, number: int) -> Iterator[Value]:
    """Yield the values of a summary that are not empty."""
    for field in wire.fields(data, start, end):
        if field.key == 1 and field.wire == wire.BYTES:
            found = value(data, field.start, field.end, number)
            number += 1
            if found.form != NOTHING or found.metadata is not None:
                yield found


def value(data: bytes, start: int, end: int, number: int = 0) -> Value:
    """Take a value of a summary apart; raises `MalformedError`."""
    tag = node = b""
    form = at = behind = 0
    metadata = None
    for field in wire.fields(data, start, end):
        if field.wire == wire.BYTES and field.key == 1:
            tag = data[field.start : field.end]
        elif field.wire == wire.BYTES and field.key == 7:
            node = data[field.start : field.end]
        elif field.wire == wire.BYTES and field.key == 9:
            metadata = (field.start, field.end)
        elif field.key in _FORMS and field.wire == (wire.FIXED32 if field.key == SIMPLE else wire.BYTES):
            form, at, behind = field.key, field.start, field.end
    if form == TENSOR and not tag:  # as EventAccumulator does for what TensorFlow wrote before tags
        tag = node
    return Value(number, wire.text(tag), form, at, behind, metadata)


def starts_session(data: bytes, event: Event) -> bool:
    """Return whether an event is the START at which TensorBoard drops later steps."""
    if event.what != SESSION_LOG:
        return False
    status = 0
    for field in wire.fields(data, event.start, event.end):
        if field.key == 1 and field.wire == wire.VARINT:
            status = field.number
    return status == 1


def version(data: bytes, event: Event) -> float:
    """Return the version of the format that an event states ("brain.Event:2"), 0 if it states none."""
    if event.what != FILE_VERSION:
        return 0.0
    try:
        return float(data[event.start : event.end].removeprefix(b"brain.Event:"))
    except ValueError:
        return 0.0


class Metadata(NamedTuple):
    """The metadata of a tag, which its first value states."""

    plugin: str = ""
    content: bytes = b""
    display_name: str = ""
    description: str = ""


def metadata(data: bytes) -> Metadata:
    """Parse a SummaryMetadata."""
    texts = {1: b"", 2: b"", 3: b""}
    for field in wire.fields(data):
        if field.key in texts and field.wire == wire.BYTES:
            texts[field.key] = data[field.start : field.end]
    plugin = wire.message(texts[1], 1) or b""
    content = wire.message(texts[1], 2) or b""
    return Metadata(wire.text(plugin), content, wire.text(texts[2]), wire.text(texts[3]))
