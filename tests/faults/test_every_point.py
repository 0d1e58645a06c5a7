"""A signal handler runs at every point of every call: whatever it does, the call goes on, and nothing is lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tensorboardX.proto.summary_pb2 import Summary

from tblog import FileWriter, SummaryWriter
from tblog._locks import import_lock, on_worker
from tests.faults.every_point import EveryPoint, ForkAtEveryPoint
from tests.faults.inside import end_of
from tests.faults.volume import many_points
from tests.gates import let_no_thread_start
from tests.processes import fork
from tests.reading import event_files
from tests.slow import slow_but
from tests.waiting import HANG_SECS, join

CALLS: dict[str, Callable[[SummaryWriter], object]] = {
    "a scalar": lambda writer: writer.add_scalar("loss", np.array([2.0]), 1),
    "a histogram": lambda writer: writer.add_histogram("weights", np.arange(3.0), 1),
    "a flush": lambda writer: writer.flush(),
    "a dict": lambda writer: writer.add_scalar_dict({"loss": np.array(2.0), "accuracy": 1}, 1),
    "a group": lambda writer: writer.add_scalars("losses", {"train": 2.0, "test": 1}, 1),
    "a text": lambda writer: writer.add_text("note", "It learns.", 1),
    "an image": lambda writer: writer.add_image("image", np.zeros((3, 4, 4), np.uint8), 1),
    "a layout": lambda writer: writer.add_custom_scalars({"all": {"losses": ["Multiline", ["loss"]]}}),
    "hparams": lambda writer: writer.add_hparams({"lr": 0.1}, {"loss": 2.0}, run_name="trial"),
    "a close": lambda writer: writer.close(),
    "a reopening": lambda writer: (writer.close(), writer.add_scalar("loss", 2.0, 1)),
    "a second writer": lambda writer: SummaryWriter(f"{writer.log_dir}/second"),
    "a writer that resumes": lambda writer: SummaryWriter(f"{writer.log_dir}/second", purge_step=2),
}
each_call = pytest.mark.parametrize("name", slow_but(["a scalar", "a flush"], CALLS))

HANDLERS: dict[str, Callable[[SummaryWriter, int], object]] = {
    "logs": lambda writer, number: writer.add_histogram(f"also{number}", np.arange(3.0), number),
    "flushes": lambda writer, _: writer.flush(),
    "closes": lambda writer, _: writer.close(),
}


@pytest.fixture
def writer(tmp_path):
    """Return a writer that has loaded what a text needs."""
    writer = SummaryWriter(tmp_path)
    writer.add_text("before", "text")
    writer.add_scalar("before", 1.0, 0)
    writer.flush()
    return writer


def call(name, writer):
    """Return the call of this name, to be called without arguments."""
    return lambda: CALLS[name](writer)


@each_call
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_forked_anywhere_inside_a_call_finishes_it_and_logs_on(writer, name):
    """Each child has all that it logs after the call, and the parent what it logs on both sides of it."""

    def log_on(number):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
        writer.add_scalar(f"child{number}", 1.0, number)
        if number % 2:
            writer.add_text(f"text{number}", "of a child", number)
        writer.close()

    forks = ForkAtEveryPoint(HANG_SECS)
    forks.call(call(name, writer), log_on)
    writer.add_scalar("after", 1.0, 0)
    writer.close()
    assert len(forks.ends) > 20
    assert [(end, line) for end, line in forks.ends if end] == []
    wanted = {"before", "before/text_summary", "after"}
    for number in range(1, len(forks.ends) + 1):
        wanted |= {f"child{number}", *([f"text{number}/text_summary"] if number % 2 else [])}
    found = many_points(writer.log_dir)
    assert {tag: len(found.get(tag, [])) for tag in wanted} == dict.fromkeys(wanted, 1)
    assert all(path.stat().st_size for path in Path(writer.log_dir).rglob("*tfevents*"))


@pytest.mark.parametrize("name", slow_but([], ["a scalar", "a close", "a reopening"]))
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_forked_anywhere_inside_a_call_that_writes_for_itself_leaves_the_file_to_its_parent(
    writer, name, monkeypatch, caplog
):
    """Where no thread can start, the call is in the middle of the parent's file. The child warns of nothing."""
    writer.close()
    let_no_thread_start(monkeypatch, "tblog")
    writer.add_scalar("before", 1.0, 1)
    told = len(caplog.records)
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    def log_on(number):
        assert (signal.pthread_sigmask(signal.SIG_BLOCK, ()), unraisable) == (set(), [])
        writer.add_scalar(f"child{number}", 1.0, number)
        writer.close()
        assert len(caplog.records) == told

    forks = ForkAtEveryPoint(HANG_SECS)
    files = set(event_files(writer.log_dir))
    forks.call(call(name, writer), log_on)
    assert [(end, line) for end, line in forks.ends if end] == []
    writer.add_scalar("after", 1.0, 0)
    writer.close()
    assert len(caplog.records) == told
    found = many_points(writer.log_dir)
    assert {found[f"child{number + 1}"][0][0] for number in range(len(forks.ends))} == {
        *range(1, len(forks.ends) + 1)
    }
    written = event_files(writer.log_dir)
    assert all(os.path.getsize(path) for path in written)
    assert len(written) <= len(files) + len(forks.ends) + (name != "a scalar")


