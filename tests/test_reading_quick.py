"""Reading in columns gives what reading record by record gives, whatever stands in the file."""

from __future__ import annotations

import struct
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_tensor_proto

import tblog
from tblog._wire.fields import sized
from tblog._wire.framing import frame, header
from tblog.reading import _columns, _frames, _windows
from tblog.reading._frames import AROUND, PADDING, Frames, frames
from tblog.reading._tags import Tags
from tests.damage import damage

VERSION = Event(file_version="brain.Event:2").SerializeToString()
TAGS = ["a", "loss", "val/acc", "ü", "", "x" * 8, "x" * 31 + "y", "x" * 255, "z" * 257, "train/" + "w" * 1200]


def one_by_one(buffer, size):
    """Find records as `frames` does, in a loop."""
    starts, at = [], 0
    while at + AROUND <= size:
        (length,) = struct.unpack_from("<Q", buffer, at)
        if length > size - AROUND - at or header(length) != buffer[at : at + 12].tobytes():
            break
        starts.append(at)
        at += length + AROUND
    lengths = np.diff([*starts, at]) - AROUND if starts else []
    rest = buffer[at : at + 12].tobytes()
    is_torn = size - at < 12 or header(int.from_bytes(rest[:8], "little")) == rest
    return Frames(np.array(starts, np.int64), np.array(lengths, np.int64), at, is_torn)


def found(path, restarts):
    """Everything that reading a file finds."""
    runs = tblog.read(path, restarts=restarts)
    columns = {name: column.tolist() for name, column in runs.scalars.to_numpy().items()}
    columns["value"] = runs.scalars.value.tobytes()  # NaN as well
    entries = [one for run in runs.values() for _, one in run.log.entries()]
    return columns, entries, runs.damage, runs.unfinished, runs.records, runs.tags


@st.composite
def events(draw):
    """Many events of one kind, with the same tags or changing ones."""
    tags = draw(st.lists(st.sampled_from(TAGS), min_size=1, max_size=4))
    first = draw(st.sampled_from([0, 1, 120, 16_300, 2**40, 2**62, -5]))
    kind = draw(st.sampled_from(["number", "number", "wide", "tensor", "text", "mixed"]))
    made = []
    for i in range(draw(st.sampled_from([1, 3, 70, 400, 900]))):
        event = Event(wall_time=1e9 + i / 7, step=first + i)
        for tag in tags if kind == "wide" else [tags[i % len(tags)]]:
            value = event.summary.value.add(tag=tag)
            if kind in ("number", "wide") or (kind == "mixed" and i % 3):
                value.simple_value = i / 3 if i % 50 else float("nan")
                continue
            value.tensor.CopyFrom(make_tensor_proto(b"text" * (i % 3) if kind == "text" else np.float32(i)))
            if kind != "mixed":
                value.metadata.plugin_data.plugin_name = "text" if kind == "text" else "scalars"
        made.append(frame(event.SerializeToString()))
    return b"".join(made)


pieces = st.one_of(
    events(),
    events(),
    events(),
    st.binary(max_size=60).map(frame),
    st.sampled_from(
        [
            b"",
            frame(b""),
            frame(bytes(5000)),
            frame(bytes(70_000)),
            frame(frame(VERSION) * 40),
            frame(Event(step=7).SerializeToString()),
            header(30),
            header(1 << 45),
            bytes(40),
        ]
    ),
)


@given(st.data())
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("restarts", ["tensorboard", "keep"])
def test_columns_are_what_a_loop_over_records_gives(tmp_path_factory, restarts, data):
    """Events of all kinds and lengths, damaged, cut, and with bytes between them, in whatever mixture."""
    path = tmp_path_factory.mktemp("mixed") / "events.out.tfevents.1"
    raw = bytearray(frame(VERSION) + b"".join(data.draw(st.lists(pieces, min_size=1, max_size=6))))
    for _ in range(data.draw(st.integers(0, 4))):
        damage(data, raw)
    path.write_bytes(raw)
    quick = found(path, restarts)
    with patch.object(_columns, "layout", lambda _: None), patch.object(_windows, "frames", one_by_one):
        assert quick == found(path, restarts)


