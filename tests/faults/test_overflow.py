"""Producers faster than the disk, and records larger than the bound."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
from tensorboard.util.tensor_util import make_ndarray

from tblog import SummaryWriter, WriterOptions
from tblog._delivery import queue as _queue
from tblog._files import event_file as _eventfile
from tblog.records import HistogramRecord
from tests.faults import flood
from tests.faults.overflow import BOUND_BYTES, BOUND_RECORDS, NBYTES, THREADS, SlowSink
from tests.faults.processes import overflow
from tests.faults.volume import many_points
from tests.gates import gated
from tests.processes import run_program
from tests.reading import numbers, points, run_events, tags
from tests.waiting import join, wait_until


@pytest.mark.parametrize("kind", ["scalars", "arrays"])
@pytest.mark.parametrize("policy", ["wait", "drop"])
def test_a_producer_faster_than_the_disk_stays_within_the_bound_and_the_counts_are_right(
    tmp_path, policy, kind
):
    """Eight threads; each gets its share, and every call counts as written or dropped.

    Without the bound the arrays would take tens of GB. Each thread's allocator keeps a few MB for itself.
    """
    seen = overflow("tblog", policy, tmp_path, kind, 2.0)
    assert seen["written"] + seen["dropped"] == sum(seen["counts"])
    assert seen["waiting"] <= BOUND_RECORDS + THREADS
    assert seen["waiting_bytes"] <= BOUND_BYTES + THREADS * NBYTES
    assert seen["grown_kb"] < 6 * BOUND_BYTES / 1024 + 40_000
    assert min(seen["counts"]) > 0
    if policy == "wait":
        assert seen["dropped"] == 0
        share = (sum(seen["counts"]) - BOUND_RECORDS) / THREADS  # the first thread may fill the queue alone
        assert min(seen["counts"]) > share / 10
    else:
        assert seen["dropped"] > 0
    if kind == "scalars":
        assert sum(map(len, many_points(tmp_path).values())) == seen["written"] + 1


def test_a_record_larger_than_the_bound_is_written_when_its_turn_comes(tmp_path):
    """It waits for the others, and they wait for it; nothing is lost."""
    options = WriterOptions(max_queue_bytes=100_000)
    with SummaryWriter(tmp_path, options=options) as writer:
        for step in range(5):
            writer.add_tensor("small", np.zeros(1000), step)
            writer.add_tensor("large", np.zeros(100_000), step)
    assert tags(tmp_path) == ["small", "large"] * 5
    assert writer.stats.written == 10


def test_waiting_ends_soon_after_there_is_room(tmp_path):
    """All waiting calls continue once the disk does, in their order of arrival."""
    writer = SummaryWriter(tmp_path, options=WriterOptions(max_queue_records=10))
    sink = gated(writer)
    sink.gate.clear()
    threads = [
        threading.Thread(target=lambda n=number: [writer.add_scalar(f"thread{n}", i, i) for i in range(50)])
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    queue = writer.file_writer.channel().queue
    wait_until(lambda: len(queue._line) == 16)
    sink.gate.set()
    join(threads)
    writer.close()
    assert points(tmp_path) == {f"thread{n}": numbers(50) for n in range(16)}


def test_a_disk_that_hangs_makes_a_caller_wait_for_seconds_only_and_is_told_of_once(
    tmp_path, caplog, monkeypatch
):
    """Then records are dropped and counted until the disk responds again."""
    monkeypatch.setattr(_queue, "STALL_SECS", 0.2)
    writer = SummaryWriter(tmp_path, options=WriterOptions(max_queue_records=100))
    sink = gated(writer)
    sink.gate.clear()
    for step in range(1000):
        writer.add_scalar("x", step, step)
    assert sum("is full" in record.getMessage() for record in caplog.records) == 1
    dropped = writer.stats.dropped
    assert dropped >= 1000 - 100 - 2000
    sink.gate.set()
    writer.flush()
    for step in range(1000, 2000):
        writer.add_scalar("x", step, step)
    writer.close()
    assert writer.stats.dropped == dropped
    assert len(points(tmp_path)["x"]) == 2000 - dropped == writer.stats.written


class SlowArray:
    """An array whose device is silent five times as long as a disk may be."""

    nbytes = 8

    def numpy(self):
        threading.Event().wait(0.5)
        return np.zeros(1)


def test_a_record_that_takes_long_to_encode_is_not_taken_for_a_disk_that_hangs(tmp_path, monkeypatch):
    """A caller that waits for room behind it keeps waiting, and nothing is dropped."""
    monkeypatch.setattr(_queue, "STALL_SECS", 0.1)
    with SummaryWriter(tmp_path, options=WriterOptions(max_queue_records=2)) as writer:
        writer.add_record(HistogramRecord(tag="slow", values=SlowArray()), 0)
        for step in range(100):
            writer.add_scalar("x", step, step)
    assert writer.stats.dropped == 0
    assert points(tmp_path)["x"] == numbers(100)


def test_a_record_that_takes_long_to_write_is_not_taken_for_a_disk_that_hangs(tmp_path, monkeypatch):
    """It is written in pieces, and each piece that the disk takes is a sign of progress."""
    monkeypatch.setattr(_queue, "STALL_SECS", 0.5)
    monkeypatch.setattr(_eventfile, "PIECE_BYTES", 1 << 17)
    array = np.random.default_rng(0).random(1 << 18)
    with SummaryWriter(tmp_path, options=WriterOptions(max_queue_bytes=array.nbytes)) as writer:
        file = writer.file_writer.channel().main_file
        file._sink = SlowSink(file._sink, 1.0 / array.nbytes)
        for step in range(3):
            writer.add_tensor("x", array, step)
    assert (writer.stats.dropped, writer.stats.written) == (0, 3)
    found = [make_ndarray(value.tensor) for event in run_events(tmp_path) for value in event.summary.value]
    assert len(found) == 3
    assert all((each == array).all() for each in found)


@pytest.mark.slow
def test_a_flood_of_large_arrays_and_of_scalars_stays_within_the_bound(tmp_path):
    """The long command's trials on a small scale, each in its own process."""
    for name, size in {"large arrays": 32, "scalars in a row": 200_000, "records above the bound": 5}.items():
        seen = flood.trial("-m", "tests.faults.flood", "--trial", name, tmp_path / name, size)
        assert list(flood.wrong(name, seen)) == []