class HandlerError(BaseException):
    """Raised by a signal handler, as SystemExit is; not taken for an error of a value."""


@pytest.fixture
def writer_alone(writer, monkeypatch):
    """Return a writer each of whose calls writes for itself, and let SIGUSR1 raise an error."""

    def handle(*_):
        raise HandlerError

    writer.close()
    let_no_thread_start(monkeypatch, "tblog")
    writer.add_scalar("before", 1.0, 1)
    before = signal.signal(signal.SIGUSR1, handle)
    yield writer
    signal.signal(signal.SIGUSR1, before)


def errors_at_every_point(writer, name, handle):
    """Do something at one point of a call after the other; yield the number of the point, and whether an error came."""
    place = 1
    while True:
        points = EveryPoint(lambda number, place=place: handle() if number == place else None)
        came = False
        try:
            points.call(call(name, writer))
        except HandlerError:
            came = True
        if len(points.lines) < place:
            return
        yield place, came
        place += 1


@pytest.mark.parametrize("name", slow_but(["a scalar"], ["a scalar", "a histogram", "a flush"]))
@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs SIGUSR1")
def test_a_handler_that_raises_anywhere_inside_a_call_that_writes_for_itself_loses_nothing(
    writer_alone, name, caplog
):
    """The call raises the handler's error, and later calls write, those of other threads too."""
    handler = signal.getsignal(signal.SIGUSR1)
    wanted = 0
    for place, came in errors_at_every_point(
        writer_alone, name, partial(signal.raise_signal, signal.SIGUSR1)
    ):
        assert came
        assert signal.getsignal(signal.SIGUSR1) is handler
        writer_alone.add_scalar("later", 1.0, place)
        other = threading.Thread(target=writer_alone.add_scalar, args=("other", 1.0, place))
        other.start()
        join([other])
        assert writer_alone.stats.written == writer_alone.stats.queued
        wanted = place
    assert wanted > 20
    writer_alone.close()
    found = many_points(writer_alone.log_dir)
    assert (
        [step for step, _ in found["later"]]
        == [step for step, _ in found["other"]]
        == [*range(1, wanted + 1)]
    )
    assert (writer_alone.stats.dropped, writer_alone.stats.failed) == (0, 0)
    assert not caplog.records


def raise_at_once():
    """Raise an error where no handler of a signal can wait."""
    raise HandlerError


def test_an_error_from_outside_anywhere_inside_a_call_that_writes_for_itself_leaves_the_writer_usable(
    writer_alone,
):
    """A second signal is handled at once, and other threads may raise errors here; later calls write."""
    places = 0
    for _ in errors_at_every_point(writer_alone, "a scalar", raise_at_once):
        assert not on_worker()
        places += 1
    assert places > 20
    writer_alone.add_scalar("later", 1.0, 1)
    writer_alone.close()
    assert many_points(writer_alone.log_dir)["later"] == [(1, 1.0)]


