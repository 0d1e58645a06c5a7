"""The record framing, against RFC 3720's vectors and tensorboard's own writer and reader."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.summary.writer.record_writer import RecordWriter

from tblog._wire import events as _events
from tblog._wire import framing as _framing
from tests.processes import run_program

# RFC 3720, section B.4: https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4
RFC_3720_VECTORS = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (b"123456789", 0xE3069283),
]


def unmask(masked):
    """Undo the mask: subtract the constant, then rotate left by 15."""
    rotated = (masked - _framing.MASK_DELTA) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def frame_by_tensorboard(data):
    """Return one record as framed by tensorboard's RecordWriter."""
    sink = io.BytesIO()
    RecordWriter(sink).write(data)
    return sink.getvalue()


def ends_of(buffer):
    """Return the ends of all whole records from the start of `buffer`."""
    ends = []
    end = _framing.record_end(buffer)
    while end is not None:
        ends.append(end)
        end = _framing.record_end(buffer, end)
    return ends


@pytest.mark.parametrize(("data", "crc"), RFC_3720_VECTORS)
def test_checksums_are_those_of_rfc_3720(data, crc):
    """Unmasked checksums equal the vectors of RFC 3720."""
    assert unmask(_framing.masked_crc(data)) == crc


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=2000))
def test_a_frame_is_what_tensorboard_writes(data):
    """A framed record equals the one by tensorboard's RecordWriter, byte for byte."""
    assert _framing.frame(data) == frame_by_tensorboard(data)


@pytest.mark.parametrize("wall_time", [1.0, 1_700_000_000.123456, -5.5])
def test_the_first_event_is_what_protobuf_gives(wall_time):
    """The hand-made first record equals tensorboard's message in tensorboard's frame."""
    event = Event(wall_time=wall_time, file_version="brain.Event:2")
    assert _events.first_event(wall_time) == frame_by_tensorboard(event.SerializeToString())


def test_tensorboard_reads_frames_one_after_the_other(tmp_path):
    """Concatenated frames are read back by tensorboard's own reader, the empty record included."""
    records = [b"one", b"", b"three" * 100]
    path = tmp_path / "records"
    path.write_bytes(b"".join(map(_framing.frame, records)))
    reader = PyRecordReader_New(str(path))
    read = []
    for _ in records:
        reader.GetNext()
        read.append(reader.record())
    assert read == records


def test_record_end_walks_whole_records_and_stops_at_a_torn_one():
    """For each length that a crash may leave, the walk ends after the last whole record."""
    first, second = frame_by_tensorboard(b"first"), frame_by_tensorboard(b"the second")
    file = first + second
    for length in range(len(file) + 1):
        whole = [end for end in (len(first), len(file)) if end <= length]
        assert ends_of(memoryview(file)[:length]) == whole


def test_record_end_refuses_a_record_with_any_byte_changed():
    """Every flipped bit in the length, the data or a checksum is detected."""
    file = frame_by_tensorboard(b"some data")
    for i in range(len(file)):
        damaged = bytearray(file)
        damaged[i] ^= 0x10
        assert _framing.record_end(damaged) is None


def test_a_tail_of_zeros_is_no_record():
    """Zeros, which a machine's crash may leave, do not count as a record without data."""
    assert ends_of(frame_by_tensorboard(b"data") + bytes(64)) == [len(frame_by_tensorboard(b"data"))]


def test_importing_the_framing_does_not_import_the_checksum_package():
    """The slow import of crc32c waits for the first checksum."""
    assert run_program("import sys, tblog._wire.framing; print('crc32c' in sys.modules)") == "False\n"
