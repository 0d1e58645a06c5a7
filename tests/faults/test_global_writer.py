"""The global writer's process ends with the processes that log to it, however they end."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.processes import environment_here, running_python
from tests.reading import points, rust_points
from tests.waiting import HANG_SECS

MAKER = """
    import os, sys, time
    from tblog import GlobalSummaryWriter
    writer = GlobalSummaryWriter(sys.argv[1])
    for value in range(300):
        writer.add_scalar("maker", value)
    print("logged", flush=True)
    time.sleep(600)
"""

PARENT = """
    import os, sys, time
    from tblog import GlobalSummaryWriter
    writer = GlobalSummaryWriter(sys.argv[1])
    maker = os.getpid()
    if os.fork() == 0:
        while os.getppid() == maker:
            time.sleep(0.01)
        for value in range(300):
            writer.add_scalar("orphan", value)
        os._exit(0)
    print("logged", flush=True)
    time.sleep(600)
"""


@contextmanager
def running(code, logdir):
    """Start a program, wait for its first line, and yield it with the processes it started."""
    with running_python(code, logdir, prints="logged", environment={"TMPDIR": str(logdir.parent)}) as maker:
        started = psutil.Process(maker.pid).children(recursive=True)
        try:
            yield maker, started
        finally:
            for process in started:
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def ended(processes):
    """Return whether all of these end in time; a sleeping parent does not reap its children."""
    deadline = time.monotonic() + HANG_SECS
    while any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_when_its_maker_is_killed_the_writers_process_ends_and_everything_is_there(tmp_path):
    """No process and no socket is left behind, and no record is lost."""
    logdir = tmp_path / "run"
    with running(MAKER, logdir) as (maker, started):
        assert len(started) == 1
        maker.kill()
        assert ended(started)
    expected = {"maker": [(step, float(step)) for step in range(300)]}
    assert points(logdir) == expected
    assert rust_points(logdir, {".": expected}) == {".": expected}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_child_that_outlives_its_killed_parent_goes_on_logging_globally(tmp_path):
    """The writer's process stays until the last process forked from its maker ends."""
    logdir = tmp_path / "run"
    with running(PARENT, logdir) as (maker, started):
        assert len(started) == 2
        maker.kill()
        assert ended(started)
    assert points(logdir) == {"orphan": [(step, float(step)) for step in range(300)]}


def test_a_writers_process_that_is_told_to_end_writes_everything_first(tmp_path):
    """A job scheduler sends SIGTERM to all processes of a job."""
    logdir = tmp_path / "run"
    with running(MAKER, logdir) as (_, started):
        started[0].terminate()
        assert ended(started)
        assert points(logdir) == {"maker": [(step, float(step)) for step in range(300)]}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_that_logs_when_the_writers_is_gone_hears_of_it_at_once(tmp_path, method):
    """A call raises, and does not hang, once the writer's process was killed, for example for lack of memory."""
    code = f"""
        import multiprocessing, psutil, sys
        from tblog import GlobalSummaryWriter
        if __name__ == "__main__":
            multiprocessing.set_start_method({method!r})
            writer = GlobalSummaryWriter(sys.argv[1])
            writer.add_scalar("x", 1.0)
            writer.flush()
            (child,) = psutil.Process().children()
            child.kill()
            child.wait()
            try:
                writer.add_scalar("x", 2.0)
            except (EOFError, OSError):
                print("told")
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "run")],
        env={**environment_here(), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=HANG_SECS,
        check=False,
    )
    assert done.stdout == "told\n", done.stderr
    assert points(tmp_path / "run") == {"x": [(0, 1.0)]}