@pytest.mark.parametrize("name", slow_but([], ["a scalar", "a histogram", "a reopening"]))
def test_who_logs_and_closes_anywhere_inside_a_call_that_writes_for_itself_loses_nothing(
    writer, name, monkeypatch
):
    """A finaliser that does so comes in the middle of writing: the call writes what it opens, before it returns."""
    writer.close()
    let_no_thread_start(monkeypatch, "tblog")

    def handle(number):
        writer.add_scalar(f"handler{number}", 1.0, number)
        writer.close()

    points = EveryPoint(handle)
    points.call(call(name, writer))
    writer.close()
    found = many_points(writer.log_dir)
    assert {len(found.get(f"handler{number}", [])) for number in range(1, len(points.lines) + 1)} == {1}
    assert all(path.stat().st_size for path in event_files(writer.log_dir))


@pytest.mark.parametrize("does", HANDLERS)
@each_call
def test_a_handler_that_logs_anywhere_inside_a_call_neither_waits_for_it_nor_loses_anything(
    writer, name, does, caplog
):
    """What the handler logs is there once, and it never waits for a thread that waits for the interrupted call."""

    def handle(number):
        writer.add_scalar(f"handler{number}", 1.0, number)
        HANDLERS[does](writer, number)

    points = EveryPoint(handle)
    points.call(call(name, writer))
    writer.add_scalar("after", 1.0, 0)
    writer.close()
    assert "has not reacted" not in caplog.text
    wanted = {"before", "before/text_summary", "after"}
    for number in range(1, len(points.lines) + 1):
        wanted |= {f"handler{number}", *([f"also{number}"] if does == "logs" else [])}
    found = many_points(writer.log_dir)
    assert {tag: len(found.get(tag, [])) for tag in wanted} == dict.fromkeys(wanted, 1)
    assert (writer.stats.dropped, writer.stats.failed) == (0, 0)


def test_a_handler_that_closes_a_file_writer_anywhere_inside_its_close_leaves_the_counts_right(tmp_path):
    """Each file counts once, whichever of the two calls finds it closed."""
    writer = FileWriter(tmp_path)
    logged = []

    def log(tag):
        logged.append(tag)
        writer.add_summary(Summary(value=[Summary.Value(tag=tag, simple_value=1.0)]), 0)

    def handle_at(place):
        def handle(number):
            if number == place:
                log(f"handler{number}")
                writer.close()

        points = EveryPoint(handle)
        log(f"before{place}")
        points.call(writer.close)
        return len(points.lines) >= place

    place = 1
    while handle_at(place):
        place += 1
    assert place > 20
    assert set(many_points(tmp_path)) == set(logged)
    assert writer.stats.queued == writer.stats.written == len(logged)


def test_an_interrupt_anywhere_inside_of_use_metadata_ends_it(writer):
    """The next block is not refused."""

    def interrupt_at(place):
        def handle(number):
            if number == place:
                raise KeyboardInterrupt

        def use():
            with writer.use_metadata(global_step=3):
                pass

        points = EveryPoint(handle)
        with suppress(KeyboardInterrupt):
            points.call(use)
        return len(points.lines) >= place

    place = 1
    while interrupt_at(place):
        place += 1
    assert place > 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.usefixtures("writer")
def test_a_handler_that_forks_anywhere_inside_a_fork_leaves_the_import_lock_free():
    """The encoder would wait for it."""
    parent = os.getpid()
    ends = []

    def handle(_):
        if os.getpid() == parent:
            ends.append(end_of(fork(int), HANG_SECS))

    points = EveryPoint(handle)
    points.call(lambda: ends.append(end_of(fork(int), HANG_SECS)))
    assert len(points.lines) > 5
    assert ends == [0] * (len(points.lines) + 1)
    assert not import_lock.is_mine()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
