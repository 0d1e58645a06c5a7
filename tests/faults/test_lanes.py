"""Two lanes: encoding never delays numbers, forks or other writers, and no wait gives up while there is progress."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import weakref

import numpy as np
import pytest

from tblog import SummaryWriter, WriterOptions
from tblog._delivery import channel as _channel
from tblog._delivery import fork as _fork
from tblog._delivery import queue as _queue
from tblog._locks import import_lock
from tblog.records import HistogramRecord, ImageRecord
from tests.faults.inside import end_of
from tests.gates import BusyArray, gated, gated_record, let_no_thread_start
from tests.processes import fork, run_python
from tests.reading import event_files, numbers, points, tags
from tests.waiting import HANG_SECS, join, run_threads, wait_until, within


def test_numbers_are_on_disk_while_a_record_of_theirs_or_of_another_writer_is_encoded(tmp_path):
    """Scalars, dicts, sub-runs, described and tensor scalars, and ready events overtake slow records."""
    from tensorboardX.proto.summary_pb2 import Summary

    slow, other = SummaryWriter(tmp_path / "slow"), SummaryWriter(tmp_path / "other")
    array = gated_record(slow)
    for writer in (slow, other):
        writer.add_scalar("x", 1.0, 1)
        writer.add_scalar_dict({"y": 2.0}, 1)
        writer.add_scalars("m", {"k": 3.0}, 1)
        writer.add_scalar("d", 4.0, 1, display_name="title")
        writer.add_scalar("t", 5.0, 1, new_style=True)
        writer.file_writer.add_summary(Summary(value=[Summary.Value(tag="s", simple_value=6.0)]), 1)
    for run in ("slow", "other"):
        wait_until(lambda run=run: {"x", "y", "d", "s"} <= set(points(tmp_path / run)))
        wait_until(lambda run=run: points(tmp_path / run / "m_k") == {"m": [(1, 3.0)]})
        wait_until(lambda run=run: "t" in tags(tmp_path / run))
    assert "slow" not in tags(tmp_path / "slow")
    array.gate.set()
    slow.close()
    other.close()
    assert "slow" in tags(tmp_path / "slow")


def test_a_kill_during_a_long_encoding_costs_the_scalars_of_the_last_second_alone(tmp_path):
    """With a real video and a real SIGKILL, both writers' scalars are on disk up to the last second."""
    code = """
        import os, signal, sys, time
        import numpy as np
        from tblog import SummaryWriter
        writers = [SummaryWriter(f"{sys.argv[1]}/{name}") for name in "ab"]
        writers[0].add_video("v", np.random.default_rng(0).integers(0, 255, (1, 400, 3, 256, 256), np.uint8))
        start, step = time.monotonic(), 0
        while time.monotonic() < start + 4:
            for writer in writers:
                writer.add_scalar("age", time.time(), step)
                writer.add_scalar_dict({"secs": time.monotonic() - start}, step)
            step += 1
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run_python(code, tmp_path).returncode == -signal.SIGKILL
    for name in "ab":
        assert points(tmp_path / name)["secs"][-1][1] > 4 - 1.5
    assert "v" not in tags(tmp_path / "a"), "the video was encoded before the kill: make it longer"


@pytest.mark.parametrize("ending", ["flush", "close"])
def test_flush_and_close_wait_for_an_encoding_that_gets_on_however_long(tmp_path, monkeypatch, ending):
    """Only time without progress counts, and a working encoder is progress."""
    monkeypatch.setattr(_channel, "SILENCE_SECS", 0.25)
    writer = SummaryWriter(tmp_path)
    writer.add_record(HistogramRecord(tag="slow", values=BusyArray(1.5)), 3)
    for step in range(100):
        writer.add_scalar("x", step, step)
    assert within(HANG_SECS, getattr(writer, ending)) is None
    assert "slow" in tags(tmp_path)
    assert points(tmp_path)["x"] == numbers(100)
    writer.close()
    assert (writer.stats.written, writer.stats.dropped) == (101, 0)


def test_a_wait_that_is_given_up_names_what_was_not_written(tmp_path, monkeypatch, caplog):
    """The wait for an idle encoder is given up, and the message names the record it is at."""
    monkeypatch.setattr(_channel, "SILENCE_SECS", 0.2)
    writer = SummaryWriter(tmp_path)
    array = gated_record(writer)
    writer.add_scalar("x", 0, 0)
    assert within(HANG_SECS, writer.flush) is None
    (told,) = [record.getMessage() for record in caplog.records]
    assert "1 records wait (histogram 'slow' at step 3)" in told
    assert points(tmp_path) == {"x": numbers(1)}
    array.gate.set()
    writer.close()
    assert writer.stats.written == 2


def test_the_exit_counts_and_names_what_its_deadline_cuts_off(tmp_path):
    """The numbers are on disk; the message names each lost record's kind, tag and step; an earlier close would wait."""
    code = """
        import atexit, sys, threading
        import numpy as np
        from tblog import SummaryWriter, WriterOptions
        from tblog.records import HistogramRecord

        class Never:
            nbytes = 8
            def numpy(self):
                threading.Event().wait()

        writer = SummaryWriter(sys.argv[1], options=WriterOptions(exit_timeout_secs=0.5))
        import tblog._delivery.worker
        atexit.unregister(tblog._delivery.worker.close_all)
        atexit.register(lambda: print(writer.stats))
        atexit.register(tblog._delivery.worker.close_all)
        writer.add_record(HistogramRecord(tag="never", values=Never()), 7)
        writer.add_image("after", np.zeros((3, 4, 4)), 8)
        for step in range(1000):
            writer.add_scalar("x", step, step)
    """
    done = run_python(code, tmp_path)
    assert done.returncode == 0
    assert "histogram 'never' at step 7" in done.stderr
    assert "image 'after' at step 8" in done.stderr
    assert "its last 2 records" in done.stderr
    assert "written=1000, dropped=2, failed=0" in done.stdout
    assert points(tmp_path)["x"] == numbers(1000)


