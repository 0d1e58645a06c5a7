"""Resumes and repairs killed at each file operation and at random, and loaders that read meanwhile."""

from __future__ import annotations

import os
import random
import time

import pytest

from tblog import SummaryWriter
from tblog._files.walk import walk
from tblog._wire.framing import frame
from tblog.check import main
from tests.browser.serving import serve
from tests.faults.killing import all_records, kept_records, killed_at, log_steps, readable, tear
from tests.processes import running_python
from tests.reading import accumulator, event_files, points, rust_points
from tests.waiting import HANG_SECS, wait_until

ROUNDS = int(os.environ.get("TBLOG_FUZZ_EXAMPLES", "4"))
FROM = 6


def check_nothing_is_lost(logdir, old, before):
    """Check a run whose resumption was killed: the old file is unchanged or cut, and other files are whole."""
    left = readable(old)
    assert left in (before, before[: 1 + FROM])
    assert {*left, *kept_records(logdir)} >= {*before}
    for path in event_files(logdir):
        with open(path, "rb") as file:
            assert all(piece.data is not None for piece in list(walk(file))[:-1])


def test_a_resumed_run_killed_at_any_operation_on_a_file_loses_nothing(tmp_path):
    """At any point, the records before the step are on disk, and the next attempt yields a clean curve."""
    operation, came_so_far = 0, True
    while came_so_far:
        logdir = tmp_path / f"run{operation}"
        log_steps(logdir, range(10))
        olds = [*event_files(logdir), *event_files(logdir / "pair_a")]
        before = [readable(old) for old in olds]
        for old in olds:
            tear(old)
        came_so_far = killed_at(operation, lambda: log_steps(logdir, range(FROM, 8), 2.0, resume=FROM))  # noqa: B023
        for old, records in zip(olds, before, strict=True):
            check_nothing_is_lost(old.parent, old, records)
        log_steps(logdir, range(FROM, 8), 3.0, resume=FROM)
        curve = [(step, 1.0 if step < FROM else 3.0) for step in range(8)]
        assert points(logdir)["loss"] == points(logdir / "pair_a")["pair"] == curve
        assert {*kept_records(logdir)} >= {*before[0][1 + FROM :]}
        operation += 1
    assert operation > 8
    expected = {".": {"loss": curve}, "pair_a": {"pair": curve}}
    assert rust_points(logdir, expected) == expected


def test_a_repair_killed_at_any_operation_on_a_file_loses_nothing(tmp_path):
    """Each readable record is in the event file, before and after; the next repair completes the work."""
    operation, came_so_far = 0, True
    while came_so_far:
        logdir = tmp_path / f"run{operation}"
        log_steps(logdir, range(10))
        (path,) = event_files(logdir)
        before = readable(path)
        tear(path)
        came_so_far = killed_at(operation, lambda: main([str(logdir), "--repair"]))  # noqa: B023
        assert event_files(logdir) == [path]
        assert readable(path) == before
        assert main([str(logdir), "--repair"]) == 0
        assert readable(path) == before
        assert path.stat().st_size == sum(map(len, map(frame, before)))
        operation += 1
    assert operation > 4


@pytest.mark.slow
def test_a_restore_killed_at_any_operation_on_a_file_loses_nothing(tmp_path):
    """Each record is in an event file or a kept one, and the next restore yields the old curve."""
    operation, came_so_far = 0, True
    while came_so_far:
        logdir = tmp_path / f"run{operation}"
        log_steps(logdir, range(10))
        log_steps(logdir, range(FROM, 12), 2.0, resume=FROM)
        folders = logdir, logdir / "pair_a"
        before = {record for folder in folders for record in all_records(folder)}
        came_so_far = killed_at(operation, lambda: main([str(logdir), "--restore"]))  # noqa: B023
        assert {record for folder in folders for record in all_records(folder)} >= before
        if came_so_far:
            assert main([str(logdir), "--restore"]) == 0
        curve = [(step, 1.0 if step < 10 else 2.0) for step in range(12)]
        assert points(logdir)["loss"] == points(logdir / "pair_a")["pair"] == curve
        assert {record for folder in folders for record in all_records(folder)} >= before
        operation += 1
    assert operation > 8


def test_a_resumed_run_killed_at_a_random_moment_loses_nothing(tmp_path):
    """The kill also comes while it reads and writes records, of which a large file has many."""
    code = """
        import sys
        from tblog import SummaryWriter
        print("starts", flush=True)
        SummaryWriter(sys.argv[1], resume=20_000)
        print("done", flush=True)
    """
    with SummaryWriter(tmp_path) as writer:
        for step in range(40_000):
            writer.add_scalar("loss", 1.0, step)
    (old,) = event_files(tmp_path)
    whole = old.read_bytes()
    before = readable(old)
    secs = 0.0
    for attempt in range(ROUNDS):
        with running_python(code, tmp_path, prints="starts") as process:
            started = time.monotonic()
            if attempt:
                time.sleep(random.uniform(0, secs))  # the moment of the kill
            else:
                process.wait(HANG_SECS)
                secs = time.monotonic() - started
        assert readable(old) in (before, before[:20_001])
        for new in event_files(tmp_path):
            if new != old:
                new.unlink()
        old.write_bytes(whole)


@pytest.mark.parametrize("how", [{"resume": FROM}, {"purge_step": FROM}], ids=["resume", "purge_step"])
def test_loaders_that_have_read_the_run_before_show_the_clean_curve_too(tmp_path, how):
    """TensorBoard's Python loader and its Rust server both keep running while the run is resumed."""
    log_steps(tmp_path, range(10))
    loaded = accumulator(tmp_path)
    assert len(loaded.Scalars("loss")) == 10
    with serve(tmp_path, "--load_fast=true", "--reload_interval=1") as server:
        server.wait_for_scalar(".", "loss")
        log_steps(tmp_path, range(FROM, 8), 2.0, **how)
        curve = [(step, 1.0 if step < FROM else 2.0) for step in range(8)]
        assert [(event.step, event.value) for event in loaded.Reload().Scalars("loss")] == curve
        for run, tag in {".": "loss", "pair_a": "pair"}.items():
            wait_until(lambda run=run, tag=tag: shown(server, run, tag) == curve)


def shown(server, run, tag):
    """Return the points that a TensorBoard shows."""
    found = server.get(f"data/plugin/scalars/scalars?run={run}&tag={tag}")
    return [(step, value) for _, step, value in found]
