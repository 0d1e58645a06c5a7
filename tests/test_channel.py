"""A writer's way to its files without threads: an in-memory disk, a hand-turned clock, and steps taken by the test."""

from __future__ import annotations

import errno
import threading

import numpy as np
import pytest

from tblog import WriterOptions
from tblog._delivery.channel import SILENCE_SECS, Channel
from tblog._delivery.drain import LARGE_BYTES, RETRY_SECS
from tblog._delivery.entries import Flush, RunScalar, ScalarDict, record_entry
from tblog._delivery.event_encoder import EventEncoder
from tblog.records import EmbeddingRecord, TextRecord
from tests import reading
from tests.sinks import MemorySink, scalar
from tests.waiting import HANG_SECS, join


@pytest.fixture
def channel(disk, clock, tmp_path):
    """Return a channel with its own file created, served only by the test."""
    made = Channel(str(tmp_path), "", 120, WriterOptions(), clock=clock, open_sink=disk.open)
    made.open(patient=False)
    return made


def text(tag):
    """Return a record that must be encoded."""
    return record_entry(TextRecord(tag=tag, text="text"), 0, 1.0, "")


def embedding(tag):
    """Return a record that becomes files of its own."""
    return record_entry(EmbeddingRecord(tag=tag, matrix=np.zeros((2, 2))), 0, 1.0, "")


def tags(channel, disk, tmp_path):
    """Return the tags in the channel's own file, as TensorBoard's reader sees them."""
    events = reading.events(disk.save(channel.main_file.path, tmp_path))
    return [value.tag for event in events for value in event.summary.value]


def ask(channel, command=None):
    """Queue a flush, as a waiting caller does; return the command."""
    flush = command or Flush()
    channel.queue.command(flush)
    return flush


def test_a_step_hands_all_that_waits_on_the_light_lane_to_the_disk(channel, disk, tmp_path):
    """Numbers of each form, in the order of their calls."""
    channel.put(scalar(1))
    channel.put(ScalarDict(("a", "b"), (1.0, 2.0), 1, 1.0))
    channel.put(RunScalar("below", ("y", 1.0, 1, 1.0)))
    channel.put(scalar(2))
    assert channel.drain.step() == 4
    assert tags(channel, disk, tmp_path) == ["x", "a", "b", "x"]
    assert (channel.stats.queued, channel.stats.written) == (4, 4)


def test_a_heavy_record_is_written_one_step_after_its_encoding(channel, disk, tmp_path):
    """Numbers logged after it do not wait for it."""
    channel.put(text("remark"))
    channel.put(scalar(1))
    channel.drain.step()
    assert tags(channel, disk, tmp_path) == ["x"]
    assert channel.heavy.encode_next()
    channel.drain.step()
    assert tags(channel, disk, tmp_path) == ["x", "remark/text_summary"]
    assert not channel.heavy.encode_next()


def put_large(channel, count):
    """Put records that are written by themselves, with a small one before each, and encode all."""
    for step in range(count):
        channel.put(text(f"small {step}"))
        channel.put(record_entry(TextRecord(tag=f"large {step}", text="x" * LARGE_BYTES), 0, 1.0, ""))
    while channel.heavy.encode_next():
        pass


def test_a_large_record_is_written_by_itself(channel, disk, tmp_path, monkeypatch):
    """It is copied behind no other one, and at each moment all that nobody has confirmed is counted once."""
    sizes, waiting = [], []
    write = MemorySink.write

    def note(sink, data):
        sizes.append(len(data) >= LARGE_BYTES)
        waiting.append(channel.drain.unwritten())
        return write(sink, data)

    channel.drain.step()
    monkeypatch.setattr(MemorySink, "write", note)
    put_large(channel, 2)
    channel.drain.step()
    assert sizes == [False, True, False, True]
    assert waiting == [4, 3, 2, 1]
    assert tags(channel, disk, tmp_path) == [
        f"{size} {step}/text_summary" for step in range(2) for size in ("small", "large")
    ]
    assert (channel.drain.unwritten(), channel.stats.written) == (0, 4)


def test_storage_that_refuses_is_not_asked_again_for_each_large_record(
    channel, disk, clock, tmp_path, monkeypatch
):
    """A refusal may take a minute, on a network. All records wait, and follow when it is over."""
    asked = []
    write = MemorySink.write
    monkeypatch.setattr(MemorySink, "write", lambda sink, data: asked.append(1) or write(sink, data))
    channel.drain.step()
    put_large(channel, 5)
    disk.error = errno.EIO
    del asked[:]
    channel.drain.step()
    assert (len(asked), channel.drain.unwritten(), channel.stats.written) == (1, 10, 0)
    disk.error = 0
    clock.turn(RETRY_SECS)
    channel.drain.step()
    assert len(tags(channel, disk, tmp_path)) == channel.stats.written == 10
    assert channel.drain.unwritten() == 0


