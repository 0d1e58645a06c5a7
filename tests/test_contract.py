"""The contract of the queue and the worker: one test for each promise, named after it."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time

import numpy as np
import pytest

from tblog import SummaryWriter, WriterOptions
from tblog._delivery.channel import Channel
from tblog.errors import WriteError
from tblog.records import TextRecord
from tests.children import log_numbers
from tests.faults.inside import end_of
from tests.gates import gated
from tests.processes import fork, run_python, running_python
from tests.reading import event_files, numbers, points, run_events, rust_points, tags
from tests.waiting import HANG_SECS, join, run_threads, wait_until


def test_ordering_what_one_thread_logs_is_in_the_file_in_the_order_of_its_calls(tmp_path):
    """The steps of each thread ascend, whatever kinds lie between."""
    with SummaryWriter(tmp_path) as writer:

        def log(name):
            for step in range(2_000):
                writer.add_scalar(name, float(step), step)
                if step % 500 == 0:
                    writer.add_text(f"{name}/text", "between", step)

        run_threads(threading.Thread(target=log, args=(f"thread{i}",)) for i in range(4))
    expected = {f"thread{i}": numbers(2_000) for i in range(4)}
    assert points(tmp_path) == expected
    assert rust_points(tmp_path, {".": expected}) == {".": expected}


def test_ordering_holds_between_scalars_tensors_and_dicts_of_one_tag(tmp_path):
    """A tag logged by every call that takes scalars keeps the order of the calls."""
    import torch

    with SummaryWriter(tmp_path) as writer:
        for step in range(0, 400, 4):
            writer.add_scalar("x", float(step), step)
            writer.add_scalar("x", torch.tensor(float(step + 1)), step + 1)
            writer.add_scalar_dict({"x": step + 2.0, "y": 0.0}, step + 2)
            writer.add_scalar("x", np.float32(step + 3), step + 3)
    assert points(tmp_path)["x"] == numbers(400)


def test_snapshot_what_is_logged_is_the_value_at_the_time_of_the_call(tmp_path):
    """Arrays and tensors that change right after the call are logged with their earlier values."""
    import torch

    array, tensor = np.zeros(3), torch.zeros(())
    with SummaryWriter(tmp_path) as writer:
        sink = gated(writer)
        sink.gate.clear()
        writer.add_tensor("array", array, 0)
        writer.add_scalar("tensor", tensor, 0)
        array += 1
        tensor += 1
        sink.gate.set()
    assert points(tmp_path)["tensor"] == [(0, 0.0)]
    from tensorboard.util.tensor_util import make_ndarray

    (logged,) = [
        value.tensor
        for event in run_events(tmp_path)
        for value in event.summary.value
        if value.tag == "array"
    ]
    assert make_ndarray(logged).tolist() == [0, 0, 0]


def test_visibility_another_process_reads_a_record_within_a_second_without_a_flush(tmp_path):
    """Whatever flush_secs and max_queue are, each single number and picture is in the file soon."""
    with SummaryWriter(tmp_path, max_queue=1_000_000, flush_secs=1_000_000_000) as writer:
        writer.add_image("image", np.zeros((3, 2, 2)), 0)
        writer.flush()  # loads what encodes pictures
        for step in range(1, 4):
            writer.add_scalar("x", 1.0, step)
            assert seen_within_a_second(lambda step=step: len(points(tmp_path).get("x", ())) == step)
            writer.add_image("image", np.zeros((3, 2, 2)), step)
            assert seen_within_a_second(lambda step=step: tags(tmp_path).count("image") == step + 1)


def seen_within_a_second(happened):
    """Look a hundred times, 10 ms apart: one second, without the time for which the machine stalls."""
    for _ in range(100):
        if happened():
            return True
        time.sleep(0.01)
    return False


def test_flush_after_it_sigkill_loses_nothing_that_was_queued_before(tmp_path):
    """A process that kills itself right after a flush has everything before it in the file."""
    code = """
        import os, signal, sys
        from tblog import SummaryWriter
        writer = SummaryWriter(sys.argv[1])
        for step in range(20_000):
            writer.add_scalar("x", float(step), step)
        writer.add_text("text", "last", 1)
        writer.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run_python(code, tmp_path).returncode == -signal.SIGKILL
    assert points(tmp_path)["x"] == numbers(20_000)


