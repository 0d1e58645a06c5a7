"""An object store behind a bad network: retries, losses and waits."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
import threading
import time
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Thread

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tblog
from tblog import SummaryWriter
from tblog._delivery.queue import STALL_SECS
from tblog._files import outbox as _outbox
from tblog._files import stored_runs as _stored_runs
from tblog.options import WriterOptions
from tests.faults.stores import BUCKET, keys, stored_steps
from tests.processes import environment_here, run_program
from tests.reading import points
from tests.slow import slow_but
from tests.waiting import wait_until

URL = f"s3://{BUCKET}/run"
QUICK = WriterOptions(segment_secs=0.05)
FAULTS = ("slow", "500", "expired", "cut", "cut half", "cut answer")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """Shorten the pauses between retries."""
    monkeypatch.setattr(_outbox, "FIRST_PAUSE_SECS", 0.05)
    monkeypatch.setattr(_outbox, "LONGEST_PAUSE_SECS", 0.2)


def log(writer, steps):
    """Log each step as its own value."""
    for step in steps:
        writer.add_scalar("x", step, step)


@pytest.mark.parametrize("fault", slow_but(["500", "cut"], FAULTS))
def test_no_fault_of_the_network_or_the_store_loses_or_repeats_a_record(proxy, store, caplog, fault):
    """Segments are sent again, in order, until the store confirms them."""
    with SummaryWriter(URL, options=QUICK) as writer:
        log(writer, range(50))
        writer.flush()
        proxy.fault = fault
        for start in range(50, 100, 10):
            log(writer, range(start, start + 10))
            wait_until(lambda hit=proxy.hit: proxy.hit > hit)
        if fault != "slow":
            assert writer.stats.written == 50
        proxy.fault = ""
        log(writer, range(100, 110))
        writer.flush()
        assert (writer.stats.written, writer.stats.dropped) == (110, 0)
    assert stored_steps(store) == list(range(110))
    assert sum("cannot write" in record.getMessage() for record in caplog.records) == (fault != "slow")
    paths = [path for path, _ in proxy.bodies]
    assert sorted(paths) == paths  # retries came before later segments


def test_who_logs_waits_for_no_store(proxy):
    """Neither does a writer to another directory or store."""
    with (
        SummaryWriter(URL, options=QUICK) as writer,
        SummaryWriter("memory://other/run", options=QUICK) as other,
    ):
        proxy.fault = "slow"
        longest = 0.0
        for step in range(300):
            started = time.perf_counter()
            writer.add_scalar("x", step, step)
            longest = max(longest, time.perf_counter() - started)
            time.sleep(0.002)  # a training step
        other.add_scalar("x", 0, 0)
        wait_until(lambda: other.stats.written == 1)
        assert longest < 0.2  # a request takes 0.3
        proxy.fault = ""


def test_many_writers_to_one_bucket_share_its_threads_and_connections(store):
    """Each run is whole."""
    started = threading.active_count()
    handles = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(SummaryWriter(f"s3://{BUCKET}/{number:02}")) for number in range(64)]
        for writer in writers:
            log(writer, range(10))
        for writer in writers:
            writer.flush()
        ours = [thread for thread in threading.enumerate() if thread.name.startswith("tblog-")]
        assert len({thread.name for thread in ours}) <= 3
        assert threading.active_count() < started + 16  # some belong to asyncio, which looks up names
        if handles:
            assert len(os.listdir("/proc/self/fd")) < handles + 32
    assert sum(writer.stats.written for writer in writers) == 640
    assert stored_steps(store) == list(range(10)) * 64
    assert len(keys(store)) == 64


def test_a_store_that_is_away_is_tried_less_and_less_often(proxy):
    """A flush tries at once."""
    with SummaryWriter(URL, options=QUICK) as writer:
        proxy.fault = "500"
        log(writer, range(10))
        wait_until(lambda: proxy.hit >= 5)
        hit = proxy.hit
        writer.flush()
        assert proxy.hit > hit
        proxy.fault = ""
    assert (writer.stats.written, writer.stats.dropped) == (10, 0)


def test_a_close_waits_for_a_store_that_comes_back(server, store):
    """It waits within its limit, and nothing is lost."""
    writer = SummaryWriter(URL)
    log(writer, range(10))
    with server.away():
        writer.flush()
        closing = writer.file_writer.channel().start_closing()
        assert not closing.done.wait(0.5)
    assert closing.done.wait(20)
    writer.close()
    assert (writer.stats.written, writer.stats.dropped) == (10, 0)
    assert stored_steps(store) == list(range(10))


def test_what_waits_in_memory_is_bounded_and_the_rest_is_dropped_and_counted(proxy, store, caplog):
    """Segments wait up to the bound, then records in the queue; then the options decide. Once the store is back, it gets what was kept."""
    options = WriterOptions(
        segment_secs=0.05, segment_bytes=2_000, max_queue_bytes=20_000, max_queue_records=500
    )
    with SummaryWriter(URL, options=options) as writer:
        proxy.fault = "500"
        writer.flush()
        for start in range(0, 5_000, 100):
            log(writer, range(start, start + 100))
            time.sleep(0.01)  # the worker looks
        wait_until(lambda: writer.stats.dropped)
        assert writer.file_writer.channel().sending.waiting * 40 < 80_000
        proxy.fault = ""
        writer.flush()
    stats = writer.stats
    assert stats.queued == stats.written == len(stored_steps(store))
    assert stats.written + stats.dropped == 5_000
    assert sum("the queue of" in record.getMessage() for record in caplog.records) == 1


def test_a_small_bound_holds_up_no_segment_that_the_store_would_take():
    """A segment that may grow beyond the bound is ended sooner."""
    options = WriterOptions(max_queue_bytes=10_000, max_queue_records=1_000)
    with SummaryWriter("memory://small/run", options=options) as writer:
        log(writer, range(5_000))
        assert writer.stats.dropped == 0
    assert (writer.stats.written, writer.stats.dropped) == (5_000, 0)


def test_a_run_below_that_the_store_denies_costs_no_other_run_a_record(proxy, store, caplog):
    """Neither while the writer logs nor at its close; what is lost of the denied run alone is counted and named."""
    proxy.denied = "pair_a"
    options = WriterOptions(segment_secs=0.05, exit_timeout_secs=0.5)
    with SummaryWriter(URL, options=options) as writer:
        for step in range(10):
            writer.add_scalars("pair", {"a": 1.0, "b": 2.0}, step)
            writer.add_scalar("x", step, step)
        wait_until(lambda: writer.stats.written == 20)
        writer.add_scalar("x", 10, 10)
        writer.flush()
        assert writer.stats.written == 21
        writer.add_scalar("x", 11, 11)
    assert (writer.stats.written, writer.stats.dropped) == (22, 10)
    assert stored_steps(store) == list(range(12))
    assert stored_steps(store, "pair") == list(range(10))
    told = [record.getMessage() for record in caplog.records]
    assert any("pair_a/" in message and "AccessDenied" in message for message in told)


def test_callers_that_wait_for_a_slow_store_wait_no_more_once_it_refuses(proxy):
    """Records are dropped and counted from then on, even if the queue was full before."""
    options = WriterOptions(
        segment_bytes=2_000, max_queue_bytes=10_000, max_queue_records=100, exit_timeout_secs=0.1
    )
    with SummaryWriter(URL, options=options) as writer:
        proxy.fault = "slow"
        logging = Thread(target=log, args=(writer, range(3_000)), daemon=True)
        logging.start()
        wait_until(lambda: not writer.file_writer.channel().sending.has_room)
        proxy.fault = "500"
        logging.join(STALL_SECS / 2)
        assert not logging.is_alive()
    assert writer.stats.dropped
    assert writer.stats.written + writer.stats.dropped == 3_000


def test_what_a_store_refuses_waits_in_the_spill_directory_and_is_sent_from_there(proxy, store, tmp_path):
    """They do not wait in memory, and no file is left behind."""
    options = WriterOptions(segment_secs=0.05, spill_dir=str(tmp_path / "spill"))
    with SummaryWriter(URL, options=options) as writer:
        proxy.fault = "500"
        log(writer, range(10))
        wait_until(lambda: writer.stats.spilled == 10)
        assert points(tmp_path / "spill" / BUCKET / "run")["x"] == [(step, float(step)) for step in range(10)]
        log(writer, range(10, 20))
        wait_until(lambda: writer.stats.spilled == 20)
        proxy.fault = ""
    stats = writer.stats
    assert (stats.written, stats.spilled, stats.dropped) == (20, 0, 0)
    assert stored_steps(store) == list(range(20))
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_stays_away_leaves_whole_event_files_in_the_spill_directory(
    proxy, store, tmp_path, caplog
):
    """They count as spilled, neither written nor dropped; the message says where they are, and a user can copy them."""
    options = WriterOptions(spill_dir=str(tmp_path))
    writer = SummaryWriter(URL, options=options)
    log(writer, range(10))
    writer.flush()
    proxy.fault = "cut"
    log(writer, range(10, 20))
    writer.add_scalars("pair", {"a": 1.0}, 0)
    writer.close()
    stats = writer.stats
    assert (stats.queued, stats.written, stats.spilled, stats.dropped) == (21, 10, 11, 0)
    assert any(f"in event files below {tmp_path}" in record.getMessage() for record in caplog.records)
    assert "11 spilled" in repr(writer)
    for path in Path(tmp_path, BUCKET).rglob("*tfevents*"):
        store.upload_file(str(path), BUCKET, str(path.relative_to(tmp_path / BUCKET)))
    assert stored_steps(store) == list(range(20))


@pytest.mark.parametrize("ending", slow_but(["killed"], ["killed", "closed"]))
def test_the_next_writer_sends_what_an_ended_program_left_in_the_spill_directory(
    proxy, store, tmp_path, ending
):
    """While the program lives, another writer of the run does not touch its files."""
    spill, ready = tmp_path / "spill", tmp_path / "ready"
    options = f"WriterOptions(segment_secs=0.05, spill_dir={str(spill)!r})"
    program = f"""
        import sys, time
        from pathlib import Path
        from tblog import SummaryWriter, WriterOptions
        writer = SummaryWriter("{URL}", options={options})
        writer.add_scalar("x", 0, 0)
        writer.flush()
        Path({str(ready)!r}).touch()
        sys.stdin.readline()
        for step in range(1, 10):
            writer.add_scalar("x", step, step)
            writer.add_scalars("pair", {{"a": 1.0}}, step)
            while writer.stats.spilled < 2 * step:
                time.sleep(0.01)
        Path({str(ready)!r}).touch()
        sys.stdin.readline()
        writer.close()
        """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with Popen(command, stdin=PIPE, env=environment_here(), text=True) as process:
        wait_until(ready.exists)
        ready.unlink()
        proxy.fault = "500"
        print(file=process.stdin, flush=True)
        wait_until(ready.exists)
        left = {path.name: path.read_bytes() for path in spill.rglob("events*")}
        proxy.fault = ""
        proxy.denied = str(process.pid)  # so that it cannot send these itself
        with SummaryWriter(URL, options=WriterOptions(spill_dir=str(spill))) as beside:
            beside.add_scalar("beside", 0, 0)
        assert {path.name: path.read_bytes() for path in spill.rglob("events*")} == left
        if ending == "killed":
            process.kill()
        else:
            print(file=process.stdin, flush=True)
    proxy.denied = ""
    assert spill.exists()
    with SummaryWriter(URL, options=WriterOptions(spill_dir=str(spill))) as writer:
        log(writer, range(10, 20))
    assert (writer.stats.written, writer.stats.spilled) == (10, 0)
    assert stored_steps(store) == list(range(20))
    assert stored_steps(store, "pair") == list(range(1, 10))
    assert not spill.exists()


def test_a_program_that_ends_in_front_of_a_silent_store_ends_in_time_and_says_what_is_lost(
    proxy, tmp_path, monkeypatch
):
    """The exit waits for the time in the options, then counts and names the rest."""
    monkeypatch.setenv("TBLOG_TEST_STORE", proxy.address)
    told = run_program(
        f"""
        import os, socket
        os.dup2(1, 2)
        from tblog import SummaryWriter, WriterOptions
        writer = SummaryWriter("{URL}", options=WriterOptions(exit_timeout_secs=1))
        for step in range(100):
            writer.add_scalar("x", step, step)
        from tblog._files import file_systems
        silent = socket.create_server(("127.0.0.1", 0))
        os.environ["S3_ENDPOINT"] = f"http://127.0.0.1:{{silent.getsockname()[1]}}"
        """,
        tmp_path,
    )
    assert "did not take its last 100 records within the 1 s that the exit waits" in told


def test_a_program_that_ends_finds_the_address_of_its_store(proxy, store, tmp_path):
    """The connection is made while the interpreter ends and closes the thread pools that look up addresses."""
    run_program(
        f"""
        from tblog import SummaryWriter
        from tblog._files import file_systems
        writer = SummaryWriter("{URL}")
        for step in range(100):
            writer.add_scalar("x", step, step)
        file_systems.forget_store("{URL}")
        """,
        tmp_path,
    )
    assert stored_steps(store) == list(range(100))
    assert proxy.requests["PUT"] == 2


def test_a_forked_child_sends_its_own_segments(store, tmp_path):
    """It has its own connection and objects, and leaves the parent's waiting segments to the parent."""
    run_program(
        f"""
        import os
        from tblog import SummaryWriter
        writer = SummaryWriter("{URL}")
        for step in range(10):
            writer.add_scalar("x", step, step)
        child = os.fork()
        if not child:
            for step in range(10, 20):
                writer.add_scalar("x", step, step)
            writer.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        writer.close()
        """,
        tmp_path,
    )
    assert sorted(stored_steps(store)) == list(range(20))


