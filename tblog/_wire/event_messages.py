"""An Event as TensorBoard's Python loader takes it: whether protobuf parses the bytes, and what a check looks at.

protobuf refuses more than bytes that are no message: known texts must be UTF-8, the messages in known fields must be
whole, and so must packed numbers. A known field of another wire type counts as unknown, and is passed over.
https://protobuf.dev/programming-guides/encoding/

Lives here: those fields of an Event, and of all messages in it, that are checked. Must not: import protobuf.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tblog._wire import parsing as wire
from tblog._wire.events import FILE_VERSION, SESSION_LOG, SUMMARY, TAGGED_RUN_METADATA
from tblog._wire.parsing import BYTES, MAX_DEPTH, Field, MalformedError, fields

SIMPLE, IMAGE, HISTOGRAM, AUDIO, TENSOR = 2, 4, 5, 6, 8
"""What a value may be: the number of its field."""

_FORMS = {3, IMAGE, HISTOGRAM, AUDIO, TENSOR}
_WHATS = {3, 4, 5, 6, 7, 8, 9}
LIMITS, COUNTS = 6, 7
"""The fields of a histogram for its limits and counts."""

_TAG, _METADATA, _NODE_NAME = 1, 9, 7
_VARINTS, _FLOATS, _DOUBLES = 0, 4, 8


@dataclass
class Kind:
    """What protobuf checks in a message of some kind.

    Attributes:
        texts: the numbers of its fields of UTF-8.
        messages: those of messages, and their kinds.
        packed: those of repeated numbers, and the bytes of each number; 0 for varints.
    """

    texts: set[int] = field(default_factory=set)
    messages: dict[int, Kind] = field(default_factory=dict)
    packed: dict[int, int] = field(default_factory=dict)


_SHAPE = Kind(messages={2: Kind(texts={2})})
_RESOURCE = Kind(texts={1, 2, 3, 5}, messages={6: Kind(messages={2: _SHAPE})})
_VARIANT = Kind(texts={1})
_TENSOR = Kind(
    messages={2: _SHAPE, 14: _RESOURCE, 15: _VARIANT},
    packed=dict.fromkeys((7, 10, 11, 13, 16, 17), _VARINTS)
    | dict.fromkeys((5, 9), _FLOATS)
    | dict.fromkeys((6, 12), _DOUBLES),
)
_VARIANT.messages[3] = _TENSOR
_HISTOGRAM = Kind(packed={LIMITS: _DOUBLES, COUNTS: _DOUBLES})
_PLUGIN_DATA = Kind(texts={1})
_SUMMARY_METADATA = Kind(texts={2, 3}, messages={1: _PLUGIN_DATA})
_VALUE = Kind(
    texts={_TAG, _NODE_NAME},
    messages={
        IMAGE: Kind(),
        HISTOGRAM: _HISTOGRAM,
        AUDIO: Kind(texts={5}),
        TENSOR: _TENSOR,
        _METADATA: _SUMMARY_METADATA,
    },
)
EVENT = Kind(
    texts={FILE_VERSION},
    messages={
        SUMMARY: Kind(messages={1: _VALUE}),
        6: Kind(texts={2}),
        SESSION_LOG: Kind(texts={2, 3}),
        TAGGED_RUN_METADATA: Kind(texts={1}),
        10: Kind(texts={1}),
    },
)
"""https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/compat/proto/event.proto"""


@dataclass
class Value:
    """One value of a summary.

    Attributes:
        tag: its tag.
        form: the number of the field that it holds, 0 without one.
        number: its number, if it holds one (`SIMPLE`).
        plugin: the name of the plugin that its metadata tells.
        dtype: TensorFlow's number of the dtype of its tensor.
        limits: how many limits its histogram has, the last of which is `last_limit`.
        counts: how many counts its histogram has.
    """

    tag: str = ""
    form: int = 0
    number: float = 0.0
    plugin: str = ""
    dtype: int = 0
    limits: int = 0
    counts: int = 0
    last_limit: float = 0.0

    def become(self, form: int) -> None:
        """Forget what it held: of several forms, the last one counts."""
        self.form, self.number, self.dtype, self.limits, self.counts, self.last_limit = (
            form,
            0.0,
            0,
            0,
            0,
            0.0,
        )


class EventMessage(NamedTuple):
    """One event: its file version is b"" if it holds anything else, and it has values only with a summary."""

    wall_time: float
    step: int
    version: bytes
    values: list[Value]


def event_message(data: bytes) -> EventMessage:
    """Parse an event; raises `MalformedError` where protobuf raises a DecodeError."""
    wall_time, step, what, version = 0.0, 0, 0, b""
    values: list[Value] = []
    for one in fields(data):
        number = one.key
        if number == 1 and one.wire == wire.FIXED64:
            wall_time = wire.double(data, one.start)
        elif number == 2 and one.wire == wire.VARINT:
            step = wire.signed(one.number)
        elif one.wire == BYTES:
            if (
                number in _WHATS and number != what
            ):  # the last of several counts, and summaries in a row are one
                what, values, version = number, [], b""
            if number == SUMMARY:
                _read_summary(data, one, values)
                continue
            _require(data, one, EVENT, MAX_DEPTH)
            if number == FILE_VERSION:
                version = data[one.start : one.end]
    return EventMessage(wall_time, step, version, values)


def readable(data: bytes) -> EventMessage | None:
    """Return the event, or None if the bytes are not one."""
    try:
        return event_message(data)
    except MalformedError:
        return None


def _read_summary(data: bytes, summary: Field, into: list[Value]) -> None:
    into.extend(
        value_message(data, one.start, one.end)
        for one in fields(data, summary.start, summary.end, MAX_DEPTH - 1)
        if one.key == 1 and one.wire == BYTES
    )


def value_message(data: bytes, start: int = 0, end: int | None = None) -> Value:
    """Parse a value of a summary; raises `MalformedError`."""
    found, depth = Value(), MAX_DEPTH - 2
    for one in fields(data, start, end, depth):
        number = one.key
        if one.wire == BYTES:
            if number == _TAG:
                found.tag = _text(data, one)
                continue
            if number in _FORMS and number != found.form:
                found.become(number)
            _require(data, one, _VALUE, depth)
            if number == _METADATA:
                found.plugin = _plugin(data, one, found.plugin)
            elif number == HISTOGRAM:
                _count(data, one, found)
            elif number == TENSOR:
                found.dtype = _dtype(data, one, found.dtype)
        elif number == SIMPLE and one.wire == wire.FIXED32:
            found.become(SIMPLE)
            found.number = wire.single(data, one.start)
    return found


def _plugin(data: bytes, metadata: Field, name: str) -> str:
    for outer in fields(data, metadata.start, metadata.end):
        if outer.key == 1 and outer.wire == BYTES:
            for inner in fields(data, outer.start, outer.end):
                if inner.key == 1 and inner.wire == BYTES:
                    name = _text(data, inner)
    return name


def _count(data: bytes, histogram: Field, into: Value) -> None:
    for one in fields(data, histogram.start, histogram.end):
        if one.wire in {BYTES, wire.FIXED64}:
            count = (one.end - one.start) // _DOUBLES
            if one.key == LIMITS and count:
                into.limits += count
                into.last_limit = wire.double(data, one.end - _DOUBLES)
            elif one.key == COUNTS:
                into.counts += count


def _dtype(data: bytes, tensor: Field, dtype: int) -> int:
    for one in fields(data, tensor.start, tensor.end):
        if one.key == 1 and one.wire == wire.VARINT:
            dtype = one.number & 0xFFFFFFFF
    return dtype


def _require(data: bytes, one: Field, kind: Kind, depth: int) -> None:
    """Raise `MalformedError` if a field of bytes does not hold what its message has there."""
    if one.key in kind.texts:
        _text(data, one)
    elif (size := kind.packed.get(one.key)) is not None:
        _require_packed(data[one.start : one.end], size)
    elif (inner := kind.messages.get(one.key)) is not None:
        if not depth:
            raise MalformedError(f"messages are nested in more than {MAX_DEPTH} levels")
        for nested in fields(data, one.start, one.end, depth - 1):
            if nested.wire == BYTES:
                _require(data, nested, inner, depth - 1)


def _require_packed(content: bytes, size: int) -> None:
    if size:
        is_whole = len(content) % size == 0
    else:
        ends = np.flatnonzero(np.frombuffer(content, np.uint8) < 0x80)
        lengths = np.diff(ends, prepend=-1)
        is_whole = content[-1:] < b"\x80" and not (lengths > 10).any()
    if not is_whole:
        raise MalformedError(f"{len(content)} bytes are not a whole number of packed ones")


def _text(data: bytes, one: Field) -> str:
    try:
        return data[one.start : one.end].decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"a text is not UTF-8: {error}") from None
