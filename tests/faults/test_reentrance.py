"""A writer in unexpected places: signal handlers, finalisers, atexit, and many threads at once."""

from __future__ import annotations

import gc
import random
import signal
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from tblog import SummaryWriter, WriterOptions
from tests.faults.volume import many_points
from tests.gates import gated
from tests.processes import run_python
from tests.reading import event_files, numbers, points
from tests.waiting import HANG_SECS, join, run_threads, wait_until


def test_sixty_four_threads_on_one_writer_lose_nothing_and_keep_their_order(tmp_path):
    """All threads log scalars, dicts, runs and texts."""
    writer = SummaryWriter(tmp_path)

    def work(number):
        for step in range(200):
            writer.add_scalar(f"thread{number}", step, step)
            writer.add_scalar_dict({f"dict{number}": float(step)}, step)
            if step % 50 == 0:
                writer.add_scalars("runs", {str(number): float(step)}, step)

    run_threads(threading.Thread(target=work, args=(number,), daemon=True) for number in range(64))
    writer.close()
    found = points(tmp_path)
    assert all(found[f"thread{number}"] == found[f"dict{number}"] == numbers(200) for number in range(64))
    assert points(tmp_path / "runs_7") == {"runs": [(step, float(step)) for step in range(0, 200, 50)]}


def test_closing_while_others_log_loses_nothing_and_raises_nothing(tmp_path):
    """A call always meets an open file or the next one."""
    writer = SummaryWriter(tmp_path)
    stop = threading.Event()
    logged = [0] * 8
    errors = []

    def log(number):
        try:
            while not stop.is_set() and logged[number] < 20_000:
                writer.add_scalar(f"thread{number}", logged[number], logged[number])
                logged[number] += 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(8)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for number in range(30):
            time.sleep(random.uniform(0, 0.01))
            (writer.close, writer.file_writer.close if writer.file_writer else writer.flush)[number % 2]()
    finally:
        stop.set()
        sys.setswitchinterval(before)
        join(threads)
    writer.close()
    assert errors == []
    found = many_points(tmp_path)
    for number, count in enumerate(logged):
        assert sorted(found[f"thread{number}"]) == numbers(count)


def test_a_signal_handler_may_log_flush_and_close_inside_any_call(tmp_path):
    """A handler interrupts calls of every kind at random moments; every call's record is in the file."""
    writer = SummaryWriter(tmp_path)
    handled = []

    def handle(*_):
        number = len(handled)
        handled.append(number)
        writer.add_scalar("handler", number, number)
        (writer.flush, writer.close, lambda: None)[number % 3]()

    before = signal.signal(signal.SIGVTALRM, handle)
    step = 0
    try:
        deadline = time.monotonic() + HANG_SECS
        while len(handled) < 30 and time.monotonic() < deadline:
            signal.setitimer(signal.ITIMER_VIRTUAL, random.uniform(1e-4, 2e-3))
            count = len(handled)
            while len(handled) == count and time.monotonic() < deadline:
                writer.add_scalar("main", step, step)
                writer.add_scalar_dict({"dict": float(step)}, step)
                writer.add_scalars("runs", {"a": float(step)}, step)
                step += 1
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    writer.close()
    found = many_points(tmp_path)
    assert len(handled) >= 30
    assert [value for _, value in found["handler"]] == [float(number) for number in handled]
    assert found["main"] == found["dict"] == many_points(tmp_path / "runs_a")["runs"] == numbers(step)


@pytest.mark.slow
def test_an_interrupt_inside_any_call_leaves_the_writer_usable(tmp_path, monkeypatch):
    """KeyboardInterrupt comes at random moments; records of calls that returned are in the file, later ones too."""
    # Python prints an interrupt that hits a finaliser, and goes on; the next one could hit pytest's own printing.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    writer = SummaryWriter(tmp_path)

    returned = {0}
    step = 0

    def log(*, closing):
        nonlocal step
        while True:
            step += 1
            writer.add_scalar("x", step, step)
            returned.add(step)
            if closing:
                writer.close()

    def interrupt(_number, frame):
        while frame is not None and frame.f_code is not log.__code__:
            frame = frame.f_back
        if frame is not None:  # outside `log`, nothing would catch it; the next one will do
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGVTALRM, interrupt)
    try:
        for number in range(40):
            signal.setitimer(signal.ITIMER_VIRTUAL, random.uniform(1e-5, 1e-3), 0.01)
            with suppress(KeyboardInterrupt):
                log(closing=number % 5 == 0)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    writer.add_scalar("x", step + 1, step + 1)
    writer.add_scalar("x", 0, 0)
    writer.close()
    steps = [step for step, _ in many_points(tmp_path)["x"]]
    assert returned | {step + 1} <= set(steps)
    assert len(steps) == len(set(steps))


