"""The fields of a scalar event, byte for byte as protobuf writes them.

    09 wall_time:8              left out if it is +0.0
    10 step:varint              left out if it is 0
    2a size, and in it for each value:
        0a size
        0a size tag             left out if the tag is empty
        15 value:4

https://protobuf.dev/programming-guides/encoding, and the field numbers of Event and Summary in
https://github.com/tensorflow/tensorboard/tree/a9e1bba361fdfc525866e5bb25222dab7eac3671/tensorboard/compat/proto

Lives here: one message at a time. Must not: frame, know batches, import protobuf.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from tblog._wire.fields import sized, varint

TIME_KEY = 0x09
STEP_KEY = 0x10

TIME_BYTES = 9
"""The length of the field of the time."""
VALUE_BYTES = 4
"""The length of a value, which ends the event of one scalar."""


def head(wall_time: float, step: int) -> bytes:
    """Return the fields that stand before the summary."""
    packed = struct.pack("<Bd", TIME_KEY, wall_time)
    time_field = packed if packed[1:] != bytes(8) else b""
    return time_field + _step_field(step) if step else time_field


def summary(values: list[bytes]) -> bytes:
    """Return the field of the summary, of values by `value`."""
    return sized(5, b"".join(values))


def value(tag: str) -> bytes:
    """Return one value of a summary, with zeros in the place of its number, which ends it."""
    tag_field = sized(1, tag.encode()) if tag else b""
    return sized(1, tag_field + b"\x15" + bytes(VALUE_BYTES))


@lru_cache(maxsize=1024)
def _step_field(step: int) -> bytes:
    struct.pack("q", step)  # raises for what int64 does not hold
    return bytes([STEP_KEY]) + varint(int(step))
