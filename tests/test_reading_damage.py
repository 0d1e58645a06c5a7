"""tblog.read on hostile files: no crash, no hang, and memory in proportion to the bytes."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tblog
from tblog._wire.framing import frame, header
from tblog.reading import UnreadableError
from tests.damage import damage
from tests.every_kind import log_every_kind

FUZZ = settings(
    max_examples=int(os.environ.get("TBLOG_FUZZ", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def look_at_everything(path):
    """Read a file and decode everything; anything else must raise UnreadableError."""
    runs = tblog.read(path)
    size = path.stat().st_size
    damaged = [*runs.damage, *runs.unfinished]
    assert all(0 <= one.start < one.end <= size for one in damaged)
    assert sum(one.end - one.start for one in damaged) <= size
    scalars = runs.scalars
    assert len(scalars.to_numpy()["run"]) == len(scalars.thin(4).smooth(0.5)) or scalars.thin(4).thinned
    assert runs.tags is not None
    for restarts in ("rust", "keep"):
        assert len(tblog.read(path, restarts=restarts).scalars) >= 0
    looks = {
        "histograms": ("proto", "edges", "counts"),
        "images": ("all_encoded", "size"),
        "audio": ("all_encoded", "content_type", "sample_rate"),
        "texts": ("text",),
        "tensors": ("array",),
        "pr_curves": ("precision", "thresholds"),
        "layouts": ("categories",),
        "meshes": ("vertices", "colors", "faces", "config"),
    }
    for kind, names in looks.items():
        for item in getattr(runs, kind):
            for name in names:
                decoded(item, name)
    for run in runs.values():
        decoded(run, "graph")
    assert len(runs.hparams) >= 0
    return runs


def decoded(item, name):
    """Return a property, or None if it cannot be decoded."""
    try:
        return getattr(item, name)
    except UnreadableError:
        return None


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory):
    """The bytes of a file with every kind."""
    logdir = tmp_path_factory.mktemp("kinds")
    with tblog.SummaryWriter(str(logdir), options=tblog.WriterOptions(flavor="torch")) as log:
        log_every_kind(log, "torch")
    return max(logdir.rglob("*tfevents*"), key=lambda path: path.stat().st_size).read_bytes()


@given(data=st.data())
@FUZZ
def test_bytes_that_changed_anywhere_cost_no_more_than_their_records(tmp_path, every_kind, data):
    """With bits flipped, bytes lost and bytes inserted, the whole records are read and the damage is reported."""
    raw = bytearray(every_kind)
    for _ in range(data.draw(st.integers(1, 6))):
        damage(data, raw)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(raw)
    look_at_everything(path)


@given(data=st.data())
@FUZZ
def test_messages_that_changed_in_whole_records_are_refused_where_they_are_looked_at(
    tmp_path, every_kind, data
):
    """Records with right checksums may have any lengths, types and numbers."""
    records, at = [], 0
    while at < len(every_kind):
        (length,) = struct.unpack_from("<Q", every_kind, at)
        records.append(bytearray(every_kind[at + 12 : at + 12 + length]))
        at += 16 + length
    for _ in range(data.draw(st.integers(1, 8))):
        record = data.draw(st.sampled_from(records))
        if record:
            record[data.draw(st.integers(0, min(len(record) - 1, 200)))] = data.draw(st.integers(0, 255))
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(frame(bytes(record)) for record in records))
    runs = look_at_everything(path)
    assert not runs.unfinished


@given(st.lists(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(frame)), max_size=40))
@FUZZ
def test_any_bytes_are_read_or_reported(tmp_path, pieces):
    """For any bytes, framed or not, reading ends, and every byte is read or reported."""
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(pieces))
    look_at_everything(path)


def bombs():
    """Files made to be slow, or to take memory."""
    megabyte = 1 << 20
    lengths = b"".join(header(megabyte - 12 * i) for i in range(megabyte // 12))
    value = b"\x0a\x07\x0a\x01a\x15\0\0\0\0"
    shape = b"\x12\x02\x08\x01" + b"\x12\x0b\x12\x09\x08" + b"\xff" * 7 + b"\x7f"
    tensor = b"\x08\x01" + shape + b"\x2a\x04\0\0\x80?"
    inner = frame(frame(b"") * 20)
    return {
        "a length with its checksum at every twelfth byte": lengths,
        "short lengths at every twelfth byte": b"".join(
            header((12 * i) % 65_532 + 8) for i in range(megabyte // 12)
        ),
        "records that hold records": frame(frame(b"x" * 20) + bytes(20)) * 15_000,
        "zeros in every record": frame(bytes(300)) * 4000,
        "lengths of gigabytes": header(1 << 40) * 1000 + header((1 << 63) + 5),
        "empty records": frame(b"") * (megabyte // 64),
        "records in damaged records": (inner[:-1] + b"x") * 1000,
        "every record damaged": b"".join(frame(bytes([i % 256]) * 30)[:-1] + b"x" for i in range(5000)),
        "a hundred thousand empty values": frame(b"\x2a" + b"\xc0\x9a\x0c" + b"\x0a\x00" * 100_000),
        "many values in an event": frame(b"\x2a" + b"\xb0\xcd\x0f" + value * 28_500 + b"\x0a\x00" * 632),
        "a tag for each event": b"".join(
            frame(b"\x2a\x0f\x0a\x0d\x0a\x06%06d\x15\0\0\0\0" % (i,)) for i in range(10_000)
        ),
        "a shape for each event": b"".join(
            frame(b"\x2a\x09\x0a\x07\x0a\x01a\x15\0\0\0\0" + b"\x7a" + bytes([12]) + struct.pack("<Id", i, 0))
            for i in range(10_000)
        ),
        "a tensor of all numbers": frame(
            b"\x2a"
            + bytes([len(tensor) + 7])
            + b"\x0a"
            + bytes([len(tensor) + 5])
            + b"\x0a\x01a\x42"
            + bytes([len(tensor)])
            + tensor
        ),
        "zeros": bytes(4 * megabyte),
        "noise": np.random.default_rng(0).bytes(4 * megabyte),
    }


@pytest.mark.parametrize("name", list(bombs()))
@pytest.mark.slow
def test_files_made_to_be_slow_or_large_are_read_in_proportion_to_their_bytes(tmp_path, name):
    """Some hostile megabytes take seconds, and no more memory than an ordinary file."""
    raw = bombs()[name]
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(raw)
    tracemalloc.start()
    begin = time.process_time()
    try:
        runs = look_at_everything(path)
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begin < 60
    assert memory < 150 * 1024 * 1024 + 40 * len(raw)
    assert runs.scalars is not None
