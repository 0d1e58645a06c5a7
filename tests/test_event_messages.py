"""An event parses where protobuf's parser takes it, and says the same; the oracle is tensorboard's own messages."""

from __future__ import annotations

import struct

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event

from tblog._wire import event_messages
from tblog._wire.event_messages import EVENT, Kind, Value, readable
from tblog._wire.fields import sized, varint

SIZES = {FieldDescriptor.TYPE_DOUBLE: 8, FieldDescriptor.TYPE_FLOAT: 4}


def by_protobuf(data):
    """Return what tensorboard's Event says of the bytes, or None if they are not one."""
    try:
        event = Event.FromString(data)
    except DecodeError:
        return None
    values = []
    for one in event.summary.value:
        form = one.WhichOneof("value")
        limits = one.histo.bucket_limit
        values.append(
            Value(
                one.tag,
                one.DESCRIPTOR.fields_by_name[form].number if form else 0,
                one.simple_value,
                one.metadata.plugin_data.plugin_name,
                one.tensor.dtype & 0xFFFFFFFF,
                len(limits),
                len(one.histo.bucket),
                limits[-1] if limits else 0.0,
            )
        )
    return event.wall_time, event.step, event.file_version.encode(), values


def assert_same(data):
    """The bytes are refused by both or by none, and say the same. repr, because NaN is not equal to itself."""
    found, wanted = readable(data), by_protobuf(data)
    assert repr(found and tuple(found)) == repr(wanted)
    return wanted is not None


def table_of(message: Descriptor, seen: dict[str, Kind]) -> Kind:
    """Return what tensorboard's descriptor says of a message, as a table."""
    if message.full_name in seen:
        return seen[message.full_name]
    kind = seen[message.full_name] = Kind()
    for field in message.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            kind.texts.add(field.number)
        elif field.message_type:
            kind.messages[field.number] = table_of(field.message_type, seen)
        elif field.is_repeated and field.type != FieldDescriptor.TYPE_BYTES:
            kind.packed[field.number] = SIZES.get(field.type, 0)
    return kind


def paths(kind: Kind, depth: int = 9):
    """Yield the tables of a kind and of the messages in it."""
    yield kind.texts, kind.packed, sorted(kind.messages)
    for _, inner in sorted(kind.messages.items()) if depth else ():
        yield from paths(inner, depth - 1)


def test_what_is_checked_is_what_tensorboards_messages_have():
    """Texts, messages and packed numbers have the same fields, however deep."""
    assert list(paths(EVENT)) == list(paths(table_of(Event.DESCRIPTOR, {})))