def test_a_tensor_of_a_number_that_is_told_twice_is_no_scalar_however_it_is_read(tmp_path):
    """Two numbers in a row are two, which do not fill a tensor without dimensions."""
    number = b"\x2d" + struct.pack("<f", 2.0)  # TensorProto.float_val, not packed
    tensor = sized(8, b"\x08\x01\x12\0" + 2 * number)
    value = sized(1, sized(1, b"loss") + tensor + sized(9, sized(1, sized(1, b"scalars"))))
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(frame(VERSION) + frame(sized(5, value)) * 500)
    quick = found(path, "keep")
    assert quick[-1] == {"tensors": ["loss"]}
    with patch.object(_columns, "layout", lambda _: None):
        assert quick == found(path, "keep")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_records_are_found_wherever_a_loop_finds_them(data):
    """Of all lengths: those whose checksum has zeros, those that hold records, or zeros, and those that are large."""
    zero = [n for n in range(2000) if header(n)[8] == 0]
    lengths = st.one_of(st.integers(0, 70), st.sampled_from(zero), st.sampled_from([255, 256, 257, 300]))
    repeated = data.draw(st.lists(lengths, min_size=1, max_size=40))
    odd = data.draw(st.lists(st.sampled_from([0, 65_535, 65_536, 70_001]), max_size=3))
    fill = data.draw(st.sampled_from([b"\0", b"\1", frame(b""), header(5), header(40) + bytes(40)]))
    records = [fill * (n // len(fill) + 1) for n in repeated * data.draw(st.integers(1, 60)) + odd + repeated]
    lengths_of = repeated * ((len(records) - len(odd)) // len(repeated) - 1) + odd + repeated
    raw = b"".join(frame(one[:n]) for one, n in zip(records, lengths_of, strict=True))
    raw += data.draw(st.sampled_from([b"", b"\0", bytes(30), header(9), header(5)[:11], b"\1" * 40]))
    buffer = np.frombuffer(raw + bytes(PADDING), np.uint8).copy()
    for _ in range(data.draw(st.integers(0, 2))):
        buffer[data.draw(st.integers(0, len(raw) - 1))] ^= 1
    size = data.draw(st.sampled_from([len(raw), len(raw) - 1, len(raw) // 2]))
    quick, slow = frames(buffer, size), one_by_one(buffer, size)
    assert [quick.starts.tolist(), quick.lengths.tolist()] == [slow.starts.tolist(), slow.lengths.tolist()]
    assert quick[2:] == slow[2:]


def test_records_of_no_common_length_are_found_without_a_loop(monkeypatch):
    """Only the first records are found one after the other."""
    looked = []
    walked = _frames._walked
    monkeypatch.setattr(_frames, "_walked", lambda *at: looked.append(at[1]) or walked(*at))
    wanted = [
        length for length in range(1, 900) if header(length)[8]
    ]  # the others are told from a neighbour by a loop
    lengths = np.random.default_rng(0).choice(wanted, 20_000).tolist()
    raw = b"".join(frame(b"\1" * length) for length in lengths)
    assert frames(np.frombuffer(raw + bytes(PADDING), np.uint8), len(raw)).lengths.tolist() == lengths
    assert len(looked) == 1


@given(st.lists(st.binary(min_size=1, max_size=4).map(lambda tag: tag * 40), min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_each_tag_has_one_number_however_often_it_is_looked_up(tags):
    """In the order in which they appear, whether short, long, or of no text at all."""
    numbers, wanted = Tags(lambda _: True), {}
    for size in (1, 8, 13, 40, 70):
        texts = [tag[:size] for tag in tags if len(tag) >= size]
        for start in range(0, len(texts), 50):
            some = texts[start : start + 50] * 3
            table = np.frombuffer(b"".join(some), np.uint8).reshape(len(some), size)
            names = [tag.decode(errors="replace") for tag in some]
            assert numbers.numbers(table).tolist() == [wanted.setdefault(name, len(wanted)) for name in names]
    assert numbers.names == list(wanted)


def test_ten_thousand_tags_of_one_length_keep_their_numbers():
    """More of them than fit into a table of buckets without meeting."""
    numbers = Tags(lambda _: True)
    tags = np.array([f"layer{i:05}/norm".encode() for i in range(10_000)], "S15")
    order = np.random.default_rng(0).permutation(np.tile(np.arange(10_000), 3))
    table = tags[order].view(np.uint8).reshape(-1, 15)
    first = numbers.numbers(table)
    assert [numbers.names[n] for n in first] == [f"layer{i:05}/norm" for i in order]
    assert (numbers.numbers(table[::-1]) == first[::-1]).all()