def test_overflow_a_full_queue_makes_the_caller_wait_and_loses_nothing(tmp_path):
    """While the disk is held up, calls stop at the bound; afterwards all records are written."""
    writer = SummaryWriter(tmp_path, options=WriterOptions(max_queue_records=100))
    sink = gated(writer)
    sink.gate.clear()
    queue = writer.file_writer.channel().queue
    calls = 0

    def log():
        nonlocal calls
        for step in range(5_000):
            writer.add_scalar("x", 1.0, step)
            calls += 1

    thread = threading.Thread(target=log)
    thread.start()
    wait_until(lambda: queue._line)
    assert calls < 1_000
    assert len(queue.pending) <= 101
    sink.gate.set()
    join([thread])
    writer.close()
    assert len(points(tmp_path)["x"]) == 5_000
    assert writer.stats.dropped == 0


def test_overflow_dropping_counts_each_record_it_drops(tmp_path):
    """Written and dropped add up to the number of calls, and the bound holds."""
    writer = SummaryWriter(tmp_path, options=WriterOptions(max_queue_records=100, overflow="drop"))
    sink = gated(writer)
    sink.gate.clear()
    for step in range(5_000):
        writer.add_scalar("x", 1.0, step)
    assert len(writer.file_writer.channel().queue.pending) <= 100
    sink.gate.set()
    writer.close()
    written = len(points(tmp_path)["x"])
    assert writer.stats.dropped > 0
    assert written + writer.stats.dropped == 5_000
    assert writer.stats.written == written


def test_overflow_bounds_the_bytes_of_arrays_too(tmp_path):
    """Arrays beyond the byte bound are dropped, but one larger than the bound is accepted when it is alone."""
    options = WriterOptions(max_queue_bytes=10_000, overflow="drop")
    writer = SummaryWriter(tmp_path, options=options)
    sink = gated(writer)
    sink.gate.clear()
    writer.add_tensor("large", np.zeros(4_000), 0)
    for step in range(10):
        writer.add_tensor("more", np.zeros(400), step)
    assert writer.file_writer.channel().queue.pending_bytes <= 32_000 + 3_200
    sink.gate.set()
    writer.close()
    assert writer.stats.written + writer.stats.dropped == 11
    assert writer.stats.dropped >= 7


def test_errors_what_the_caller_did_wrong_is_raised_at_the_call_with_tag_value_and_wish(tmp_path):
    """The message names the tag, the given value and the expected one; the writer goes on."""
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(NotImplementedError, match=r"'loss': got 'high' of type str; give one number"):
            writer.add_scalar("loss", "high", 0)
        with pytest.raises(AssertionError, match=r"'loss': got an array of shape \(2,\)"):
            writer.add_scalar("loss", np.zeros(2), 0)
        with pytest.raises(TypeError, match=r"the tag was 3 of type int"):
            writer.add_scalar(3, 1.0, 0)
        with pytest.raises(ValueError, match=r"'loss': walltime was nan"):
            writer.add_scalar("loss", 1.0, 0, walltime=float("nan"))
        with pytest.raises(ValueError, match=r"'loss': walltime was 1000.* \(401 characters\); give seconds"):
            writer.add_scalar("loss", 1.0, 0, walltime=10**400)
        with pytest.raises(ValueError, match=r"'loss': global_step was .*; give an int within 64 bits"):
            writer.add_scalar("loss", 1.0, 1 << 63)
        with pytest.raises(TypeError, match=r"'loss': global_step was masked of type .*; give an int"):
            writer.add_scalar("loss", 1.0, np.ma.masked)
        writer.add_scalar("loss", 1.0, 0)
    assert points(tmp_path) == {"loss": [(0, 1.0)]}


class FailingArray:
    """A deferred array that fails when the worker asks for it."""

    nbytes = 8

    def numpy(self):
        raise MemoryError("no room for the array")


def test_errors_on_the_worker_are_counted_and_reported_once_and_the_rest_is_written(tmp_path, caplog):
    """One broken record in three affects only itself, and its cause is reported once."""
    from tblog.records import HistogramRecord

    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalar("x", 1.0, step)
            writer.add_record(HistogramRecord(tag="broken", values=FailingArray()), step)
    assert points(tmp_path)["x"] == [(0, 1.0), (1, 1.0), (2, 1.0)]
    assert writer.stats.failed == 3
    told = [record.getMessage() for record in caplog.records if "broken" in record.getMessage()]
    assert len(told) == 1
    assert "histogram 'broken' at step 0: MemoryError" in told[0]


