"""The fields of an event, byte for byte as protobuf writes them.

    09 wall_time:8              left out if it is +0.0
    10 step:varint              left out if it is 0
    and one of:
    1a size version             the first event of a file
    22 size graph               a GraphDef
    2a size summary
    3a size session             a SessionLog
    42 size metadata            a TaggedRunMetadata

The summary of scalars has in it for each value:

    0a size
    0a size tag                 left out if the tag is empty
    15 value:4

https://protobuf.dev/programming-guides/encoding, and the field numbers of Event and Summary in
https://github.com/tensorflow/tensorboard/tree/a9e1bba361fdfc525866e5bb25222dab7eac3671/tensorboard/compat/proto

Lives here: one message at a time. Must not: know batches, import protobuf.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from tblog._wire.fields import sized, varint
from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES, frame

TIME_KEY = 0x09
STEP_KEY = 0x10

TIME_BYTES = 9
"""The length of the field of the time."""
VALUE_BYTES = 4
"""The length of a value, which ends the event of one scalar."""

FILE_VERSION, GRAPH_DEF, SUMMARY, SESSION_LOG, TAGGED_RUN_METADATA, META_GRAPH_DEF = 3, 4, 5, 7, 8, 9
"""What an event may hold: field numbers."""

VERSION = b"brain.Event:2"
"""The version that the first event of a file tells."""


def head(wall_time: float, step: int) -> bytes:
    """Return the fields that stand before the payload."""
    packed = struct.pack("<Bd", TIME_KEY, wall_time)
    time_field = packed if packed[1:] != bytes(8) else b""
    return time_field + _step_field(step) if step else time_field


def event(wall_time: float, step: int, field: int, payload: bytes) -> bytes:
    """Return a whole event that holds a message or bytes in one of its fields."""
    return head(wall_time, step) + sized(field, payload)


def first_event(wall_time: float) -> bytes:
    """Return the record that opens each event file.

    Args:
        wall_time: seconds since the epoch, neither 0 nor NaN.
    """
    return frame(first_event_data(wall_time))


def first_event_data(wall_time: float) -> bytes:
    """Return the data of `first_event`."""
    return event(wall_time, 0, FILE_VERSION, VERSION)


FIRST_EVENT_BYTES = HEADER_BYTES + len(first_event_data(1.0)) + FOOTER_BYTES
"""The length of `first_event`, whenever it is written."""


def summary(values: list[bytes]) -> bytes:
    """Return the field of the summary, of values by `value`."""
    return sized(SUMMARY, b"".join(values))


def value(tag: str) -> bytes:
    """Return one value of a summary, with zeros in the place of its number, which ends it."""
    tag_field = sized(1, tag.encode()) if tag else b""
    return sized(1, tag_field + b"\x15" + bytes(VALUE_BYTES))


@lru_cache(maxsize=1024)
def _step_field(step: int) -> bytes:
    struct.pack("q", step)  # raises for what int64 does not hold
    return bytes([STEP_KEY]) + varint(int(step))
