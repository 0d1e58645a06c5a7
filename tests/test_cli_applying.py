"""Editing many records at once gives the same bytes as editing each by itself."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2, summary_pb2

from tblog._cli import applying
from tblog._cli.edits import Kept, edited
from tblog._cli.leaving import Leaving
from tblog._cli.output import Progress
from tblog._cli.rename import _Renaming
from tblog._cli.rewriting import _edited_chunks
from tblog._cli.thin import _Rest
from tblog._files.walk import walk
from tblog._wire.framing import frame
from tblog.reading._selection import within

TAGS = ["a", "b", "loss/x", "loss/y", "größe", "x" * 150]


def event(step, values, kind="simple"):
    """Return a serialised event of values by their tags."""
    made = event_pb2.Event(wall_time=1e9 + step / 7, step=step)
    for tag, number in values:
        value = made.summary.value.add(tag=tag)
        if kind == "simple":
            value.simple_value = number
        elif kind == "tensor":
            value.tensor.dtype = 1
            value.tensor.tensor_shape.SetInParent()
            value.tensor.tensor_content = np.float32(number).tobytes()
        else:
            value.tensor.dtype = 7
            value.tensor.string_val.append(str(number).encode() * (step % 3))
    return made.SerializeToString()


def told(data, tag):
    """Return an event whose values have metadata."""
    made = event_pb2.Event.FromString(data)
    for value in made.summary.value:
        if value.tag == tag:
            value.metadata.CopyFrom(summary_pb2.SummaryMetadata(display_name=f"{tag} {made.step}"))
    return made.SerializeToString()


@st.composite
def records(draw):
    """Return records such as a training writes: many alike, some with metadata."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["simple", "simple", "tensor", "text"]))
        tags = draw(st.lists(st.sampled_from(TAGS), min_size=1, max_size=4))
        wide = draw(st.sampled_from([1, 1, 1, 30]))
        first, count = draw(st.sampled_from([0, 120, 16_380])), draw(st.sampled_from([1, 3, 40]))
        for step in range(first, first + count):
            values = [(tag, float(np.float32(step / 3 + i))) for i, tag in enumerate(tags * wide)]
            data = event(step, values, kind)
            if draw(st.integers(0, 30)) == 0:
                data = told(data, tags[0])
            found.append(data)
    return [*found, b"", b"\xff" * 9, *found[:7]]


def one_by_one(file, decide):
    """Return the bytes of a file whose records are edited one by one."""
    parts = []
    for piece in walk(file):
        if piece.data is None:
            file.seek(piece.start)
            parts.append(file.read(piece.end - piece.start))
        elif (data := edited(piece.data, decide)) is not None:
            parts.append(frame(data))
    return b"".join(parts)


def at_once(file, edit):
    """Return the bytes of a file whose records are edited as the command does it."""
    return b"".join(_edited_chunks(file, edit, Progress("", 1)))