def test_errors_on_the_worker_are_raised_by_flush_where_the_options_say_strict(tmp_path):
    """A strict writer raises the error once, from the next flush or close."""
    from tblog.records import HistogramRecord

    writer = SummaryWriter(tmp_path, options=WriterOptions.STRICT)
    writer.add_record(HistogramRecord(tag="broken", values=FailingArray()), 0)
    with pytest.raises(WriteError, match="no room for the array"):
        writer.flush()
    writer.add_scalar("x", 1.0, 0)
    writer.close()
    assert points(tmp_path) == {"x": [(0, 1.0)]}


def test_errors_of_the_storage_neither_stop_training_nor_tear_the_file(tmp_path, caplog):
    """A disk that takes part of a record and then nothing is reported once; later the file is whole."""
    writer = SummaryWriter(tmp_path)
    sink = gated(writer)
    writer.add_scalar("x", 0.0, 0)
    writer.flush()
    sink.error, sink.most = OSError(28, "No space left on device"), 20
    for step in range(1, 500):
        writer.add_scalar("x", float(step), step)
    writer.flush()
    writer.flush()
    sink.error = None
    writer.add_scalar("x", 500.0, 500)
    writer.close()
    assert points(tmp_path)["x"] == [(step, float(step)) for step in range(501)]
    told = [record.getMessage() for record in caplog.records if "No space left" in record.getMessage()]
    assert len(told) == 1


def test_errors_of_the_storage_at_close_cut_the_torn_record_back(tmp_path):
    """A file closed while its disk is full ends with a whole record, and the loss is counted."""
    writer = SummaryWriter(tmp_path)
    sink = gated(writer)
    writer.add_scalar("x", 0.0, 0)
    writer.flush()
    sink.error, sink.most = OSError(28, "No space left on device"), 20
    writer.add_scalar("x", 1.0, 1)
    writer.add_scalar("x", 2.0, 2)
    writer.close()
    assert points(tmp_path)["x"] == [(0, 0.0)]
    assert writer.stats.dropped == 2
    assert writer.stats.written == 1


def test_fork_the_child_logs_to_a_file_of_its_own_and_nothing_is_written_twice(tmp_path):
    """The parent writes what waited at the fork, and the child what it logs."""
    writer = SummaryWriter(tmp_path)
    sink = gated(writer)
    sink.gate.clear()
    for step in range(100):
        writer.add_scalar("parent", float(step), step)

    def log():
        log_numbers(writer, "child", 50)
        writer.close()

    assert end_of(fork(log), HANG_SECS) == 0
    sink.gate.set()
    writer.close()
    assert points(tmp_path) == {"parent": numbers(100), "child": numbers(50)}
    assert len(event_files(tmp_path)) == 2


def test_fork_the_child_counts_its_own_records(tmp_path):
    """Neither what the parent wrote nor what failed there is in the child's counters, or raised by its close."""
    writer = SummaryWriter(tmp_path, options=WriterOptions(strict=True))
    log_numbers(writer, "parent", 100)
    writer.add_histogram("with NaN", [1.0, float("nan")], 0)
    writer.file_writer.reports.failure(ValueError("for a test"), tag="parent", step=0, kind="scalar")

    def log():
        log_numbers(writer, "child", 50)
        writer.add_scalar_dict({"child": 50.0}, 50)
        writer.close()
        stats = writer.stats
        assert (stats.queued, stats.written, stats.failed, stats.values_left_out) == (51, 51, 0, 0)

    assert end_of(fork(log), HANG_SECS) == 0
    with pytest.raises(WriteError, match="for a test"):
        writer.close()
    assert (writer.stats.queued, writer.stats.failed) == (101, 1)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_fork_a_process_started_by_multiprocessing_loses_nothing_at_its_end(tmp_path, method):
    """An inherited or pickled writer is flushed when the child ends, although atexit does not run there."""
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("parent", 1.0, 0)
    child = multiprocessing.get_context(method).Process(target=log_numbers, args=(writer, "child", 50))
    child.start()
    child.join(HANG_SECS)
    assert child.exitcode == 0
    writer.close()
    assert points(tmp_path)["child"] == numbers(50)
    assert points(tmp_path)["parent"] == [(0, 1.0)]