def test_an_error_of_one_writer_at_the_exit_does_not_keep_the_others_from_closing(tmp_path):
    """Each writer is closed, even if an earlier one raises."""
    code = """
        import sys
        from tblog import SummaryWriter
        writers = [SummaryWriter(f"{sys.argv[1]}/{number}") for number in range(3)]
        for writer in writers:
            for step in range(20_000):
                writer.add_scalar("x", step, step)
        class Broken:
            def forget_channel(self):
                raise AttributeError("gone")
        broken = Broken()
        for writer in writers:
            writer.file_writer.channel().attach(broken)
    """
    done = run_python(code, tmp_path)
    assert "gone" in done.stderr
    for number in range(3):
        assert points(tmp_path / str(number))["x"] == numbers(20_000)


def test_a_fork_does_not_wait_for_an_encoder(tmp_path, monkeypatch):
    """The child comes and goes while a record is encoded, logs, and the parent's record is written afterwards."""
    monkeypatch.setattr(_fork, "IMPORT_SECS", 10 * HANG_SECS)
    writer = SummaryWriter(tmp_path)
    array = gated_record(writer)

    def log():
        writer.add_scalar("child", 0.0, 0)
        writer.close()

    child = within(HANG_SECS, lambda: fork(log))
    assert end_of(child, HANG_SECS) == 0
    array.gate.set()
    writer.close()
    assert sorted(tags(tmp_path)) == ["child", "slow"]


def test_a_fork_waits_for_a_thread_that_imports(tmp_path):
    """The child can import the same module."""
    SummaryWriter(tmp_path).close()
    held, go_on, order = threading.Event(), threading.Event(), []

    def imports():
        with import_lock:
            held.set()
            go_on.wait(HANG_SECS)
            order.append("imported")

    thread = threading.Thread(target=imports)
    thread.start()
    assert held.wait(HANG_SECS)
    threading.Timer(0.05, go_on.set).start()
    child = fork(int)
    order.append("forked")
    assert end_of(child, HANG_SECS) == 0
    join([thread])
    assert order == ["imported", "forked"]