@pytest.mark.slow
def test_tensorboards_loader_and_the_reader_follow_a_run_of_many_segments(proxy):
    """While it grows, from its start, and after a resume, which hides the cut-off points."""
    live = EventAccumulator(URL)
    with SummaryWriter(URL) as writer:
        for start in range(0, 100, 10):
            log(writer, range(start, start + 10))
            writer.flush()
            if not start % 30:
                live.Reload()
                assert [event.step for event in live.Scalars("x")] == list(range(start + 10))
    with SummaryWriter(URL, resume=50) as writer:
        log(writer, range(50, 70))
    again = EventAccumulator(URL)
    for loader in (live, again):
        loader.Reload()
        assert [event.step for event in loader.Scalars("x")] == list(range(70))
    read = tblog.read(URL)
    assert read.scalars.filter(tag="x").step.tolist() == list(range(70))
    assert proxy.requests["GET"] > 20


@pytest.mark.slow
def test_loaders_that_follow_a_growing_object_lose_and_repeat_nothing(store):
    """Nor where it grows while one of them is in the middle of it."""
    live, read = EventAccumulator(URL), None
    with SummaryWriter(URL) as writer:
        for step in range(60):
            writer.add_scalar("x", step, step)
            writer.flush()
            if step % 4 == 0:
                live.Reload()
                assert [event.step for event in live.Scalars("x")] == list(range(step + 1))
                read = tblog.read(URL) if read is None else read.refresh()
                assert read.scalars.filter(tag="x").step.tolist() == list(range(step + 1))
    assert len(keys(store)) == 10  # of 61 puts


