"""Errors on the worker are counted and reported, all other records are written, and no call waits forever."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest

from tblog import SummaryWriter, WriterOptions
from tblog.errors import WriteError
from tblog.records import HistogramRecord, ImageRecord, TextRecord
from tests.faults.disks import happen
from tests.faults.inside import end_of
from tests.faults.remains import on_disk
from tests.gates import gated
from tests.processes import fork
from tests.reading import event_files, numbers, points
from tests.waiting import HANG_SECS, wait_until, within


class Raises:
    """A deferred array or number that raises when the worker asks for it."""

    nbytes = 8
    shape = (3, 4, 4)

    def __init__(self, error):
        self.error = error

    def numpy(self):
        raise self.error

    __float__ = numpy


ERRORS = [
    MemoryError("no memory"),
    SystemExit(3),
    KeyboardInterrupt(),
    RecursionError("deep"),
    OSError(28, "full"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_in_an_encoder_costs_its_record_alone(tmp_path, caplog, error):
    """It is reported with tag, step and kind, and counted; all others are written, and the worker survives."""
    writer = SummaryWriter(tmp_path)
    for step in range(3):
        writer.add_scalar("x", step, step)
        writer.add_record(HistogramRecord(tag="broken", values=Raises(error)), step)
        writer.add_record(ImageRecord(tag="broken image", image=Raises(error)), step)
    assert within(HANG_SECS, writer.flush) is None
    assert within(HANG_SECS, writer.close) is None
    assert points(tmp_path) == {"x": numbers(3)}
    assert (writer.stats.written, writer.stats.failed) == (3, 6)
    told = [record.getMessage() for record in caplog.records]
    assert sum("histogram 'broken' at step 0" in message for message in told) == 1
    assert sum("image 'broken image' at step 0" in message for message in told) == 1


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_in_one_number_costs_that_number_alone(tmp_path, error):
    """Among a thousand numbers encoded at once, in a dict, and in a run of its own."""
    writer = SummaryWriter(tmp_path)
    channel = writer.file_writer.channel()
    sink = gated(writer)
    sink.gate.clear()
    for step in range(1000):
        writer.add_scalar("x", step, step)
        if step == 500:
            channel.put(("x", Raises(error), step, 1.0))
    sink.gate.set()
    assert within(HANG_SECS, writer.close) is None
    assert points(tmp_path) == {"x": numbers(1000)}
    assert (writer.stats.written, writer.stats.failed) == (1000, 1)


def test_a_strict_writer_raises_what_failed_and_goes_on(tmp_path):
    """Flush or close raises it once, with the first cause."""
    writer = SummaryWriter(tmp_path, options=WriterOptions.STRICT)
    writer.add_record(HistogramRecord(tag="broken", values=Raises(MemoryError("no memory"))), 0)
    assert isinstance(within(HANG_SECS, writer.flush), WriteError)
    assert within(HANG_SECS, writer.flush) is None
    writer.add_record(HistogramRecord(tag="broken", values=Raises(SystemExit())), 0)
    writer.add_scalar("x", 0, 0)
    assert isinstance(within(HANG_SECS, writer.close), WriteError)
    assert points(tmp_path) == {"x": numbers(1)}


def test_an_error_in_tensorboardx_costs_its_record_alone(tmp_path, monkeypatch):
    """A builder that raises fails only the record it was called for."""
    from tblog.summaries._kinds import KINDS

    def fail(*_):
        raise ZeroDivisionError

    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 0, 0)
        with monkeypatch.context() as patch:
            patch.setitem(KINDS, TextRecord, KINDS[TextRecord]._replace(encode=fail))
            writer.add_record(TextRecord(tag="broken", text="text"))
            writer.flush()
        writer.add_record(TextRecord(tag="whole", text="text"))
    assert writer.stats.failed == 1
    assert writer.stats.written == 2


def test_an_encoder_without_memory_costs_its_texts_alone(tmp_path):
    """Every tenth text fails; no call raises, and all numbers and other texts are in the file."""
    seen = happen("failing encoder", "tblog", tmp_path)
    assert (seen["raised"], seen["hung"]) == (0, False)
    assert (seen["stats"]["failed"], seen["stats"]["written"]) == (10, seen["calls"] + 90)
    found = on_disk(tmp_path / "run")
    assert (found.counts, found.torn, found.damaged) == (seen["expected"], 0, 0)


def worker_thread():
    """Return the serving thread, once it exists."""

    def found():
        return [thread for thread in threading.enumerate() if thread.name == "tblog-worker"]

    wait_until(found)
    return found()[0]


def throw(error, thread):
    """Raise an error in a thread, wherever it is executing."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error))


@pytest.mark.parametrize("error", [SystemExit, MemoryError, RuntimeError])
def test_a_worker_at_which_errors_are_thrown_goes_on_and_says_so(tmp_path, caplog, error):
    """Fifty errors, each a little later in its work: every record is written or counted, and later ones are written."""
    writer = SummaryWriter(tmp_path)
    queue = writer.file_writer.channel().queue
    for step in range(50):
        for number in range(20):
            writer.add_scalar("during", number, step)
        queue.wake()
        threading.Event().wait(step * 2e-5)
        throw(error, worker_thread())
        assert within(HANG_SECS, writer.flush) is None
    stats = writer.stats
    assert stats.queued == stats.written + stats.dropped + stats.failed == 1000
    # After an error between a write and its bookkeeping, these records are written again: none is lost.
    assert len(set(points(tmp_path)["during"])) >= stats.written
    assert error.__name__ in caplog.text
    for step in range(500):
        writer.add_scalar("after", step, step)
    assert within(HANG_SECS, writer.close) is None
    assert points(tmp_path)["after"] == numbers(500)


