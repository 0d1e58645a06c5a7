"""`RecordWriter`: TensorBoard can read its frames, and it destroys no file."""

from __future__ import annotations

import io
import os
import threading

import pytest
import tensorboardX.record_writer as originals
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.summary.writer.record_writer import RecordWriter as TensorboardRecordWriter

from tblog import RecordWriter
from tests.waiting import join


def written_by_tensorboard(records):
    """Return the bytes of records as framed by tensorboard."""
    file = io.BytesIO()
    writer = TensorboardRecordWriter(file)
    for record in records:
        writer.write(record)
    return file.getvalue()


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=300), max_size=5))
def test_frames_are_tensorboards(records):
    """Any bytes are framed as tensorboard's RecordWriter frames them, in a file that the caller opened."""
    file = io.BytesIO()
    writer = RecordWriter(file)
    for record in records:
        writer.write(record)
    assert file.getvalue() == written_by_tensorboard(records)


def test_records_are_added_to_a_file_that_exists(tmp_path):
    """A second writer of a path keeps what the first wrote."""
    path = tmp_path / "records"
    for record in (b"one", b"two"):
        writer = RecordWriter(path)
        writer.write(record)
        writer.close()
    assert path.read_bytes() == written_by_tensorboard([b"one", b"two"])


@pytest.mark.parametrize("damage", [b"x", b"\0" * 16, written_by_tensorboard([b"torn"])[:-1]])
def test_a_file_whose_end_is_no_record_is_refused_and_left_alone(tmp_path, damage):
    """Records after a torn one would be unreadable, so the path is refused and keeps its bytes."""
    path = tmp_path / "records"
    before = written_by_tensorboard([b"one"]) + damage
    path.write_bytes(before)
    with pytest.raises(FileExistsError, match=f"last {len(damage)} bytes are no whole record"):
        RecordWriter(str(path))
    assert path.read_bytes() == before


def test_damage_in_the_middle_is_reported_with_its_place(tmp_path):
    """The records after it are whole, so the error is not about the end of the file."""
    path = tmp_path / "records"
    first, last = written_by_tensorboard([b"one"]), written_by_tensorboard([b"two"])
    path.write_bytes(first + b"damage" + last)
    with pytest.raises(
        FileExistsError, match=rf"its bytes {len(first)} to {len(first) + 6} are no whole record"
    ):
        RecordWriter(str(path))


def test_flush_hands_everything_over(tmp_path):
    """Others can read what was written before a flush."""
    path = tmp_path / "records"
    writer = RecordWriter(str(path))
    writer.write(b"one")
    writer.flush()
    assert path.read_bytes() == written_by_tensorboard([b"one"])
    writer.close()


def test_close_may_be_called_twice(tmp_path):
    """The second close does nothing, and `closed` is true after the first."""
    writer = RecordWriter(str(tmp_path / "records"))
    assert not writer.closed
    writer.close()
    writer.close()
    assert writer.closed


def test_a_registered_prefix_is_opened_by_its_factory(monkeypatch):
    """A URL goes to the factory that a user registered with tensorboardX."""
    files = {}

    class Factory:
        def open(self, path):
            return files.setdefault(path, io.BytesIO())

    monkeypatch.setitem(originals.REGISTERED_FACTORIES, "mem", Factory())
    writer = RecordWriter("mem://bucket/records")
    writer.write(b"one")
    writer.flush()
    assert files["mem://bucket/records"].getvalue() == written_by_tensorboard([b"one"])


def test_a_device_and_a_pipe_take_records(tmp_path):
    """They can be neither read through nor synced."""
    writer = RecordWriter(os.devnull)
    writer.write(b"one")
    writer.flush()
    writer.close()
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    writer = RecordWriter(tmp_path / "pipe")
    writer.write(b"one")
    writer.flush()
    writer.close()
    join([reader])
    assert got == [written_by_tensorboard([b"one"])]
