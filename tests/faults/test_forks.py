"""Forks at bad moments, processes of every kind, and copies of a writer."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import threading
import weakref
from contextlib import contextmanager

import numpy as np
import pytest

from tblog import GlobalSummaryWriter, SummaryWriter, WriterOptions
from tblog.errors import WriteError
from tblog.records import HistogramRecord
from tests.children import count_globally, log_numbers
from tests.faults.disks import happen
from tests.faults.inside import LoggingDataset, end_of
from tests.faults.remains import on_disk
from tests.faults.volume import many_points
from tests.gates import GatedArray, gated_record
from tests.processes import fork, run_python
from tests.reading import event_files, numbers, points
from tests.waiting import HANG_SECS, join, run_threads, wait_until


@contextmanager
def logging_threads(writer, count):
    """Log from this many threads at full speed; yield, and stop them."""
    stop = threading.Event()
    logged = [0] * count

    def log(number):
        while not stop.is_set() and logged[number] < 20_000:
            writer.add_scalar(f"thread{number}", logged[number], logged[number])
            logged[number] += 1

    threads = [threading.Thread(target=log, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield logged
    finally:
        stop.set()
        join(threads)


def test_children_forked_while_threads_log_neither_hang_nor_lose_nor_write_twice(tmp_path):
    """Ten children have a file each, and every number of the parent's threads is on disk."""
    writer = SummaryWriter(tmp_path)

    def work(name):
        for step in range(100):
            writer.add_scalar(name, step, step)
        writer.flush()

    with logging_threads(writer, 3) as logged:
        children = [fork(lambda name=f"child{i}": work(name)) for i in range(10)]
        ends = [end_of(child, HANG_SECS) for child in children]
    writer.close()
    assert ends == [0] * 10
    found = many_points(tmp_path)
    assert {tag: found[tag] for tag in found if tag.startswith("child")} == {
        f"child{i}": numbers(100) for i in range(10)
    }
    for number, count in enumerate(logged):
        assert found[f"thread{number}"] == numbers(count)
    assert len(event_files(tmp_path)) == 11


def test_a_process_that_forks_at_full_speed_has_all_that_it_and_its_child_logged(tmp_path):
    """Both processes reach the end of their programs."""
    seen = happen("fork", "tblog", tmp_path, secs=0.05, hang_secs=HANG_SECS)
    assert not seen["hung"]
    found = on_disk(tmp_path / "run")
    assert (found.counts, found.torn, found.damaged) == (seen["expected"], 0, 0)


def test_a_child_forked_while_the_worker_imports_can_import_the_same(tmp_path):
    """The first text loads tensorboardX on the worker; a child forked then logs a text, too."""
    code = """
        import os, sys
        from tblog import SummaryWriter
        from tests.waiting import wait_until
        writer = SummaryWriter(sys.argv[1])
        writer.add_text("parent", "text", 0)
        writer.add_scalar("parent/x", 0.0, 0)
        channel = writer.file_writer.channel()
        wait_until(lambda: channel.queue.taken)
        child = os.fork()
        if child == 0:
            import tensorboardX.proto.summary_pb2
        writer.add_text("child" if child == 0 else "parent", "text", 1)
        writer.add_scalar("child/x" if child == 0 else "parent/y", 0.0, 0)
        writer.close()
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = run_python(code, tmp_path, timeout=HANG_SECS)
    assert done.returncode == 0, done.stderr
    assert set(points(tmp_path)) == {"parent/x", "parent/y", "child/x"}


def test_a_fork_in_the_middle_of_opening_leaves_the_child_a_free_lock(tmp_path, monkeypatch):
    """Another thread opens the writer's next file while the process forks; the child can still log."""
    from tblog._delivery import worker as _worker

    writer = SummaryWriter(tmp_path)
    writer.close()
    opening, go_on = threading.Event(), threading.Event()
    serve = _worker.serve

    def slow(channel, **arguments):
        opening.set()
        go_on.wait()
        serve(channel, **arguments)

    monkeypatch.setattr(_worker, "serve", slow)
    thread = threading.Thread(target=writer.add_scalar, args=("parent", 1.0, 0))
    thread.start()
    assert opening.wait(HANG_SECS)

    def work():
        monkeypatch.undo()
        writer.add_scalar("child", 1.0, 0)
        writer.close()

    assert end_of(fork(work), HANG_SECS) == 0
    go_on.set()
    join([thread])
    writer.close()
    assert points(tmp_path) == {"parent": [(0, 1.0)], "child": [(0, 1.0)]}


