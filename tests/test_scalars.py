"""Scalar records encoded in columns, compared with tensorboard's messages and record writer."""

import io
import math
import random
import struct
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboardX.proto import event_pb2 as event_pb2_x
from tensorboardX.proto import summary_pb2 as summary_pb2_x

from tblog._wire import scalar_columns as _scalars
from tblog._wire import tag_table as _tag_table
from tblog._wire.scalar_columns import ScalarEncoder
from tests.processes import run_program

PEERS = pytest.mark.parametrize(
    ("event_type", "summary_type"),
    [(event_pb2.Event, summary_pb2.Summary), (event_pb2_x.Event, summary_pb2_x.Summary)],
    ids=["tensorboard", "tensorboardX"],
)

tags = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.integers(0, 3000).map("t".__mul__)
values = st.floats(width=64) | st.sampled_from(
    [0.0, -0.0, math.inf, -math.inf, math.nan, 1e39, -1e300, 1e-46]
)
int64s = st.integers(-(2**63), 2**63 - 1)
usual_steps = st.integers(0, 2**49 - 1) | st.sampled_from(
    [0, 1, 127, 128, 2**14 - 1, 2**14, 2**21, 2**49 - 1]
)
usual_tags = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
wall_times = st.floats(1e9, 3e9) | st.floats()

any_entries = st.lists(st.tuples(tags, values, int64s, wall_times), max_size=40)
# Enough records for the columns, some of them close in time, as in a training loop.
usual_times = st.floats(1.7e9, 1.7e9 + 100) | st.floats(1e9, 3e9)
usual_entries = st.lists(
    st.tuples(usual_tags, values, usual_steps, usual_times), min_size=20, max_size=40
).map(lambda entries: entries * 3)
assert _scalars.MIN_COLUMNS < 20 * 3


@st.composite
def dict_entries(draw):
    """Draw entries of several values; neighbours often have the same tags."""
    layouts = st.sampled_from(draw(st.lists(st.lists(tags, max_size=20).map(tuple), min_size=1, max_size=3)))
    entries = []
    for keys in draw(st.lists(layouts, max_size=12)):
        floats = draw(st.lists(values, min_size=len(keys), max_size=len(keys)))
        entries.append((keys, tuple(floats), draw(int64s), draw(wall_times)))
    return entries


def by_protobuf(entries, event_type=event_pb2.Event, summary_type=summary_pb2.Summary):
    """Return the file that tensorboard's RecordWriter makes of these events."""
    sink = io.BytesIO()
    writer = RecordWriter(sink)
    for names, floats, step, wall_time in entries:
        pairs = [(names, floats)] if isinstance(names, str) else zip(names, floats, strict=True)
        summary = summary_type(
            value=[summary_type.Value(tag=tag, simple_value=value) for tag, value in pairs]
        )
        writer.write(event_type(wall_time=wall_time, step=step, summary=summary).SerializeToString())
    return sink.getvalue()


