"""The threads that serve channels: they start on demand, survive any error, and end with the last channel."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tblog import SummaryWriter, WriterOptions
from tblog._delivery import worker
from tblog._delivery.channel import Channel
from tblog._delivery.drain import Drain
from tests.gates import let_no_thread_start
from tests.processes import run_program
from tests.reading import points
from tests.sinks import Clock, MemoryDisk
from tests.waiting import HANG_SECS, join, wait_until


@pytest.fixture
def channel(tmp_path):
    """Return a channel on an in-memory disk with a stopped clock, and close it at the end."""
    disk = MemoryDisk()
    made = Channel(str(tmp_path), "", 120, WriterOptions(), clock=Clock(), open_sink=disk.open)
    yield made
    made.close()


def test_a_served_channel_is_written_without_a_flush(channel):
    """A thread of tblog's writes it."""
    worker.serve(channel)
    channel.put(("x", 0.5, 1, 1.0))
    wait_until(lambda: channel.stats.written == 1)


def test_a_thread_goes_on_after_an_error_that_nobody_foresaw(channel, monkeypatch, caplog):
    """The error is reported, and a later round writes the entry."""
    step = channel.drain.step
    errors = [SystemExit("thrown at the thread")]

    def fail():
        if errors:
            raise errors.pop()
        return step()

    monkeypatch.setattr(channel.drain, "step", fail)
    worker.serve(channel)
    channel.put(("x", 0.5, 1, 1.0))
    channel.queue.wake()
    wait_until(lambda: not errors)
    channel._clock.turn(10)
    wait_until(lambda: channel.stats.written == 1)
    assert "unforeseen" in caplog.text


def test_a_second_thread_of_a_worker_ends_at_once(channel):
    """Only one thread serves, however many are started."""
    worker.serve(channel)
    (serving,) = {each for each in worker._live.values() if channel in each.channels and each.channels}
    wait_until(serving._running.locked)
    before = threading.active_count()
    second = threading.Thread(target=serving._run)
    second.start()
    join([second])
    assert threading.active_count() == before


def test_ctrl_c_in_a_call_that_writes_for_itself_is_raised_there_after_the_write(
    tmp_path, monkeypatch, caplog
):
    """Without a thread: the record is in the file, and nothing counts as failed or is reported as an error."""
    let_no_thread_start(monkeypatch, "tblog-")
    writer = SummaryWriter(tmp_path)

    class Interrupts:
        nbytes = 8
        shape = ()

        def __float__(self):
            os.kill(os.getpid(), signal.SIGINT)
            return 0.5

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            writer.file_writer.channel().put(("x", Interrupts(), 1, 1.0))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    writer.add_scalar("x", 0.25, 2)
    writer.close()
    assert points(tmp_path) == {"x": [(1, 0.5), (2, 0.25)]}
    assert (writer.stats.written, writer.stats.failed) == (2, 0)
    assert not caplog.records


def test_a_flush_of_each_of_many_writers_costs_no_step_of_all_others(tmp_path, monkeypatch):
    """The worker looks at idle writers at every `ROUND_SECS` alone, however often others wake it."""
    monkeypatch.setattr(worker, "ROUND_SECS", HANG_SECS)
    writers = [SummaryWriter(tmp_path / str(number)) for number in range(16)]
    steps = []
    monkeypatch.setattr(Drain, "step", lambda drain, step=Drain.step: (steps.append(drain), step(drain))[1])
    for writer in writers:
        writer.add_scalar("a", 1.0, 1)
    for writer in writers:
        writer.flush()
    assert len(steps) < 6 * len(writers)
    assert {tuple(points(tmp_path / str(number))["a"]) for number in range(16)} == {((1, 1.0),)}
    for writer in writers:
        writer.close()


def test_ctrl_c_while_the_exit_waits_for_other_processes_leaves_no_writer_open(tmp_path):
    """What waits is written, and the files are synced."""
    code = """
        import atexit, sys
        atexit.register(lambda: print(channel.closed, channel.stats.written))
        from tblog import SummaryWriter
        from tblog._delivery.worker import first_at_the_end

        def wait():
            raise KeyboardInterrupt

        first_at_the_end.append(wait)
        writer = SummaryWriter(sys.argv[1])
        channel = writer.file_writer.channel()
        writer.add_scalar("x", 0.0, 0)
    """
    assert run_program(code, None, tmp_path) == "True 1\n"