@pytest.mark.parametrize("fails_at", range(4))
def test_an_unforeseen_error_among_encoded_records_loses_none(
    channel, disk, clock, tmp_path, monkeypatch, fails_at
):
    """A process may lack memory for a moment; the flush after that ends, with all records in the file."""
    channel.drain.step()
    put_large(channel, 2)
    flush, calls = ask(channel), []
    write = MemorySink.write

    def lack_memory(sink, data):
        calls.append(1)
        if len(calls) == fails_at + 1:
            raise MemoryError
        return write(sink, data)

    monkeypatch.setattr(MemorySink, "write", lack_memory)
    with pytest.raises(MemoryError):
        channel.drain.step()
    channel.drain.fail_unforeseen(MemoryError())
    assert channel.drain.unwritten() + channel.stats.written == 4
    for _ in range(3):
        clock.turn(RETRY_SECS)
        channel.drain.step()
    assert flush.done.wait(0)
    assert tags(channel, disk, tmp_path) == [
        f"{size} {step}/text_summary" for step in range(2) for size in ("small", "large")
    ]
    assert (channel.drain.unwritten(), channel.stats.written, channel.queue.records_waiting()) == (0, 4, 0)


def test_a_flush_is_answered_after_what_was_before_it_on_both_lanes(channel):
    """It does not wait for records that come later."""
    channel.put(text("remark"))
    flush = ask(channel)
    channel.put(text("later"))
    channel.drain.step()
    assert not flush.done.wait(0)
    channel.heavy.encode_next()
    channel.drain.step()
    assert flush.done.wait(0)
    assert channel.stats.written == 1


def test_a_flush_waits_for_a_refused_embedding_to_be_tried_again_whatever_is_done_meanwhile(
    channel, monkeypatch
):
    """Records queued after the flush do not stand in for it."""
    tried = []

    def refuse(_self, record, _step):
        tried.append(record.tag)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(EventEncoder, "_embedding", refuse)
    channel.put(embedding("e"))
    channel.heavy.encode_next()
    flush = ask(channel)
    for tag in ("a", "b"):
        channel.put(text(tag))
        channel.heavy.encode_next()
    channel.drain.step()
    assert tried == ["e"]
    assert not flush.done.wait(0)
    channel.heavy.encode_next()
    channel.drain.step()
    assert tried == ["e", "e"]
    assert flush.done.wait(0)
    assert (channel.stats.written, channel.stats.dropped, channel.stats.failed) == (2, 0, 0)


def test_storage_that_refuses_is_tried_again_after_a_while_and_nothing_is_lost(
    channel, disk, clock, tmp_path, caplog
):
    """The injected clock decides when; one message reports the trouble and one its end."""
    channel.put(scalar(1))
    channel.drain.step()
    disk.error = errno.EIO
    for step in (2, 3):
        channel.put(scalar(step))
        channel.drain.step()
    disk.error = 0
    channel.drain.step()
    assert channel.stats.written == 1
    clock.turn(RETRY_SECS)
    channel.drain.step()
    assert tags(channel, disk, tmp_path) == ["x"] * 3
    assert (channel.stats.written, channel.stats.dropped, channel.stats.failed) == (3, 0, 0)
    assert len(caplog.records) == 2


def test_a_sync_comes_when_flush_secs_are_over(disk, clock, tmp_path):
    """And not before."""
    channel = Channel(str(tmp_path), "", 30, WriterOptions(), clock=clock, open_sink=disk.open)
    channel.open(patient=False)
    channel.put(scalar(1))
    channel.drain.step()
    clock.turn(29)
    channel.drain.step()
    assert disk.syncs == []
    clock.turn(1)
    channel.drain.step()
    assert disk.syncs == [channel.main_file.path]


def test_a_caller_gives_up_waiting_when_nothing_has_moved_for_so_long(channel, clock, caplog):
    """Each check of the caller advances the clock; the message names what is waiting."""
    channel.put(text("remark"))
    channel.queue.wake = lambda: clock.turn(SILENCE_SECS)
    assert not channel.flush()
    assert "text 'remark' at step 0" in caplog.text


def test_a_close_writes_what_waits_syncs_and_refuses_what_comes_later(channel, disk, tmp_path):
    """A second close asks for nothing more."""
    channel.put(scalar(1))
    closing = channel.start_closing()
    assert channel.start_closing() is closing
    channel.drain.step()
    assert closing.done.wait(0)
    assert channel.closed
    assert tags(channel, disk, tmp_path) == ["x"]
    assert disk.closed == disk.syncs == [channel.main_file.path]


def test_a_record_that_fails_after_it_was_given_up_is_counted_as_dropped_alone(channel, caplog):
    """The end of the process closed its writer while it was encoded."""
    entered, gate = threading.Event(), threading.Event()

    class Text:
        def __str__(self):
            entered.set()
            assert gate.wait(HANG_SECS)
            raise ValueError("no text")

    channel.put(record_entry(TextRecord(tag="t", text=Text()), 0, 1.0, ""))
    thread = threading.Thread(target=channel.heavy.encode_next)
    thread.start()
    assert entered.wait(HANG_SECS)
    channel.start_closing()
    channel.cut_off(0)
    gate.set()
    join([thread])
    channel.drain.step()
    assert (channel.stats.queued, channel.stats.written) == (1, 0)
    assert (channel.stats.dropped, channel.stats.failed) == (1, 0)
    assert "no text" in caplog.text


def test_a_close_and_a_crowd_stop_a_writer_that_appends_by_itself(channel):
    """It then asks again for a queue and for room."""
    told = []

    class Writer:
        def forget_channel(self):
            told.append(channel.queue.quick_room())

    writer = Writer()
    channel.attach(writer)
    channel.put(text("a"))
    assert len(told) == 1
    channel.start_closing()
    assert len(told) == 2