def test_a_run_that_grows_after_it_was_listed_is_read_as_it_was(store):
    """A notebook looks at its runs later; `refresh` reads what has come since."""
    with SummaryWriter(URL) as writer:
        for start in (0, 5):
            log(writer, range(start, start + 5))
            writer.flush()
        read = tblog.read(URL)
        log(writer, range(10, 15))
        writer.flush()
        assert len(keys(store)) == 2
        assert read.scalars.filter(tag="x").step.tolist() == list(range(10))
        assert read.refresh().scalars.filter(tag="x").step.tolist() == list(range(15))


def test_merged_segments_are_one_object_that_loaders_read(store):
    """Each run's objects, including the constructor's, become one with the same points."""
    with SummaryWriter(URL, options=WriterOptions(merge_segments=True)) as writer:
        for start in range(0, 50, 10):
            log(writer, range(start, start + 10))
            writer.add_scalars("pair", {"a": 1.0}, start)
            writer.flush()
        assert len(keys(store)) == 5
    assert len(keys(store)) == 2
    assert stored_steps(store) == list(range(50))
    assert stored_steps(store, "pair") == list(range(0, 50, 10))
    loader = EventAccumulator(URL)
    loader.Reload()
    assert [event.step for event in loader.Scalars("x")] == list(range(50))


def test_a_merging_that_the_store_refuses_loses_nothing(store, monkeypatch, caplog):
    """The segments stay, and a warning says so."""
    with SummaryWriter(URL, options=WriterOptions(merge_segments=True)) as writer:
        log(writer, range(10))
        writer.flush()

        def refuse(*_):
            raise OSError("not today")

        monkeypatch.setattr(_stored_runs, "merge", refuse)
    assert stored_steps(store) == list(range(10))
    assert any("could not merge" in record.getMessage() for record in caplog.records)
    assert (writer.stats.written, writer.stats.dropped) == (10, 0)


def test_no_message_names_a_key(proxy, caplog, capfd):
    """Messages contain neither credentials nor signatures."""
    options = WriterOptions(exit_timeout_secs=0.1)
    writer = SummaryWriter(URL, options=options)
    for fault in ("expired", "500", "cut"):
        proxy.fault = fault
        log(writer, range(3))
        writer.flush()
    writer.close()
    told = "".join(record.getMessage() for record in caplog.records) + "".join(capfd.readouterr())
    assert "ExpiredToken" in told
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in told
    assert "Signature" not in told