def usual(n, tag="train/loss", step=1000):
    """Return `n` entries such as a training loop logs."""
    rng = random.Random(0)
    return [(f"{tag}_{i % 7}", rng.random(), step + i // 7, 1.7e9 + i * 1e-4) for i in range(n)]


@PEERS
@settings(max_examples=40, deadline=None)
@given(entries=any_entries)
def test_any_entries_are_what_protobuf_writes(event_type, summary_type, entries):
    """Any tag, value, int64 step and wall time gives protobuf's bytes, in order."""
    assert ScalarEncoder().encode(entries) == by_protobuf(entries, event_type, summary_type)


@PEERS
@settings(max_examples=40, deadline=None)
@given(entries=usual_entries)
def test_columns_are_what_protobuf_writes(event_type, summary_type, entries):
    """Batches encoded in columns give protobuf's bytes, for any mix of tags and steps."""
    assert ScalarEncoder().encode(entries) == by_protobuf(entries, event_type, summary_type)


@PEERS
@settings(max_examples=40, deadline=None)
@given(entries=dict_entries())
def test_dicts_are_what_protobuf_writes(event_type, summary_type, entries):
    """An event of many values gives protobuf's bytes, also without values or with repeated tags."""
    assert ScalarEncoder().encode_dicts(entries) == by_protobuf(entries, event_type, summary_type)


@pytest.mark.parametrize(
    "n", [0, 1, 2, _scalars.MIN_COLUMNS - 1, _scalars.MIN_COLUMNS, 500, _scalars.CHUNK + 1]
)
def test_batches_of_every_size_are_complete(n):
    """The size of a batch selects the encoder, and the bytes do not depend on it."""
    assert ScalarEncoder().encode(usual(n)) == by_protobuf(usual(n))


@pytest.mark.parametrize("size", [990, 991, 992, 993, 994, 995, 996, 997, 1100, 20_000])
def test_a_long_tag_among_short_ones_is_whole(size):
    """Tags at and above the columns' limit are written like the others."""
    entries = [*usual(50), ("t" * size, 1.0, 5, 1.7e9), *usual(50)]
    assert ScalarEncoder().encode(entries) == by_protobuf(entries)


@pytest.mark.parametrize("step", [0, -1, 2**49 - 1, 2**49, 2**63 - 1, -(2**63)])
def test_an_extreme_step_among_usual_ones_is_exact(step):
    """Steps at and beyond the columns' limits are written like the others."""
    entries = [*usual(50), ("loss", 1.0, step, 1.7e9), *usual(50)]
    assert ScalarEncoder().encode(entries) == by_protobuf(entries)


@pytest.mark.parametrize("wall_time", [0.0, -0.0, math.nan, math.inf, 5e-324])
def test_an_extreme_wall_time_among_usual_ones_is_exact(wall_time):
    """Only a wall time of +0.0 is left out."""
    entries = [*usual(50), ("loss", 1.0, 3, wall_time), *usual(50)]
    assert ScalarEncoder().encode(entries) == by_protobuf(entries)


@pytest.mark.parametrize("copies", [1, 50])
def test_nan_keeps_the_bits_that_protobuf_keeps(copies):
    """Quiet NaNs of either sign and any payload become the float32 that protobuf makes of them."""
    patterns = [0x7FF8000000000000, 0xFFF8000000000000, 0x7FFC0000DEADBEEF, 0xFFFFFFFFFFFFFFFF]
    nans = struct.unpack("4d", struct.pack("4Q", *patterns))
    entries = [("nan", nan, 1, 1.7e9) for nan in nans] * copies
    assert ScalarEncoder().encode(entries) == by_protobuf(entries)


def like_newer_python(layout, *numbers, pack=struct.pack):
    """Pack as Python after 3.13.0 does: the native float32 code also raises for values out of range."""
    if layout.endswith("f"):
        pack(f"<{layout.lstrip('<=@')}", *numbers)
    return pack(layout, *numbers)


LARGEST = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
ROUNDED_UP = float.fromhex("0x1.ffffffp127")


@pytest.mark.parametrize("copies", [1, 100])
@pytest.mark.parametrize(
    "value", [1e39, -1e300, sys.float_info.max, LARGEST, -LARGEST, ROUNDED_UP, math.nextafter(ROUNDED_UP, 0)]
)
def test_a_value_beyond_float32_is_infinite_in_every_version_of_python(value, copies, monkeypatch):
    """A diverging run keeps its points, even if struct raises for them."""
    monkeypatch.setattr(struct, "pack", like_newer_python)
    entries = [("loss", 0.5, 1, 1.7e9), ("loss", value, 2, 1.7e9)] * copies
    assert ScalarEncoder().encode(entries) == by_protobuf(entries)
    dicts = [(("loss", "metric"), (value, 0.5), 1, 1.7e9)] * copies
    assert ScalarEncoder().encode_dicts(dicts) == by_protobuf(dicts)


@pytest.mark.parametrize("copies", [1, 50])
def test_values_need_no_more_than_float(copies):
    """Anything with `__float__` is a value: integers, booleans, numpy's numbers, arrays of one element."""
    mixed = [3, True, np.float16(0.1), np.int8(-4), np.array(2.5), 1e300]
    entries = [("mixed", value, 1, 1.7e9) for value in mixed] * copies
    assert ScalarEncoder().encode(entries) == by_protobuf([(t, float(v), s, w) for t, v, s, w in entries])


@pytest.mark.parametrize("copies", [1, 100])
def test_steps_may_be_of_numpy(copies):
    """Integers and booleans of numpy are accepted as steps."""
    steps = [np.int64(-3), np.uint8(200), np.int32(2**20), True]
    entries = [("loss", 1.0, step, 1.7e9) for step in steps] * copies
    assert ScalarEncoder().encode(entries) == by_protobuf([(t, v, int(s), w) for t, v, s, w in entries])


@pytest.mark.parametrize("copies", [1, 100])
def test_a_step_beyond_int64_raises(copies):
    """A step that the format cannot hold raises, and never becomes another step."""
    for step in (2**63, -(2**63) - 1, 1.5):
        with pytest.raises((OverflowError, struct.error)):
            ScalarEncoder().encode([("loss", 1.0, step, 1.7e9)] * copies)


@pytest.mark.parametrize("n", [2, 100])
def test_a_value_that_fails_takes_no_other_down(n):
    """A batch with a bad value raises; encoded one by one, all other entries succeed."""
    encoder = ScalarEncoder()
    entries = [*usual(n), ("bad", "a string", 1, 1.7e9), *usual(n)]
    with pytest.raises((TypeError, ValueError, struct.error)):
        encoder.encode(entries)
    with pytest.raises((TypeError, ValueError, struct.error)):
        encoder.encode([entries[n]])
    assert b"".join(encoder.encode([entry]) for entry in usual(n)) == by_protobuf(usual(n))


def test_memory_is_bounded_with_tags_that_never_repeat(monkeypatch):
    """The cache is cleared at its bound, and the bytes stay right."""
    monkeypatch.setattr(_scalars, "CHUNK", 64)
    monkeypatch.setattr(_tag_table, "MAX_TAGS", 100)
    monkeypatch.setattr(_scalars, "MAX_LAYOUTS", 3)
    encoder = ScalarEncoder()
    entries = [(f"tag {i % 700}", i, i**4, 1.7e9 + i) for i in range(2000)]
    assert encoder.encode(entries) == by_protobuf(entries)
    assert len(encoder._tags._ids) <= 100
    monkeypatch.setattr(_tag_table, "MAX_HELD_BYTES", 5_000)
    assert encoder.encode(entries) == by_protobuf(entries)
    assert encoder._tags._held_bytes <= 5_000 + 64 * 200
    dicts = [((f"tag {i}", "b"), (i, 1), i, 1.7e9) for i in range(50)]
    assert encoder.encode_dicts(dicts) == by_protobuf(dicts)
    assert len(encoder._layouts) <= 3


def test_importing_the_encoder_imports_neither_protobuf_nor_the_checksum_package():
    """The scalar encoder adds only numpy to the import of tblog."""
    code = "import sys, tblog._wire.scalar_columns; print({'crc32c', 'google.protobuf'} & set(sys.modules))"
    assert run_program(code) == "set()\n"