def test_a_worker_that_is_gone_is_replaced_at_the_next_flush(tmp_path, monkeypatch):
    """Even if its thread ended without a message, no call waits forever."""
    from tblog._delivery.worker import Worker

    writer = SummaryWriter(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_serve", lambda _self: True)
        old = worker_thread()
        writer.add_scalar("x", 0, 0)

        def ends():
            throw(SystemExit, old)  # inside a channel's step the thread survives it
            old.join(0.1)
            return not old.is_alive()

        wait_until(ends)
    writer.add_scalar("x", 1, 1)
    assert within(HANG_SECS, writer.flush) is None
    writer.add_scalar("x", 2, 2)
    assert within(HANG_SECS, writer.close) is None
    assert points(tmp_path) == {"x": numbers(3)}


class Factory:
    """A user's file factory whose files fail on demand."""

    def __init__(self, folder):
        self.folder = folder
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def directory_check(self, _path):
        self.folder.mkdir(exist_ok=True)

    def open(self, path):
        return FactoryFile(self, open(self.folder / path.rpartition("/")[2], "xb", buffering=0))


class FactoryFile:
    """A factory's file: the three methods that tensorboardX calls."""

    def __init__(self, factory, file):
        self.factory, self.file = factory, file

    def _go(self):
        self.factory.gate.wait()
        if self.factory.error is not None:
            raise self.factory.error

    def write(self, data):
        self._go()
        self.file.write(data)

    def flush(self):
        self._go()

    def close(self):
        self._go()
        self.file.close()


@pytest.fixture
def factory(tmp_path):
    """Register a user's factory for the prefix faulty://."""
    from tensorboardX import record_writer

    factory = Factory(tmp_path / "files")
    record_writer.register_writer_factory("faulty", factory)
    yield factory
    del record_writer.REGISTERED_FACTORIES["faulty"]


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("I/O on closed file"), ConnectionError()])
def test_a_factory_that_fails_for_a_while_loses_nothing(factory, caplog, error):
    """Waiting records go to a new file, since nobody knows what the old one holds."""
    writer = SummaryWriter("faulty://run")
    writer.add_scalar("x", 0, 0)
    writer.flush()
    factory.error = error
    for step in range(1, 100):
        writer.add_scalar("x", step, step)
    assert within(HANG_SECS, writer.flush) is None
    factory.error = None
    writer.add_scalar("x", 100, 100)
    writer.close()
    assert points(factory.folder)["x"] == numbers(101)
    assert sum("cannot write" in record.getMessage() for record in caplog.records) == 1
    assert len(event_files(factory.folder)) > 1


def test_a_factory_that_fails_at_the_close_is_reported_and_does_not_raise(factory, caplog):
    """The records it refused count as dropped."""
    writer = SummaryWriter("faulty://run")
    writer.add_scalar("x", 0, 0)
    writer.flush()
    factory.error = OSError("gone")
    writer.add_scalar("x", 1, 1)
    assert within(HANG_SECS, writer.close) is None
    assert (writer.stats.written, writer.stats.dropped) == (1, 1)
    assert "1 records were lost" in caplog.text
    factory.error = None


def test_a_storage_that_never_answers_makes_flush_and_close_give_up(factory, caplog, monkeypatch):
    """They give up after a minute without progress, which the test shortens; training goes on."""
    from tblog._delivery import channel as _channel

    monkeypatch.setattr(_channel, "SILENCE_SECS", 0.5)
    writer = SummaryWriter("faulty://run")
    writer.add_scalar("x", 0, 0)
    writer.flush()
    factory.gate.clear()
    writer.add_scalar("x", 1, 1)
    assert within(HANG_SECS, writer.flush) is None
    assert "has not reacted" in caplog.text
    assert within(HANG_SECS, writer.close) is None
    writer.add_scalar("x", 2, 2)
    factory.gate.set()
    assert within(HANG_SECS, writer.close) is None
    wait_until(lambda: points(factory.folder)["x"] == numbers(3))


def test_a_child_never_closes_nor_flushes_its_parents_factory_files(factory):
    """The parent writes the file's buffer, once."""
    import gc

    class Buffering(Factory):
        def open(self, path):
            return open(self.folder / path.rpartition("/")[2], "xb")

    from tensorboardX import record_writer

    record_writer.register_writer_factory("faulty", Buffering(factory.folder))
    writer = SummaryWriter("faulty://run")
    writer.add_scalar("x", 0, 0)
    channel = writer.file_writer.channel()
    wait_until(lambda: channel.main_file.buffers)

    def log():
        nonlocal channel
        del channel
        writer.add_scalar("child", 0, 0)
        writer.close()
        gc.collect()

    assert end_of(fork(log), HANG_SECS) == 0
    writer.close()
    assert points(factory.folder) == {"x": numbers(1), "child": numbers(1)}


def test_an_embedding_whose_tag_no_folder_can_have_is_refused_at_the_call_and_costs_nothing_else(tmp_path):
    """A failure of files beside the event file affects nothing else."""
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(ValueError, match="it names a folder"):
            writer.add_embedding(np.zeros((2, 2)), tag="x" * 1000)
        writer.add_embedding(np.zeros((2, 2)), tag="fine")
        writer.add_scalar("x", 0, 0)
    assert points(tmp_path) == {"x": numbers(1)}
    assert (tmp_path / "00000" / "fine" / "tensors.tsv").exists()
    assert writer.stats.failed == 0
