"""Events edited in their encoded form: everything else stays byte for byte."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2, summary_pb2

from tblog._cli.edits import Kept, edited
from tblog._wire.fields import sized

TAGS = st.sampled_from(["loss", "", "a/b", "größe", "x" * 200])
UNKNOWN = st.sampled_from([b"", sized(99, b"later"), b"\xf8\x06\x80\x01", sized(2, b"old")])


@st.composite
def events(draw):
    """Return a serialised event of some values and some unknown fields."""
    values = []
    for tag in draw(st.lists(TAGS, max_size=4)):
        value = summary_pb2.Summary.Value(tag=tag, simple_value=draw(st.floats(width=32)))
        if draw(st.booleans()):
            value.metadata.plugin_data.plugin_name = "scalars"
        values.append(sized(1, value.SerializeToString() + draw(UNKNOWN)))
    event = event_pb2.Event(wall_time=draw(st.floats(allow_nan=False)), step=draw(st.integers(-5, 1 << 40)))
    summary = sized(5, b"".join([*values, draw(st.sampled_from([b"", sized(99, b"later")]))]))
    return event.SerializeToString() + draw(st.sampled_from([b"", sized(98, b"before")])) + summary


@given(events(), st.binary(max_size=60))
def test_an_event_stays_byte_for_byte_where_nothing_is_asked_for(data, noise):
    """So do bytes that are not an event, and an event that is cut off."""
    for each in (data, noise, data[:-1], data + noise):
        assert edited(each, lambda found: Kept(found.tag)) == each


@given(events(), st.sampled_from(["loss", "a/b", "größe"]), st.sampled_from(["loss/train", "", "y" * 300]))
def test_a_renamed_tag_is_all_that_differs(data, old, new):
    """Compared by protobuf. Renaming it back gives the original bytes."""
    expected = event_pb2.Event.FromString(data)
    for value in expected.summary.value:
        value.tag = new if value.tag == old else value.tag
    renamed = edited(data, lambda found: Kept(new if found.tag == old else found.tag))
    assert event_pb2.Event.FromString(renamed).SerializeToString(
        deterministic=True
    ) == expected.SerializeToString(deterministic=True)
    if old not in {value.tag for value in event_pb2.Event.FromString(data).summary.value}:
        assert renamed == data
    if new == "y" * 300:
        assert edited(renamed, lambda found: Kept(old if found.tag == new else found.tag)) == data


@settings(max_examples=50)
@given(events(), TAGS)
def test_values_that_go_are_all_that_is_missing(data, gone):
    """An event without values is removed."""
    expected = event_pb2.Event.FromString(data)
    values = list(expected.summary.value)
    left = [value for value in values if value.tag != gone]
    result = edited(data, lambda found: None if found.tag == gone else Kept(found.tag))
    if values and not left:
        assert result is None
        return
    del expected.summary.value[:]
    expected.summary.value.extend(left)
    assert event_pb2.Event.FromString(result).SerializeToString(
        deterministic=True
    ) == expected.SerializeToString(deterministic=True)


def test_a_value_gets_metadata_only_where_it_has_none():
    """Its own metadata stay."""
    told = summary_pb2.SummaryMetadata(display_name="told")
    other = summary_pb2.SummaryMetadata(display_name="other").SerializeToString()
    event = event_pb2.Event(step=1)
    event.summary.value.add(tag="a", simple_value=1.0)
    event.summary.value.add(tag="b", simple_value=1.0, metadata=told)
    result = event_pb2.Event.FromString(
        edited(event.SerializeToString(), lambda found: Kept(found.tag, other))
    )
    assert [value.metadata.display_name for value in result.summary.value] == ["other", "told"]


def test_the_metadata_of_a_run_is_renamed_and_dropped_by_its_tag():
    """They are an event of their own."""
    event = event_pb2.Event(wall_time=3.0, step=4)
    event.tagged_run_metadata.tag = "step1"
    event.tagged_run_metadata.run_metadata = b"stats"
    data = event.SerializeToString()
    event.tagged_run_metadata.tag = "step2"
    assert event_pb2.Event.FromString(edited(data, lambda _: Kept("step2"))) == event
    assert edited(data, lambda found: None if found.tag == "step1" else Kept(found.tag)) is None


def test_a_value_that_says_nothing_stays_beside_others():
    """It has a tag and no content; no reader shows it."""
    event = event_pb2.Event(step=1)
    event.summary.value.add(tag="a")
    event.summary.value.add(tag="b", simple_value=1.0)
    data = event.SerializeToString()
    assert edited(data, lambda found: Kept(found.tag)) == data
    result = event_pb2.Event.FromString(edited(data, lambda found: Kept(found.tag + "x")))
    assert [value.tag for value in result.summary.value] == ["a", "bx"]
