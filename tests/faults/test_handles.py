"""A process with few free handles: nothing is lost, and event files take handles from each other, not the program."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.processes import run_python
from tests.reading import numbers, points

COMMON = """
import logging, os, resource, sys
logging.basicConfig(format="%(message)s")
from tblog import SummaryWriter
import tblog.writer, tblog.summaries.embedding, numpy

def limit(count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

def log(writer, runs, steps):
    for step in steps:
        writer.add_scalar("x", step, step)
        writer.add_scalars("pair", {f"r{run}": step for run in range(runs)}, step)

def take_all():
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return taken
"""


def run(program, folder, *args):
    """Run a program that logs to a folder, and return its messages."""
    done = run_python(COMMON + program, folder, *args)
    assert done.returncode == 0, done.stderr
    return done.stderr


def check(logdir, runs, steps):
    """Check that each step is in a run and in all runs below it."""
    expected = numbers(steps)
    assert points(logdir)["x"] == expected
    for number in range(runs):
        assert points(logdir / f"pair_r{number}")["pair"] == expected, number


@pytest.mark.parametrize(("handles", "writers", "runs"), [(30, 1, 60), (64, 20, 16), (40, 60, 1)])
def test_many_runs_of_many_writers_share_few_handles_and_lose_nothing(tmp_path, handles, writers, runs):
    """Even if the writers' own files alone exceed the handles; no warning is logged."""
    program = """
limit(int(sys.argv[2]))
writers = [SummaryWriter(f"{sys.argv[1]}/w{number}") for number in range(int(sys.argv[3]))]
for start in (0, 5):
    for writer in writers:
        log(writer, int(sys.argv[4]), range(start, start + 5))
        writer.flush()
for writer in writers:
    writer.close()
    assert writer.stats.written == writer.stats.queued, writer.stats
"""
    assert run(program, tmp_path, handles, writers, runs) == ""
    for number in range(writers):
        check(tmp_path / f"w{number}", runs, 10)


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a second file system")
def test_the_threads_of_two_disks_take_handles_from_each_other(tmp_path):
    """No handle is closed while in use: each record is whole and in its own file."""
    program = """
limit(24)
writers = [SummaryWriter(folder) for folder in sys.argv[1:]]
for step in range(0, 60, 2):
    for writer in writers:
        log(writer, 24, range(step, step + 2))
    for writer in writers:
        writer.flush()
for writer in writers:
    writer.close()
    assert writer.stats.written == writer.stats.queued, writer.stats
"""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
        other = Path(shm)
        assert other.stat().st_dev != tmp_path.stat().st_dev
        assert run(program, tmp_path, other) == ""
        check(tmp_path, 24, 60)
        check(other, 24, 60)


def test_a_program_that_takes_all_handles_has_new_runs_and_writers_all_the_same(tmp_path):
    """Files of all writers give up handles for runs, constructors, resuming, and an encoder's needs."""
    program = """
other, busy = SummaryWriter(f"{sys.argv[1]}/other"), SummaryWriter(f"{sys.argv[1]}/busy")
limit(80)
log(other, 8, range(3))
log(busy, 1, range(3))
other.flush(), busy.flush()
taken = take_all()
log(busy, 4, range(3, 6))
busy.flush()
assert busy.stats.written == busy.stats.queued, busy.stats
taken += take_all()
new = SummaryWriter(f"{sys.argv[1]}/new")
taken += take_all()
log(new, 0, range(6))
new.close()
with SummaryWriter(f"{sys.argv[1]}/new", resume=3) as resumed:
    log(resumed, 0, range(3, 6))
for _ in range(8):
    os.close(taken.pop())
log(other, 8, range(3, 6))
other.flush()
taken += take_all()
with SummaryWriter(f"{sys.argv[1]}/new", resume=True) as resumed:
    assert resumed.next_step == 6
    taken += take_all()
    resumed.add_embedding(numpy.zeros((3, 2)), global_step=6)
    resumed.flush()
    assert resumed.stats.written == resumed.stats.queued == 1, resumed.stats
"""
    told = run(program, tmp_path)
    assert told.startswith("tblog goes on from step 3")
    assert told.count("\n") == 1
    check(tmp_path / "other", 8, 6)
    check(tmp_path / "new", 0, 6)
    assert [step for step, _ in points(tmp_path / "busy")["x"]] == [*range(6)]


def test_without_any_handle_a_writer_waits_for_one_and_loses_nothing(tmp_path):
    """It reports the trouble once and its end once; another writer's constructor raises."""
    program = """
writer = SummaryWriter(sys.argv[1])
log(writer, 0, range(3))
writer.flush()
limit(80)
writer.file_writer.channel().main_file.release()
taken = take_all()
log(writer, 0, range(3, 6))
writer.flush()
try:
    SummaryWriter(f"{sys.argv[1]}/other")
except OSError as error:
    print(error, file=sys.stderr)
for handle in taken:
    os.close(handle)
writer.close()
assert writer.stats.written == writer.stats.queued, writer.stats
"""
    told = run(program, tmp_path)
    assert told.count("Training goes on") == told.count("writes to") == 1
    assert told.count("Too many open files") == 2
    check(tmp_path, 0, 6)


def test_event_files_leave_most_handles_to_the_program(tmp_path):
    """However many runs are logged, three quarters of the process's handles remain free."""
    program = """
limit(200)
with SummaryWriter(sys.argv[1]) as writer:
    log(writer, 190, range(2))
    writer.flush()
    print(len(take_all()) > 140, file=sys.stderr)
"""
    assert run(program, tmp_path) == "True\n"
    check(tmp_path, 190, 2)


def test_however_few_handles_there_are_a_resumed_run_has_enough_or_says_so(tmp_path):
    """With one more handle each time: only a lack of handles is an error, and with enough nothing is broken."""
    program = """
with SummaryWriter(sys.argv[1]) as writer:
    log(writer, 0, range(6))
limit(80)
taken = take_all()
for number in range(12):
    try:
        with SummaryWriter(sys.argv[1], resume=3):
            break
    except OSError as error:
        assert "Close some, or raise the limit" in str(error), error
    os.close(taken.pop())
assert number > 1
"""
    assert "3 records of steps 3 to 5 were cut off" in run(program, tmp_path)
    check(tmp_path, 0, 3)


def test_a_record_writer_takes_a_handle_from_event_files(tmp_path):
    """As a new writer does."""
    program = """
from tblog import RecordWriter
limit(80)
writer = SummaryWriter(f"{sys.argv[1]}/run")
log(writer, 8, range(3))
writer.flush()
taken = take_all()
records = RecordWriter(f"{sys.argv[1]}/records")
records.write(b"one")
records.close()
"""
    run(program, tmp_path)
    assert b"one" in (tmp_path / "records").read_bytes()


def test_a_check_without_handles_says_that_it_could_not_look(tmp_path):
    """It does not claim that nothing is wrong."""
    program = """
from tblog.check import main
import tblog.check
SummaryWriter(sys.argv[1]).close()
limit(80)
taken = take_all()
status = main([sys.argv[1]])
print(status, file=sys.stderr)
"""
    assert run(program, tmp_path) == "1\n"