def test_a_finaliser_on_the_worker_may_log_flush_and_close(tmp_path):
    """The garbage collector runs on any thread, and may finalise an object that holds a writer."""
    writer = SummaryWriter(tmp_path)
    done = threading.Event()

    class Trainer:
        def __init__(self):
            self.itself = self

        def __del__(self):
            writer.add_scalar("last words", 1.0, 0)
            writer.flush()
            writer.close()
            done.set()

    class Collecting:
        """An array that is made on the worker, with a garbage collection meanwhile."""

        nbytes = 8

        def numpy(self):
            gc.collect()
            return np.zeros(1)

    from tblog.records import HistogramRecord

    gc.disable()
    try:
        Trainer()
        writer.add_record(HistogramRecord(tag="h", values=Collecting()), 0)
        assert done.wait(HANG_SECS), "hung"
    finally:
        gc.enable()
    writer.add_scalar("after", 1.0, 0)
    writer.close()
    wait_until(lambda: set(points(tmp_path)) == {"last words", "after"})


def test_a_finaliser_on_the_worker_does_not_wait_for_room_that_the_worker_must_make(tmp_path):
    """With the queue full, records from a finaliser are still accepted."""
    writer = SummaryWriter(tmp_path, options=WriterOptions(max_queue_records=4))
    sink = gated(writer)
    done = threading.Event()

    def write(data):
        sink.gate.wait()
        if not done.is_set():
            writer.add_scalar("on the worker", 1.0, 0)
            done.set()
        return sink.inner.write(data)

    sink.gate.clear()
    sink.write = write
    writer.add_scalar("x", 0, 0)
    wait_until(lambda: writer.file_writer.channel().queue.taken)
    for step in range(1, 5):
        writer.add_scalar("x", step, step)
    sink.gate.set()
    assert done.wait(HANG_SECS), "hung"
    writer.close()
    assert points(tmp_path) == {"x": numbers(5), "on the worker": [(0, 1.0)]}


def test_garbage_collection_inside_calls_may_log(tmp_path):
    """Finalisers of objects in cycles log while `add_*` allocates."""
    writer = SummaryWriter(tmp_path)
    finalised = []

    class Cyclic:
        def __init__(self):
            self.itself = self

        def __del__(self):
            writer.add_scalar("finalised", len(finalised), len(finalised))
            finalised.append(1)

    threshold = gc.get_threshold()
    gc.set_threshold(20)
    try:
        for step in range(500):
            Cyclic()
            writer.add_scalar("x", step, step)
            writer.add_scalar_dict({"dict": float(step)}, step)
            writer.add_text("text", "word", step)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    writer.close()
    found = points(tmp_path)
    assert found["x"] == found["dict"] == numbers(500)
    assert sorted(found["finalised"]) == numbers(500)


@pytest.mark.parametrize("what", ["add_scalar", "flush", "close", "a new writer"])
def test_what_atexit_runs_after_our_own_function_logs_all_the_same(tmp_path, what):
    """Functions registered before the import of tblog run after tblog's own."""
    code = """
        import atexit, sys

        def last(what, logdir):
            global writer
            if what == "a new writer":
                writer = tblog.SummaryWriter(logdir)
            for step in range(300):
                writer.add_scalar("last", step, step)
            writer.add_text("text", "word", 0)
            {"flush": writer.flush, "close": writer.close}.get(what, int)()

        atexit.register(last, sys.argv[2], sys.argv[1])
        import tblog
        writer = tblog.SummaryWriter(sys.argv[1])
        writer.add_scalar("x", 0.0, 0)
    """
    done = run_python(code, tmp_path, what, timeout=HANG_SECS)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert points(tmp_path) == {"x": numbers(1), "last": numbers(300)}