def test_an_interrupt_while_a_fork_waits_is_raised_and_leaves_the_lock_alone(tmp_path):
    """Ctrl-C is raised after the fork, and no lock error is reported."""
    code = """
        import os, signal, sys, threading, time, warnings
        from tblog import SummaryWriter
        warnings.filterwarnings("ignore", "This process .* is multi-threaded")  # from Python 3.12 on
        from tblog._locks import import_lock
        writer = SummaryWriter(sys.argv[1])
        held, go_on = threading.Event(), threading.Event()

        def imports():
            with import_lock:
                held.set()
                go_on.wait(30)

        thread = threading.Thread(target=imports)
        thread.start()
        held.wait()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
            time.sleep(30)
            print("not interrupted")
        except KeyboardInterrupt:
            print("interrupted")
        go_on.set()
        thread.join()
        assert import_lock.acquire(timeout=5)
        import_lock.release()
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        writer.add_scalar("x", 0, 0)
        writer.close()
    """
    done = run_python(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
    assert points(tmp_path) == {"x": numbers(1)}


def test_a_flush_waits_for_what_another_thread_closes_just_now(tmp_path):
    """It returns when the records are with the operating system, and so does a second close."""
    writer = SummaryWriter(tmp_path)
    sink = gated(writer)
    sink.gate.clear()
    for step in range(1000):
        writer.add_scalar("x", step, step)
    closes = threading.Thread(target=writer.close)
    closes.start()
    wait_until(lambda: writer.all_writers is None)
    others = [threading.Thread(target=work) for work in (writer.flush, writer.close)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join(0.3)
        assert thread.is_alive(), "it returned before the records were written"
    sink.gate.set()
    join([*others, closes])
    assert points(tmp_path)["x"] == numbers(1000)
    assert writer.stats.written == 1000


@pytest.mark.parametrize("policy", ["wait", "drop"])
def test_the_bound_in_records_holds_over_both_lanes(tmp_path, policy, monkeypatch):
    """Numbers that a thread appends by itself share it with records that wait to be encoded."""
    monkeypatch.setattr(_queue, "STALL_SECS", 0.2)
    monkeypatch.setattr(_queue, "ENCODING_SECS", 0.2)
    writer = SummaryWriter(tmp_path, options=WriterOptions(max_queue_records=100, overflow=policy))
    queue = writer.file_writer.channel().queue
    sink = gated(writer)
    array = gated_record(writer)
    sink.gate.clear()
    for step in range(40):
        writer.add_scalar("x", step, step)
        writer.add_histogram("h", [1.0, 2.0], step)
        writer.add_histogram("h", [1.0, 2.0], step)
    most = queue.waiting
    for step in range(40, 200):
        writer.add_scalar("x", step, step)
        most = max(most, queue.waiting)
    assert most <= 101
    assert writer.stats.dropped > 0
    sink.gate.set()
    array.gate.set()
    writer.close()
    assert writer.stats.written + writer.stats.dropped == 281


def test_numbers_do_not_wait_for_room_in_bytes(tmp_path):
    """A record above the byte bound delays the next array, but no number before that."""
    writer = SummaryWriter(tmp_path, options=WriterOptions(max_queue_bytes=1_000, max_queue_records=2000))
    array = gated_record(writer, nbytes=80_000)
    writer.add_scalar("new tag", 0.0, 0)
    for step in range(1000):
        writer.add_scalar("x", step, step)
    wait_until(lambda: len(points(tmp_path).get("x", ())) == 1000)
    waits = threading.Thread(target=writer.add_histogram, args=("next", np.zeros(10), 0))
    waits.start()
    wait_until(lambda: writer.file_writer.channel().queue._line)
    array.gate.set()
    join([waits])
    writer.close()
    assert (writer.stats.written, writer.stats.dropped, writer.stats.failed) == (1003, 0, 0)


def test_heavy_records_keep_their_order_and_light_ones_theirs(tmp_path):
    """Within a lane, and so within a tag, the file has the order of the calls."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(60):
            writer.add_histogram("a", [1.0], step)
            writer.add_scalar("x", step, step)
            writer.add_image("b", np.zeros((1, 2, 2)), step)
    found = tags(tmp_path)
    assert [tag for tag in found if tag in "ab"] == ["a", "b"] * 60
    assert points(tmp_path)["x"] == numbers(60)


class Kept:
    """A deferred array that can be watched."""

    nbytes = 8

    def numpy(self):
        return np.zeros((1, 2, 2))


@pytest.mark.parametrize("ending", ["flush", "close"])
def test_after_a_flush_nothing_of_the_callers_is_held(tmp_path, ending, request):
    """After a wait, every object is free, both of records that were written and of those that failed."""
    writer = SummaryWriter(tmp_path)
    gc.collect()
    gc.freeze()  # each collection looks only at the objects of this test, not at everything imported
    request.addfinalizer(gc.unfreeze)
    for number in range(50):
        values = Kept()
        value = Number()
        held = [weakref.ref(values), weakref.ref(value)]
        writer.add_record(ImageRecord(tag="image", image=values), number)
        writer.add_record(HistogramRecord(tag="failing", values=Failing(values)), number)
        writer.file_writer.channel().put(("x", value, number, 0.0))
        del values, value
        getattr(writer, ending)()
        gc.collect()
        assert [ref() for ref in held] == [None, None]
    writer.close()
    assert writer.stats.failed == 50


class Failing:
    """A deferred array that fails, and holds another one."""

    nbytes = 8

    def __init__(self, held):
        self.held = held

    def numpy(self):
        held = self.held
        raise ValueError(f"on purpose, while {type(held).__name__} is held")


class Number:
    """A number that can be watched."""

    def __float__(self):
        return 1.0


def test_threads_are_gone_when_the_exit_goes_on(tmp_path):
    """Both threads are joined, so that neither runs while the interpreter exits."""
    code = """
        import atexit, sys, threading
        atexit.register(lambda: print([t.name for t in threading.enumerate() if "tblog" in t.name]))
        from tblog import SummaryWriter
        writer = SummaryWriter(sys.argv[1])
        writer.add_histogram("h", [1.0, 2.0], 0)
        writer.add_scalar("x", 0, 0)
        if len(sys.argv) > 2:
            writer.close()
    """
    for more in ((), ("close",)):
        done = run_python(code, tmp_path / "-".join(("run", *more)), *more)
        assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.slow
def test_encoding_imports_nothing_outside_of_the_lock_that_a_fork_waits_for(tmp_path):
    """In a fresh process, the first record of each kind loads every module under the lock or in the call."""
    code = """
        import sys, threading
        outside = []

        def hook(event, args):
            if event == "import" and "tblog-" in threading.current_thread().name and not import_lock.is_mine():
                outside.append((threading.current_thread().name, args[0]))

        from tblog._locks import import_lock
        sys.addaudithook(hook)
        from tblog import SummaryWriter
        from tests.faults.soak_kinds import KINDS
        with SummaryWriter(sys.argv[1]) as writer:
            for name, kind in KINDS.items():
                kind.call(writer, name, 0, 0)
        print(outside)
    """
    done = run_python(code, tmp_path, timeout=120)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_where_no_further_thread_starts_the_worker_encodes(tmp_path, monkeypatch):
    """Numbers are slower, but nothing is lost."""
    let_no_thread_start(monkeypatch, "tblog-encoder")
    writer = SummaryWriter(tmp_path)
    for step in range(20):
        writer.add_histogram("h", [1.0], step)
        writer.add_scalar("x", step, step)
    assert within(HANG_SECS, writer.flush) is None
    assert tags(tmp_path).count("h") == 20
    writer.close()
    assert points(tmp_path)["x"] == numbers(20)


@pytest.mark.parametrize("code", ["EPERM", "EROFS", "EIO", "ENOENT", "EACCES", "ENOSPC", "ESTALE"])
def test_an_embedding_that_the_storage_refuses_is_tried_again_and_told_of_once(
    tmp_path, code, monkeypatch, caplog
):
    """This holds for any error; numbers and pictures go on, and later embeddings keep their order."""
    import errno

    from tblog._delivery import event_encoder as _events
    from tblog._delivery import heavy_lane as _heavy_lane

    monkeypatch.setattr(_heavy_lane, "RETRY_SECS", 0.02)
    write, refusing, tried = _events.EventEncoder._embedding, threading.Event(), []
    refusing.set()

    def refuse(self, record, step):
        tried.append(record.tag)
        if refusing.is_set():
            raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))
        write(self, record, step)

    monkeypatch.setattr(_events.EventEncoder, "_embedding", refuse)
    writer = SummaryWriter(tmp_path)
    for number in range(3):
        writer.add_embedding(np.zeros((2, 2)), tag=f"e{number}")
    writer.add_image("image", np.zeros((1, 2, 2)), 0)
    writer.add_scalar("x", 0, 0)
    assert within(HANG_SECS, writer.flush) is None
    assert points(tmp_path) == {"x": numbers(1)}
    assert "image" in tags(tmp_path)
    wait_until(lambda: len(tried) > 5)
    assert set(tried) == {"e0"}
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1, told
    assert "embedding 'e0' at step 0" in told[0]
    refusing.clear()
    writer.close()
    assert [(tmp_path / "00000" / f"e{number}" / "tensors.tsv").exists() for number in range(3)] == [True] * 3
    assert (writer.stats.written, writer.stats.dropped, writer.stats.failed) == (5, 0, 0)
    assert tried[-3:] == ["e0", "e1", "e2"]


def test_an_embedding_that_is_refused_to_the_end_is_counted(tmp_path, monkeypatch, caplog):
    """Close tries once more, then gives up and reports it."""
    from tblog._delivery import event_encoder as _events

    def refuse(_self, _record, _step):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_events.EventEncoder, "_embedding", refuse)
    writer = SummaryWriter(tmp_path)
    writer.add_embedding(np.zeros((2, 2)))
    writer.add_scalar("x", 0, 0)
    assert within(HANG_SECS, writer.close) is None
    assert (writer.stats.written, writer.stats.dropped) == (1, 1)
    assert "1 records were lost" in caplog.text
    assert len(event_files(tmp_path)) == 1


def test_a_queue_full_of_refused_embeddings_drops_and_goes_on(tmp_path, monkeypatch):
    """A retry is not progress: a caller that waits for room behind refused embeddings does not wait forever."""
    from tblog._delivery import event_encoder as _events

    def refuse(_self, _record, _step):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_queue, "STALL_SECS", 0.5)
    monkeypatch.setattr(_queue, "ENCODING_SECS", 0.5)
    monkeypatch.setattr(_events.EventEncoder, "_embedding", refuse)
    writer = SummaryWriter(tmp_path, options=WriterOptions(max_queue_records=2))
    for tag in "ab":
        writer.add_embedding(np.zeros((2, 2)), tag=tag)
    within(HANG_SECS, lambda: writer.add_scalar("x", 0, 0))
    assert writer.stats.dropped == 1
    within(HANG_SECS, writer.close)
    assert (writer.stats.written, writer.stats.dropped) == (0, 3)


def test_threads_that_write_in_their_own_calls_do_not_meet(tmp_path, monkeypatch):
    """If no worker can start, each call writes, one thread at a time."""
    let_no_thread_start(monkeypatch, "tblog-")
    writer = SummaryWriter(tmp_path)

    def log(name):
        for step in range(300):
            writer.add_scalar(name, step, step)
            if step % 50 == 0:
                writer.add_histogram(f"h{name}", [1.0], step)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        run_threads(threading.Thread(target=log, args=(name,)) for name in "abcd")
    finally:
        sys.setswitchinterval(interval)
    within(HANG_SECS, writer.close)
    found = points(tmp_path)
    assert all(found[name] == numbers(300) for name in "abcd")
    assert (writer.stats.queued, writer.stats.written, writer.stats.failed) == (1224, 1224, 0)


def test_an_exit_that_waits_for_nothing_counts_each_record_once(tmp_path):
    """The record being written at that moment counts as written, all others as dropped; every writer is closed."""
    code = """
        import atexit, sys
        from tblog import SummaryWriter, WriterOptions
        from tblog._delivery import worker
        atexit.unregister(worker.close_all)
        options = WriterOptions(exit_timeout_secs=0)
        writers = [SummaryWriter(f"{sys.argv[1]}/{number}", options=options) for number in range(3)]

        def count():
            for writer in writers:
                stats = writer.stats
                print(stats.queued == stats.written + stats.dropped + stats.failed == 40_400, stats.written)

        atexit.register(count)
        atexit.register(worker.close_all)
        for step in range(40_000):
            for writer in writers:
                writer.add_scalar("x", step, step)
                if step % 100 == 0:
                    writer.add_histogram("h", [1.0], step)
    """
    done = run_python(code, tmp_path)
    assert "Error" not in done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [right for right, _ in lines] == ["True"] * 3, done.stdout
    for number, (_, written) in enumerate(lines):
        assert len(tags(tmp_path / str(number))) == int(written)


def test_a_close_that_was_interrupted_is_waited_for_by_the_next_and_counted(tmp_path):
    """Ctrl-C ends only the wait: leaving a `with` block or a second call waits for the rest."""
    code = """
        import signal, sys, threading
        from tblog import SummaryWriter
        from tests.gates import gated_record
        from tests.reading import tags
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        writer = SummaryWriter(sys.argv[1])
        array = gated_record(writer)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            writer.close()
        except KeyboardInterrupt:
            print("interrupted", writer.stats.queued)
        threading.Timer(0.5, array.gate.set).start()
        writer.close()
        print(tags(sys.argv[1]), writer.stats.written)
    """
    done = run_python(code, tmp_path)
    assert done.stdout == "interrupted 1\n['slow'] 1\n", done.stderr


def test_what_is_logged_while_another_thread_closes_is_counted_and_flushed(tmp_path):
    """Each record appears in the writer's counts, whichever of its files it is in."""
    writer, stop = SummaryWriter(tmp_path), threading.Event()

    def close():
        while not stop.wait(0.002):
            writer.close()

    def log(name):
        for step in range(200):
            writer.add_scalar(f"{name}{step}", step, step)
            if step % 10 == 0:
                writer.add_histogram(name, [1.0], step)

    closes = threading.Thread(target=close)
    closes.start()
    run_threads(threading.Thread(target=log, args=(name,)) for name in "abc")
    stop.set()
    join([closes])
    writer.close()
    assert (writer.stats.queued, writer.stats.written) == (660, 660)
    assert len(tags(tmp_path)) == 660