def test_the_long_command_finds_on_disk_what_a_slow_disk_took(tmp_path):
    """A producer runs briefly under each policy; the counts agree with the file."""
    for policy in ("wait", "drop"):
        seen = flood.slow_disk(policy, "arrays", tmp_path / policy, 0.5)
        assert seen["on_disk"] == seen["written"] == seen["calls"] - seen["dropped"]


def test_what_an_exit_cuts_off_is_counted_beside_what_was_dropped_before(tmp_path):
    """A full queue drops records, the disk hangs, the process ends: each record counts once, as written or dropped."""
    told = run_program(
        """
        import atexit, os, threading
        atexit.register(lambda: print("dropped", writer.stats.dropped))  # after tblog's own function
        from tblog import SummaryWriter, WriterOptions
        from tblog._files import sinks as _sinks

        os.dup2(1, 2)
        options = WriterOptions(overflow="drop", max_queue_records=10, exit_timeout_secs=0.2)
        writer = SummaryWriter("run", options=options)
        writer.flush()
        _sinks.LocalSink.write = lambda self, data: threading.Event().wait()
        for step in range(1000):
            writer.add_scalar("x", step, step)
        """,
        tmp_path,
    )
    assert 1 <= int(re.search(r"did not take its last (\d+) records", told)[1]) < 100
    assert int(re.search(r"dropped (\d+)", told)[1]) == 1000