def test_shutdown_close_waits_for_everything_and_may_be_called_twice(tmp_path):
    """Everything queued is in the file when close returns."""
    writer = SummaryWriter(tmp_path)
    for step in range(50_000):
        writer.add_scalar("x", 1.0, step)
    writer.close()
    writer.close()
    writer.flush()
    assert len(points(tmp_path)["x"]) == 50_000


def test_shutdown_a_call_after_close_opens_a_new_event_file(tmp_path):
    """Both files hold what was logged while they were open, and sort in the order of opening."""
    writer = SummaryWriter(tmp_path)
    for step in range(3):
        writer.add_scalar("x", float(step), step)
        writer.close()
    assert len(event_files(tmp_path)) == 3
    assert points(tmp_path)["x"] == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert writer.stats.written == 3


@pytest.mark.parametrize("ending", ["pass", "sys.exit(3)", "raise RuntimeError('on purpose')"])
def test_shutdown_the_interpreters_exit_closes_open_writers(tmp_path, ending):
    """A program that ends without a close, normally or by an exception, loses nothing."""
    code = f"""
        import sys
        from tblog import SummaryWriter
        writer = SummaryWriter(sys.argv[1])
        for step in range(2_001):
            writer.add_scalar("x", float(step), step)
        {ending}
    """
    run_python(code, tmp_path)
    assert points(tmp_path)["x"] == numbers(2_001)


def test_shutdown_the_exit_is_bounded_when_the_storage_does_not_answer(tmp_path):
    """A process whose disk hangs still ends, and reports what was lost."""
    code = """
        import sys, threading
        from tblog import SummaryWriter, WriterOptions
        writer = SummaryWriter(sys.argv[1], options=WriterOptions(exit_timeout_secs=0.3))
        writer.file_writer.channel().main_file._sink.write = lambda data: threading.Event().wait()
        writer.add_scalar("x", 1.0, 0)
    """
    finished = run_python(code, tmp_path, timeout=30)
    assert finished.returncode == 0
    assert "did not take" in finished.stderr


def test_shutdown_a_writer_that_is_collected_is_written_and_closed(tmp_path):
    """Dropping the last reference loses nothing and releases the file handle."""
    writer = SummaryWriter(tmp_path)
    channel: Channel = writer.file_writer.channel()
    writer.add_scalar("x", 1.0, 0)
    del writer
    wait_until(lambda: channel.closed)
    assert points(tmp_path) == {"x": [(0, 1.0)]}
    assert not channel.main_file.is_open


def test_names_writers_of_one_directory_never_share_a_file(tmp_path):
    """Twenty writers made at once, in this process and in another, each have their own file."""
    code = """
        import sys
        from tblog import SummaryWriter
        writers = [SummaryWriter(sys.argv[1]) for _ in range(10)]
        for number, writer in enumerate(writers):
            writer.add_scalar(f"theirs{number}", 1.0, 0)
    """
    with running_python(code, tmp_path) as other:
        writers = [SummaryWriter(tmp_path) for _ in range(10)]
        for number, writer in enumerate(writers):
            writer.add_scalar(f"ours{number}", 1.0, 0)
            writer.close()
        assert other.wait(HANG_SECS) == 0
    assert len(event_files(tmp_path)) == 20
    assert len(points(tmp_path)) == 20


def test_names_sort_in_the_order_of_opening(tmp_path):
    """The files of one directory are read in the order in which they were opened."""
    names = []
    for _ in range(12):
        writer = SummaryWriter(tmp_path)
        names.append(writer.file_writer.event_writer._file_name)
        writer.close()
    assert names == sorted(names)
    assert len(set(names)) == 12


def test_a_pair_of_threads_serves_all_writers_of_a_device_and_ends_with_the_last(tmp_path):
    """Sixty writers and their runs share one writing and one encoding thread, which end when all are closed."""
    before = threading.active_count()
    writers = [SummaryWriter(tmp_path / str(number)) for number in range(60)]
    for writer in writers:
        writer.add_scalars("m", {str(key): 1.0 for key in range(5)}, 0)
        writer.add_record(TextRecord(tag="text", text="hello"))
    assert threading.active_count() <= before + 2
    for writer in writers:
        writer.close()
    assert points(tmp_path / "7" / "m_3") == {"m": [(0, 1.0)]}