def test_a_fork_inside_a_signal_handler_inside_a_call_is_a_fork_like_others(tmp_path):
    """The child continues in the middle of `add_scalar`, where its parent was."""
    writer = SummaryWriter(tmp_path)
    children = []
    before = signal.signal(signal.SIGVTALRM, lambda *_: children.append(os.fork()))
    step = 0
    try:
        for number in range(1, 6):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)
            while len(children) < number:
                writer.add_scalar("before", step, step)
                step += 1
            if children[-1] == 0:
                writer.add_scalar(f"child{number}", 1.0, 0)
                writer.close()
                os._exit(0)
        assert [end_of(child, HANG_SECS) for child in children] == [0] * 5
    finally:
        if 0 in children:
            os._exit(1)
        signal.signal(signal.SIGVTALRM, before)
    writer.close()
    found = many_points(tmp_path)
    assert set(found) == {"before", *(f"child{i}" for i in range(1, 6))}
    assert sorted(set(found["before"])) == numbers(step)
    assert len(found["before"]) <= step + 5  # the child, too, finishes the call that its parent was in


def test_the_counters_of_a_child_begin_at_nothing(tmp_path):
    """Also those of the files that its parent had closed, and of another writer's."""
    writers = [
        SummaryWriter(tmp_path / "closed"),
        SummaryWriter(tmp_path / "reopened"),
        SummaryWriter(tmp_path / "open"),
    ]
    for writer in writers:
        writer.add_scalar("parent", 1.0, 0)
    writers[0].close()
    writers[1].close()
    writers[1].add_scalar("parent", 1.0, 1)

    def work():
        assert [writer.stats.queued for writer in writers] == [0, 0, 0]
        for writer in writers:
            writer.add_scalar("child", 1.0, 0)
            writer.close()
            writer.add_scalar("child", 1.0, 1)
            writer.flush()
        assert [writer.stats.written for writer in writers] == [2, 2, 2]

    assert end_of(fork(work), HANG_SECS) == 0
    for writer in writers:
        writer.close()
    assert [writer.stats.written for writer in writers] == [1, 2, 1]


def test_a_child_does_not_repeat_what_its_parent_has_warned_of(tmp_path, caplog):
    """Each worker of each data loader would."""
    writer = SummaryWriter(tmp_path)

    def log():
        writer.add_histogram("weights", np.array([1.0, np.nan]), 0)
        writer.flush()

    def work():
        caplog.clear()
        log()
        assert caplog.messages == []
        assert writer.stats.values_left_out == 1

    log()
    assert len(caplog.messages) == 1
    assert end_of(fork(work), HANG_SECS) == 0


def test_a_child_of_a_strict_writer_does_not_raise_for_its_parents_records(tmp_path):
    """The parent does."""
    writer = SummaryWriter(tmp_path, options=WriterOptions(strict=True))
    writer.add_record(HistogramRecord(tag="bad", values=object()), 0)
    wait_until(lambda: writer.stats.failed)
    assert end_of(fork(writer.flush), HANG_SECS) == 0
    with pytest.raises(WriteError):
        writer.close()


def test_a_child_keeps_no_array_that_waits_on_its_parents_queue(tmp_path):
    """It may live as long as its parent, and never log."""
    writer = SummaryWriter(tmp_path)
    first = gated_record(writer)
    arrays = [GatedArray() for _ in range(3)]
    kept = [weakref.ref(array) for array in arrays]
    for array in arrays:
        array.gate.set()
        writer.add_record(HistogramRecord(tag="waits", values=array), 0)
    del array, arrays[:]

    def work():
        assert [each() for each in kept] == [None] * 3

    assert end_of(fork(work), HANG_SECS) == 0
    assert all(each() for each in kept)
    first.gate.set()
    writer.close()


BEGINS_WITH_A_SIGNAL = """
    import os, signal, sys, time, warnings
    warnings.filterwarnings("ignore", "This process .* is multi-threaded")  # from Python 3.12 on

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    os.register_at_fork(after_in_child=interrupt)  # it comes before tblog's

    from tblog import SummaryWriter
    writer = SummaryWriter(sys.argv[1])
    writer.add_scalar("parent", 0.0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
"""