NUMBERS = st.one_of(st.integers(0, 18), st.sampled_from([19, 99, 15_000, (1 << 29) - 1, 1 << 29, 1 << 32]))
VARINTS = st.one_of(
    st.integers(0, 1 << 64).map(varint),
    st.sampled_from([0, 1, 2, 7, 300]).map(varint),
    # more bytes than needed, or than allowed
    st.tuples(st.integers(1, 12), st.integers(0, 127)).map(lambda it: b"\x80" * it[0] + bytes([it[1]])),
    st.tuples(st.integers(1, 12), st.integers(0, 127)).map(lambda it: b"\xff" * it[0] + bytes([it[1]])),
)
TEXTS = st.sampled_from(
    [b"", b"a", b"scalars", b"\xc3\xbc", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"]
)


def key(number: int, wire: int) -> bytes:
    """Encode a key, also of a number that no field can have."""
    return varint(number << 3 | wire)


@st.composite
def contents(draw, kind, number, depth):
    """What a field of bytes may hold, right or nearly so."""
    if number in kind.messages and depth:
        return draw(messages(kind.messages[number], depth - 1))
    if number in kind.texts:
        return draw(TEXTS)
    if kind.packed.get(number):
        return bytes(draw(st.sampled_from([0, 4, 8, 16, 24, 3])))
    return b"".join(draw(st.lists(VARINTS, max_size=3)))


@st.composite
def others(draw, number, depth):
    """A field of another wire type, a group, or bytes that are no field."""
    inner = draw(messages(Kind(), depth - 1)) if depth else b""
    return draw(
        st.one_of(
            VARINTS.map(lambda varint: key(number, 0) + varint),
            st.floats().map(lambda value: key(number, 1) + struct.pack("<d", value)),
            st.floats(width=32).map(lambda value: key(number, 5) + struct.pack("<f", value)),
            st.sampled_from([number, number, number, 5]).map(
                lambda end: key(number, 3) + inner + key(end, 4)
            ),
            VARINTS.map(lambda length: key(number, 2) + length + bytes(7)),
            st.tuples(st.integers(0, 7), st.binary(max_size=6)).map(lambda it: key(number, it[0]) + it[1]),
            st.integers(0, 9).map(lambda more: key(number, 2) + b"\x81" + b"\x80" * more + b"\0a"),
            st.integers(0, 9).map(lambda more: b"\x90" + b"\x80" * more + b"\0\1"),
            st.binary(max_size=4),
        )
    )


@st.composite
def messages(draw, kind=EVENT, depth=5):
    """Bytes that look like a message of a kind, with damage of every sort."""
    made = b""
    known = [*kind.texts, *kind.messages, *kind.packed]
    for _ in range(draw(st.integers(0, 4 if depth > 2 else 2))):
        number = draw(st.sampled_from(known)) if known and draw(st.integers(0, 9)) else draw(NUMBERS)
        if draw(st.integers(0, 3)):
            made += sized(number, draw(contents(kind, number, depth)))
        else:
            made += draw(others(number, depth))
    return made


def summary_of(*fields: bytes) -> bytes:
    """Return an event of one value with these fields."""
    return sized(5, sized(1, b"".join(fields)))


@settings(max_examples=800, deadline=None)
@given(messages())
def test_damaged_events_parse_where_protobuf_parses_them(data):
    """Wrong kinds of fields, lengths, numbers and texts; groups; repeated fields; and forms that replace each other."""
    assert_same(data)


@settings(max_examples=800, deadline=None)
@given(st.data())
def test_events_with_changed_bytes_parse_where_protobuf_parses_them(data):
    """What tensorboard wrote, with bytes changed, lost and inserted."""
    event = Event(wall_time=1.0, step=data.draw(st.integers(-5, 300)))
    if data.draw(st.booleans()):
        event.session_log.msg = "message"
        raw = event.SerializeToString()
    value = event.summary.value.add(tag="loß")
    value.metadata.plugin_data.plugin_name = "scalars"
    value.metadata.display_name = "ü"
    match data.draw(st.integers(0, 3)):
        case 0:
            value.simple_value = 1.0
        case 1:
            value.histo.bucket_limit.extend([1.0, 2.0])
            value.histo.bucket.extend([1.0])
        case 2:
            value.tensor.tensor_shape.dim.add(size=2, name="ö")
            value.tensor.int_val.extend([300, -1])
            value.tensor.dtype = 2
        case _:
            value.audio.content_type = "audio/wäv"
    raw = bytearray(event.SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip":
                raw[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del raw[at : at + data.draw(st.integers(1, 3))]
                raw += b"\0" if not raw else b""
            case _:
                raw[at:at] = data.draw(st.binary(min_size=1, max_size=4))
    assert_same(bytes(raw))


@pytest.mark.parametrize("levels", [98, 99, 100, 101])
@pytest.mark.parametrize("kind", ["groups", "tensors", "groups in a value"])
def test_messages_are_nested_as_deep_as_protobuf_allows(kind, levels):
    """100 levels, of groups and of messages together."""
    if kind == "groups":
        data = key(20, 3) * levels + key(20, 4) * levels
    elif kind == "tensors":
        data = b""
        for level in range(levels - 3):  # an event, its summary and the value are around them
            data = sized(15 if level % 2 else 3, data)
        data = summary_of(sized(8, data))
    else:
        data = summary_of(key(20, 3) * (levels - 2) + key(20, 4) * (levels - 2))
    assert_same(data)


def test_forms_that_replace_each_other_and_messages_in_parts_are_merged():
    """As protobuf does: the last form counts, and messages of one field in a row are one."""
    part = sized(6, struct.pack("<d", 2.0)) + sized(7, bytes(16))
    whole = summary_of(sized(1, b"h"), sized(5, part), key(2, 5) + bytes(4), sized(5, part), sized(5, part))
    assert assert_same(whole)
    (value,) = readable(whole).values
    assert (value.limits, value.counts, value.last_limit) == (2, 4, 2.0)
    assert assert_same(whole + whole)
    assert assert_same(whole + sized(3, b"brain.Event:2") + whole)
    assert event_messages.event_message(whole + whole + sized(4, b"graph")).values == []
