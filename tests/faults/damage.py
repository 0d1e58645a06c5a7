"""Event files that no writer makes, built from whole and broken pieces, to fuzz what reads them."""

from __future__ import annotations

import struct

from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from tblog._wire.events import event, first_event
from tblog._wire.fields import varint
from tblog._wire.framing import frame, masked_crc


def number(step: int, tag: str = "x", wall_time: float = 1.0) -> bytes:
    """Return an event with one number, whose value is its step."""
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=step)])
    serialized: bytes = Event(wall_time=wall_time, step=step, summary=summary).SerializeToString()
    return serialized


def histogram(limits: int, counts: int) -> bytes:
    """Return an event with a histogram, whose limits and counts may differ in number."""
    proto = HistogramProto(bucket_limit=[float(i) for i in range(limits)], bucket=[1.0] * counts)
    value = Summary.Value(tag="h", histo=proto)
    serialized: bytes = Event(wall_time=1.0, summary=Summary(value=[value])).SerializeToString()
    return serialized


def nested(depth: int) -> bytes:
    """Return an event of nested messages, of a kind that may contain itself: TensorProto.variant_val.tensors."""
    data = b""
    for _ in range(depth):
        data = b"\x1a" + varint(len(data)) + data
        data = b"\x7a" + varint(len(data)) + data
    value = b"\x0a\x01n\x42" + varint(len(data)) + data
    return event(1.0, 0, 5, b"\x0a" + varint(len(value)) + value)


def header(length: int) -> bytes:
    """Return a record header with a valid checksum, and no data."""
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_crc(packed))


WALL_TIMES = st.one_of(st.just(1.0), st.floats())
START = Event(wall_time=1.0, session_log=SessionLog(status=SessionLog.START)).SerializeToString()

whole = st.one_of(
    st.builds(number, st.integers(0, 30), st.sampled_from("xy"), WALL_TIMES),
    st.builds(histogram, st.integers(0, 3), st.integers(0, 3)),
    st.just(START),
).map(frame)
no_event = st.one_of(st.binary(max_size=30), st.binary(max_size=9).map(lambda data: number(1) + data)).map(
    frame
)
broken = st.one_of(
    st.binary(max_size=60),
    st.integers(1, 100).map(bytes),
    st.sampled_from([0, 1, 15, 100, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 40, 1 << 63, (1 << 64) - 1]).map(
        header
    ),
    st.tuples(whole, st.integers(1, 40)).map(lambda cut: cut[0][: -cut[1]]),
)


@st.composite
def files(draw: st.DrawFn, *, with_no_events: bool = True) -> bytes:
    """Draw the bytes of a file: pieces in any order, some repeated, some bytes changed, the end cut off."""
    kinds = [whole, whole, broken, *([no_event] if with_no_events else [])]
    pieces = draw(st.lists(st.one_of(kinds), max_size=12))
    if draw(st.booleans()) and pieces:
        at = draw(st.integers(0, len(pieces) - 1))
        pieces[at:at] = pieces[at : at + 3]
    if draw(st.integers(0, 3)):
        pieces.insert(0, first_event(1.0))
    data = bytearray(b"".join(pieces))
    for position, change in draw(st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=4)):
        if position < len(data):
            data[position] ^= change
    return bytes(data[: len(data) - draw(st.sampled_from([0, 0, 1, 20]))])