def leaving(tags, goes):
    """Return a function that decides about values one by one."""
    orphaned, done = {}, set()

    def decide(found):
        if found.tag not in tags:
            return Kept(found.tag)
        if goes(found):
            if found.metadata:
                orphaned.setdefault(found.tag, found.metadata)
            return None
        is_first = found.tag not in done
        done.add(found.tag)
        return Kept(found.tag, orphaned.get(found.tag, b"") if is_first else b"")

    return decide


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking an example takes minutes
)
@given(records(), st.data())
def test_many_records_become_what_each_becomes_by_itself(found, data):
    """For renaming, dropping by step and thinning, with damage between records, a torn end, and records that are not events."""
    content = bytearray(b"".join(map(frame, found)))
    for _ in range(data.draw(st.integers(0, 2))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 0x40
    file = io.BytesIO(bytes(content) + frame(b"torn")[:9])
    chosen = data.draw(st.sets(st.sampled_from(TAGS), min_size=1))
    new = {tag: data.draw(st.sampled_from(["", "c", "long/" * 30])) for tag in chosen}
    expected = one_by_one(file, lambda one: Kept(new.get(one.tag, one.tag)))
    assert at_once(file, _Renaming(new)) == expected

    steps = data.draw(st.sampled_from([range(1 << 40), range(10), range(5, 130), range(16_384, 1 << 40)]))
    expected = one_by_one(file, leaving(chosen, lambda one: one.step in steps))
    assert at_once(file, Leaving(chosen, lambda values, _: within(values.steps, steps))) == expected

    seen = Counter()
    stay = {tag: np.arange(data.draw(st.sampled_from([0, 20, 5000]))) % 5 == 0 for tag in chosen}

    def is_rest(one):
        if one.form not in {2, 8}:
            return False
        place, seen[one.tag] = seen[one.tag], seen[one.tag] + 1
        return place < len(stay[one.tag]) and not stay[one.tag][place]

    expected = one_by_one(file, leaving(chosen, is_rest))
    assert at_once(file, Leaving(chosen, _Rest(stay))) == expected


def test_wide_events_that_each_lose_other_values_are_cut_without_a_loop(monkeypatch):
    """As thinning many curves does, with fields behind the summary as well."""
    values = [(f"metrics/value_{i:03}", float(i)) for i in range(60)]
    found = [event(0, values) + bytes([0x10, 1 + step % 100]) for step in range(300)]  # the step at the end
    order = np.random.default_rng(0).random((300, 60)) < 0.9
    stay = {tag: ~order[:, i] for i, (tag, _) in enumerate(values)}
    file = io.BytesIO(b"".join(map(frame, found)))
    seen = Counter()

    def is_rest(one):
        place, seen[one.tag] = seen[one.tag], seen[one.tag] + 1
        return not stay[one.tag][place]

    expected = one_by_one(file, leaving(stay, is_rest))
    monkeypatch.setattr(applying, "edited", lambda *_: pytest.fail("a record was edited alone"))
    assert at_once(file, Leaving(stay, _Rest(stay))) == expected


def test_a_value_that_stays_gets_what_an_earlier_one_of_its_own_tag_said():
    """A later value's metadata is not used, whether or not values of other tags stay."""
    found = [event(0, [("a", 1.0)]), told(event(1, [("a", 1.0)]), "a"), event(2, [("b", 1.0)])]
    found += [event(3, [("a", 1.0)]), event(4, [("b", 1.0)])]
    file = io.BytesIO(b"".join(map(frame, found)))
    for steps in ({1, 2}, {0, 1}, {2}, {0, 1, 3}):
        expected = one_by_one(file, leaving("ab", lambda one, steps=steps: one.step in steps))
        edit = Leaving("ab", lambda values, _, steps=steps: np.isin(values.steps, [*steps]))
        assert at_once(file, edit) == expected


def test_a_tag_of_several_spellings_is_changed_in_all_of_them():
    """Tags that differ only in invalid UTF-8 read the same, and keep their bytes if they stay."""
    found = [event(step, [("a?", 1.0), ("b", 2.0)]) for step in range(40)]
    found = [one.replace(b"a?", b"a\xfe" if step % 2 else b"a\xff") for step, one in enumerate(found)]
    file = io.BytesIO(b"".join(map(frame, found)))
    for new in ({"a\ufffd": "c"}, {"b": "c"}):
        expected = one_by_one(file, lambda one, new=new: Kept(new.get(one.tag, one.tag)))
        assert at_once(file, _Renaming(new)) == expected


@pytest.mark.slow
def test_records_larger_than_what_is_read_at_once_are_edited_and_copied():
    """Also between small records, and with many values."""
    wide = event(0, [(f"tag/{i}", i) for i in range(60_000)])
    text = event(7, [("b", "x" * 3_000_000)], "text")
    file = io.BytesIO(b"".join(map(frame, [event(1, [("a", 1.0)]), wide, text, event(2, [("a", 1.0)])])))
    for name in ("tag/7", "b"):
        expected = one_by_one(file, lambda one, name=name: Kept("new" if one.tag == name else one.tag))
        assert at_once(file, _Renaming({name: "new"})) == expected