def test_what_atexit_runs_before_our_own_function_logs_as_ever(tmp_path):
    """Functions registered after the import run before tblog's own; one of them closes a writer."""
    code = """
        import atexit, sys
        from tblog import SummaryWriter
        writer = SummaryWriter(sys.argv[1])
        atexit.register(writer.add_scalar, "last", 1.0, 1)
        atexit.register(writer.close)
        atexit.register(writer.add_scalar, "last", 0.0, 0)
    """
    done = run_python(code, tmp_path, timeout=HANG_SECS)
    assert (done.returncode, done.stderr) == (0, "")
    assert points(tmp_path) == {"last": numbers(2)}
    assert len(event_files(tmp_path)) == 2


def test_a_daemon_thread_that_logs_at_the_exit_does_not_hold_it_up(tmp_path):
    """The process ends, and the file is whole."""
    code = """
        import itertools, sys, threading
        from tblog import SummaryWriter
        writer = SummaryWriter(sys.argv[1])
        logs = threading.Event()

        def log():
            for step in itertools.count():
                writer.add_scalar("x", step, step)
                if step == 1000:
                    logs.set()

        threading.Thread(target=log, daemon=True).start()
        logs.wait()
    """
    done = run_python(code, tmp_path, timeout=HANG_SECS)
    assert done.returncode == 0, done.stderr
    found = many_points(tmp_path)["x"]
    assert found == numbers(len(found))
    assert len(found) > 1000


@pytest.mark.parametrize("then", ["nothing", "flush", "close"])
def test_what_a_finaliser_logs_while_the_interpreter_goes_is_there(tmp_path, then):
    """Nothing can be imported any more, and modules are being cleared; the object is in a cycle or held to the end."""
    code = """
        import builtins, sys
        from tblog import SummaryWriter

        class Trainer:
            def __init__(self, name):
                self.name, self.then = name, sys.argv[2]
                self.writer = SummaryWriter(sys.argv[1])
                self.writer.add_scalar(name, 0.0, 0)

            def __del__(self):
                for step in range(1, 100):
                    self.writer.add_scalar(self.name, step, step)
                getattr(self.writer, self.then, int)()

        trainer, builtins.last, cyclic = Trainer("global"), Trainer("builtin"), Trainer("cyclic")
        cyclic.itself = cyclic
    """
    done = run_python(code, tmp_path, then, timeout=HANG_SECS)
    assert (done.returncode, done.stderr) == (0, "")
    assert points(tmp_path) == dict.fromkeys(["global", "builtin", "cyclic"], numbers(100))


def test_what_cannot_be_encoded_while_the_interpreter_goes_is_counted(tmp_path):
    """Histograms and tensors need imports, which fail by then: the message names them, and the number after is in the file."""
    with SummaryWriter(tmp_path) as earlier:
        earlier.add_scalar("earlier", 0.5, 1)
    code = """
        import sys
        import numpy as np
        from tblog import SummaryWriter

        class Trainer:
            def __init__(self):
                self.writer = SummaryWriter(sys.argv[1])

            def __del__(self, large=np.zeros(1 << 15)):
                self.writer.add_histogram("late", [1.0, 2.0], 1)
                self.writer.add_histogram("large", large, 1)
                self.writer.add_tensor("tensor", large, 1)
                self.writer.add_scalar("loss", 0.5, 1)
                self.writer.close()
                print(self.writer.stats.failed)

        trainer = Trainer()
    """
    done = run_python(code, tmp_path, timeout=HANG_SECS)
    assert (done.returncode, done.stdout) == (0, "3\n")
    assert "could not encode the histogram 'late' at step 1" in done.stderr
    assert "Traceback" not in done.stderr
    assert "unforeseen" not in done.stderr
    assert points(tmp_path) == {"earlier": [(1, 0.5)], "loss": [(1, 0.5)]}


@pytest.mark.parametrize("early", ["", "; tblog.SummaryWriter"])
@pytest.mark.parametrize("last", ["atexit.register(log)", "threading.Thread(target=log_later).start()"])
def test_the_first_writer_of_a_process_may_be_made_while_it_ends(tmp_path, early, last):
    """By a function of atexit, or by a thread that goes on without the main thread, and whenever tblog was loaded."""
    code = f"""
        import atexit, sys, threading, tblog{early}

        def log():
            with tblog.SummaryWriter(sys.argv[1]) as writer:
                writer.add_scalar("x", 0.0, 0)
                writer.add_histogram("h", [1.0, 2.0], 0)
            print(writer.stats.written, writer.stats.failed)

        def log_later():
            threading.main_thread().join()
            log()

        {last}
    """
    done = run_python(code, tmp_path, timeout=HANG_SECS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 0\n", "")
    assert points(tmp_path) == {"x": numbers(1)}
