"""What SIGTERM does to open writers and to a program's own handler."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tblog import SummaryWriter, WriterOptions
from tests.faults.inside import end_of
from tests.processes import fork, run_python
from tests.reading import numbers, points
from tests.waiting import HANG_SECS, run_threads

CLOSING = WriterOptions(close_at_sigterm=True)
PROGRAM = """
    import os, signal, sys
    from tblog import SummaryWriter, WriterOptions
    {before}
    writer = SummaryWriter(sys.argv[1], options=WriterOptions(close_at_sigterm=True))
    {after}
    for step in range(20_000):
        writer.add_scalar("x", step, step)
    os.kill(os.getpid(), signal.SIGTERM)
    {rest}
"""
OWN = "signal.signal(signal.SIGTERM, lambda *_: print('mine', flush=True))"


def run_to_sigterm(logdir, before="", after="", rest=""):
    """Run a program that logs 20,000 numbers and sends itself SIGTERM."""
    return run_python(PROGRAM.format(before=before, after=after, rest=rest), logdir)


@pytest.fixture
def default_sigterm():
    """Set the default action, and restore the handler at the end."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_writer_that_asks_for_it_is_closed_by_sigterm_and_loses_nothing(tmp_path):
    """The process still ends by SIGTERM, as its parent sees."""
    done = run_to_sigterm(tmp_path, rest="raise AssertionError('SIGTERM did not end the program')")
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert points(tmp_path) == {"x": numbers(20_000)}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_programs_own_handler_of_sigterm_stays_its_own(tmp_path, when):
    """Whether it is set before or after the writer is opened; the program goes on."""
    done = run_to_sigterm(tmp_path, **{when: OWN}, rest="writer.add_scalar('x', 20_000, 20_000)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")
    assert points(tmp_path) == {"x": numbers(20_001)}


def test_an_ignored_sigterm_stays_ignored(tmp_path):
    """The program asked for that."""
    done = run_to_sigterm(tmp_path, before="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    assert done.returncode == 0
    assert points(tmp_path) == {"x": numbers(20_000)}


@pytest.mark.usefixtures("default_sigterm")
def test_without_the_option_a_writer_leaves_sigterm_alone(tmp_path):
    """A signal without a handler still has none."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 0, 0)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.usefixtures("default_sigterm")
def test_a_child_that_sigterm_ends_closes_its_own_file(tmp_path):
    """A forked child inherits the setting, and its parent's file is not touched."""
    with SummaryWriter(tmp_path, options=CLOSING) as writer:
        writer.add_scalar("parent", 0, 0)

        def log():
            for step in range(1000):
                writer.add_scalar("child", step, step)
            os.kill(os.getpid(), signal.SIGTERM)

        assert end_of(fork(log), HANG_SECS) == -signal.SIGTERM
    assert points(tmp_path) == {"parent": numbers(1), "child": numbers(1000)}


@pytest.mark.usefixtures("default_sigterm")
def test_a_writer_opened_outside_of_the_main_thread_says_that_it_cannot(tmp_path, caplog):
    """Python sets handlers only in the main thread; the writer works as usual."""
    with SummaryWriter(tmp_path, options=CLOSING) as writer:
        writer.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run_threads([threading.Thread(target=writer.add_scalar, args=("x", 0, 0))])
    assert "open it in the main thread" in caplog.text
    assert points(tmp_path) == {"x": numbers(1)}