def test_a_handler_that_runs_as_a_child_begins_logs_in_the_child(tmp_path):
    """It never finds a copy of its parent's queue, on which its numbers would be lost."""
    code = f"""{BEGINS_WITH_A_SIGNAL}
    signal.signal(signal.SIGINT, lambda *_: writer.add_scalar("parent", 1.0, 1))
    child = os.fork()
    if not child:
        writer.add_scalar("parent", 2.0, 2)
    writer.close()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = run_python(code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(points(tmp_path)["parent"]) == numbers(3)


def test_an_interrupt_as_a_child_begins_is_raised_and_the_child_can_log(tmp_path):
    """Python would ignore what is raised inside of a fork."""
    code = f"""{BEGINS_WITH_A_SIGNAL}
    try:
        child = os.fork()
        if not child:
            time.sleep(30)
            print("not interrupted")
    except KeyboardInterrupt:
        writer.add_scalar("parent", 1.0, 1)
    writer.close()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = run_python(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(points(tmp_path)["parent"]) == numbers(2)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_processes_logs_with_one_writer(tmp_path, method):
    """Each process has its own file, and all numbers of all tasks are on disk."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("parent", 0.0, 0)
        context = multiprocessing.get_context(method)
        processes = [context.Process(target=log_numbers, args=(writer, f"child{i}", 100)) for i in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(HANG_SECS)
        assert [process.exitcode for process in processes] == [0, 0, 0]
    assert points(tmp_path) == {"parent": [(0, 0.0)], **{f"child{i}": numbers(100) for i in range(3)}}


@pytest.mark.parametrize("logs", [True, False], ids=["that log", "that do not log"])
def test_data_loader_workers_go_on_beside_a_busy_writer(tmp_path, logs):
    """Two epochs with two workers, which log to files of their own."""
    from torch import zeros
    from torch.utils.data import DataLoader, TensorDataset

    writer = SummaryWriter(tmp_path)
    data = LoggingDataset(writer) if logs else TensorDataset(zeros(40))
    loader = DataLoader(data, batch_size=4, num_workers=2, timeout=HANG_SECS)
    step = 0
    for _ in range(2):
        for _ in loader:
            writer.add_scalar("loss", step, step)
            step += 1
    writer.close()
    found = points(tmp_path)
    assert found["loss"] == numbers(20)
    if logs:
        assert found["worker0"] == found["worker1"] == numbers(20) * 2
    assert len(found) == (3 if logs else 1)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda writer: pickle.loads(pickle.dumps(writer))])
def test_a_copy_of_a_writer_has_a_file_of_its_own_when_it_logs(tmp_path, duplicate):
    """The original keeps its file; a copy that never logs opens none."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("original", 0.0, 0)
        duplicate(writer)
        with duplicate(writer) as other:
            other.add_scalar("copy", 0.0, 0)
        writer.add_scalar("original", 1.0, 1)
    assert points(tmp_path) == {"original": numbers(2), "copy": numbers(1)}
    assert len(event_files(tmp_path)) == 2


def test_a_copy_that_many_threads_use_first_at_once_opens_one_file(tmp_path):
    """No record is lost, whichever thread opens it."""
    with SummaryWriter(tmp_path) as writer:
        duplicate = copy.deepcopy(writer)
    barrier = threading.Barrier(32)

    def log(name):
        barrier.wait()
        log_numbers(duplicate, name, 100)

    run_threads(threading.Thread(target=log, args=(f"thread{i}",)) for i in range(32))
    duplicate.close()
    assert points(tmp_path) == {f"thread{i}": numbers(100) for i in range(32)}
    assert len(event_files(tmp_path)) == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_global_writer_counts_the_steps_of_all_processes(tmp_path, method):
    """Three processes log the same tag, and its steps have no gaps."""
    writer = GlobalSummaryWriter(tmp_path)
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=count_globally, args=(writer, i)) for i in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(HANG_SECS)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    writer.close()
    found = points(tmp_path)
    assert [step for step, _ in found["shared"]] == list(range(150))
    assert all(found[f"own{i}"] == numbers(50) for i in range(3))
    assert len(event_files(tmp_path)) == 1


def test_a_process_killed_while_it_logs_globally_leaves_the_others_at_work(tmp_path):
    """The writer's process survives the death of any process that logs."""
    writer = GlobalSummaryWriter(tmp_path)

    def forever():
        while True:
            writer.add_scalar("killed", 1.0)

    child = fork(forever)
    wait_until(lambda: points(tmp_path).get("killed"))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for value in range(10):
        writer.add_scalar("survivor", value)
    writer.close()
    assert points(tmp_path)["survivor"] == numbers(10)


def test_a_sub_interpreter_logs_or_says_at_once_that_it_cannot(tmp_path):
    """There, numpy is not supported: whatever happens, nothing hangs and no file is damaged."""
    code = """
        import sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        inner = f'''
        import sys
        sys.path[:0] = {sys.path!r}
        from tblog import SummaryWriter
        with SummaryWriter({sys.argv[1]!r}) as writer:
            writer.add_scalar("x", 1.0, 0)
        '''
        one = interpreters.create()
        try:
            refused = interpreters.run_string(one, inner.replace("        ", ""))
        except Exception as error:
            refused = error
        print("refused" if refused else "logged")
        interpreters.destroy(one)
    """
    done = run_python(code, tmp_path, timeout=HANG_SECS)
    assert done.stdout.strip() in {"refused", "logged"}, done.stderr
    if "logged" in done.stdout:
        assert points(tmp_path) == {"x": [(0, 1.0)]}
