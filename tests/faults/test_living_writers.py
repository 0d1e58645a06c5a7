"""While any process writes to an event file, nobody cuts it; once its writer has ended, it can be resumed at once."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from tblog import SummaryWriter, WriterOptions
from tblog._files import in_use
from tblog._files.names import host
from tblog._wire.events import first_event
from tblog._wire.framing import frame
from tblog.check import main
from tests.faults.damage import number
from tests.faults.disks import namespace
from tests.processes import environment_here, read_line, running_python, say
from tests.reading import event_files, events, points
from tests.slow import slow_but

WRITERS = {
    "torch": "torch.utils.tensorboard",
    "tensorboardX": "tensorboardX",
    "tblog": "tblog",
}
COMMON = """
import os, sys
from {module} import SummaryWriter
def log(start, end):
    for step in range(start, end):
        writer.add_scalar("x", step, step)
def step(text):
    print(text, flush=True)
    return sys.stdin.readline()
"""


@contextlib.contextmanager
def living(library, logdir, program):
    """Run a program that logs with a library up to its first pause, and kill it at the end."""
    code = COMMON.format(module=WRITERS[library]) + textwrap.dedent(program)
    with running_python(code, logdir, prints="logged") as process:
        yield process


def go_on(process):
    """Let the program run to its next pause or its end."""
    say(process)
    read_line(process)


LOGS = """
writer = SummaryWriter(sys.argv[1])
log(0, 500)
writer.flush()
step("logged")
log(500, 1000)
writer.close()
"""

WAYS = {
    "resume": lambda logdir: SummaryWriter(logdir, resume=100).close(),
    "purge_step": lambda logdir: SummaryWriter(logdir, purge_step=100).close(),
    "repair": lambda logdir: main([str(logdir), "--repair"]),
}


def damage(path):
    """Append a record that a repair corrects: a number whose time is NaN."""
    with open(path, "ab") as file:
        file.write(frame(b"\x09" + b"\xff" * 8 + number(0)[9:]))


def told_of(path, caplog):
    """Return the one message that names a file."""
    (told,) = [record.getMessage() for record in caplog.records if str(path) in record.getMessage()]
    return told


@pytest.mark.parametrize("way", slow_but(["resume"], WAYS))
@pytest.mark.parametrize("library", slow_but(["torch", "tblog"], WRITERS))
def test_a_file_that_another_process_writes_to_is_left_alone(tmp_path, caplog, library, way):
    """All its points are present at its end; the message names the file, the process, and what to do."""
    with living(library, tmp_path, LOGS) as process:
        (path,) = event_files(tmp_path)
        if way == "repair":
            damage(path)
        before, inode = path.read_bytes(), path.stat().st_ino
        WAYS[way](tmp_path)
        assert path.read_bytes().startswith(before)
        assert path.stat().st_ino == inode
        told = told_of(path, caplog)
        assert f"process {process.pid}" in told
        assert "give each a directory of its own" in told
        go_on(process)
    assert {*points(tmp_path)["x"]} == {(step, float(step)) for step in range(1000)}


@pytest.mark.parametrize("library", WRITERS)
def test_a_file_of_this_process_is_left_alone_until_its_writer_is_closed(tmp_path, caplog, library):
    """Once closed, it can be resumed at once, even right after a write."""
    writer = importlib.import_module(WRITERS[library]).SummaryWriter(str(tmp_path))
    for step in range(500):
        writer.add_scalar("x", step, step)
    writer.flush()
    (path,) = event_files(tmp_path)
    before = path.read_bytes()
    SummaryWriter(tmp_path, resume=100).close()
    assert path.read_bytes().startswith(before)
    assert "a writer has it open (this process)" in told_of(path, caplog)
    writer.close()
    SummaryWriter(tmp_path, resume=100).close()
    assert len(points(tmp_path)["x"]) == 100


def test_two_that_resume_one_run_cut_it_one_after_the_other(tmp_path):
    """The second cuts the file that the first left, not the one it had opened before."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(100):
            writer.add_scalar("x", step, step)
    (made,) = event_files(tmp_path)
    path = tmp_path / f"events.out.tfevents.0000000001.{host()}.000000000.9999999"
    made.rename(path)  # by a process that has ended
    with open(path, "rb") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: SummaryWriter(tmp_path, resume=80).close())
        second.start()
        deadline = time.monotonic() + 10
        while _handles_on(path) < 2:
            assert time.monotonic() < deadline
        shorter = tmp_path / "shorter"
        shorter.write_bytes(first_event(1.0) + b"".join(frame(number(step)) for step in range(50)))
        shorter.replace(path)
    second.join()
    assert len(points(tmp_path)["x"]) == 50


def _handles_on(path):
    """Return how many handles this process has for a file."""
    handles = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum(os.path.samefile(handle, path) for handle in handles if os.path.exists(handle))


@pytest.mark.parametrize("library", slow_but(["torch", "tblog"], WRITERS))
def test_a_run_whose_process_was_killed_is_resumed_at_once(tmp_path, caplog, library):
    """Even right after a write, and before anybody has waited for the process."""
    with living(library, tmp_path, LOGS) as process:
        assert len(points(tmp_path)["x"]) > 100
        process.kill()
        SummaryWriter(tmp_path, resume=100).close()
    assert "as it is" not in caplog.text
    assert len(points(tmp_path)["x"]) == 100


ENDS_LATE = """
import os, signal, sys, threading, time
from pathlib import Path
from tblog import SummaryWriter
from tests.faults.disk import Ext4, run

folder = Path(sys.argv[1])
place, logdir = folder / "disk", folder / "run"
place.mkdir()
Ext4(place, folder / "image")
run("fsfreeze", "-f", place)
child = os.fork()
if not child:
    writer = SummaryWriter(logdir)
    for step in range(200):
        writer.add_scalar("x", step, step)
    writer.flush()
    place.joinpath("file").write_text("waits until the disk is thawed")
while Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "D":
    time.sleep(0.01)
os.kill(child, signal.SIGKILL)
thaw = threading.Timer(1.0, run, ("fsfreeze", "-u", place))
thaw.start()
with SummaryWriter(logdir, resume=100) as writer:
    print(writer.next_step)
thaw.join()
"""


@pytest.mark.skipif(
    namespace(loop=True) is None, reason="needs to mount a file of its own: root, and mkfs.ext4"
)
def test_a_killed_process_that_takes_its_time_to_end_is_waited_for(tmp_path):
    """Its files stay open until the kernel is done with it; a GPU driver or a dead disk may take seconds."""
    command = [*namespace(loop=True), sys.executable, "-c", ENDS_LATE, str(tmp_path)]
    done = subprocess.run(
        command, env=environment_here(), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "100\n"
    assert "as it is" not in done.stderr
    assert len(points(tmp_path / "run")["x"]) == 100


def test_a_reader_keeps_nobody_from_resuming(tmp_path):
    """For example, TensorBoard's data server has every file open."""
    writer = SummaryWriter(tmp_path)
    for step in range(10):
        writer.add_scalar("x", step, step)
    writer.close()
    (path,) = event_files(tmp_path)
    with open(path, "rb"):
        SummaryWriter(tmp_path, resume=5).close()
    assert len(points(tmp_path)["x"]) == 5


def test_a_check_says_who_writes_and_counts_no_torn_end(tmp_path, capsys):
    """The writer will still complete the torn end."""
    with living("tensorboardX", tmp_path, LOGS) as process:
        (path,) = event_files(tmp_path)
        with open(path, "ab") as file:
            file.write(b"\x01")
        assert main([str(tmp_path)]) == 0
        assert f"a writer has it open (process {process.pid}, " in capsys.readouterr().out


SUB_RUNS = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
writer = SummaryWriter(sys.argv[1])
for start in (0, 10):
    for number in range(start, start + 10):
        writer.add_scalars("p/q", {str(run): number for run in range(80)}, number)
    writer.flush()
    step("logged")
"""


@pytest.mark.parametrize("flavor", ["torch", "tensorboardX"])
def test_all_files_of_a_living_writer_are_left_alone_be_they_open_or_not(tmp_path, caplog, flavor):
    """Of 80 runs, most are closed for lack of handles; once the writer has ended, all of them are cut."""
    options = f"options=__import__('tblog').WriterOptions(flavor={flavor!r})"
    program = SUB_RUNS.replace("sys.argv[1])", f"sys.argv[1], {options})")
    folders = [tmp_path / (f"p/q/{run}" if flavor == "tensorboardX" else f"p_q_{run}") for run in range(80)]
    with living("tblog", tmp_path, program) as process:
        before = {path: path.stat().st_ino for folder in folders for path in event_files(folder)}
        with SummaryWriter(tmp_path, purge_step=5, options=WriterOptions(flavor=flavor)) as second:
            second.add_scalars("p/q", {str(run): 5.0 for run in range(80)}, 5)
        assert {path: path.stat().st_ino for path in before} == before
        assert "its writer is at work" in caplog.text
        go_on(process)
    for path in before:
        assert [event.step for event in events(path)[1:]] == [*range(20)]
    with SummaryWriter(tmp_path, purge_step=5, options=WriterOptions(flavor=flavor)) as third:
        third.add_scalars("p/q", {str(run): 5.0 for run in range(80)}, 5)
    for path in before:
        assert [event.step for event in events(path)[1:]] == [*range(5)]


def test_a_writer_that_resumes_cuts_runs_below_whose_files_name_a_process_of_the_same_number(tmp_path):
    """In containers each start of a program may have the same process id: old runs are not the living writer's."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(10):
            writer.add_scalars("pair", {"a": step}, step)
    with SummaryWriter(tmp_path, resume=5) as writer:
        writer.add_scalars("pair", {"a": 5.0}, 5)
    assert [step for step, _ in points(tmp_path / "pair_a")["pair"]] == [*range(6)]


@pytest.fixture
def no_tables(monkeypatch, tmp_path_factory):
    """Hide the system's tables of open files and locks, as on a system without them."""
    monkeypatch.setattr(in_use, "_PROC", str(tmp_path_factory.mktemp("proc")))
    monkeypatch.setattr(in_use, "_seen", (0.0, {}))


@pytest.mark.usefixtures("no_tables")
def test_a_file_out_of_sight_is_left_alone_while_it_grows(tmp_path, caplog):
    """It is cut once nobody writes to it any more, without a further wait."""
    path = tmp_path / "events.out.tfevents.1.elsewhere"
    path.write_bytes(first_event(1.0) + b"".join(frame(number(step)) for step in range(10)))
    ended = threading.Event()

    def write():
        with open(path, "ab", buffering=0) as file:
            while not ended.wait(0.01):
                file.write(frame(number(11)))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        SummaryWriter(tmp_path, resume=5).close()
    finally:
        ended.set()
        thread.join()
    assert "it grows" in told_of(path, caplog)
    assert len(points(tmp_path)["x"]) > 10
    started = time.monotonic()
    SummaryWriter(tmp_path, resume=5).close()
    assert time.monotonic() - started < 10 * in_use.WATCH_SECS
    assert len(points(tmp_path)["x"]) == 5


def test_what_is_written_while_a_file_is_rewritten_is_not_lost(tmp_path, monkeypatch, caplog):
    """The file is left unchanged, even if no lock or table shows who writes to it."""
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(first_event(1.0) + b"".join(frame(number(step)) for step in range(10)))

    def sync(_fd):
        with open(path, "ab") as file:
            file.write(frame(number(10)))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", sync)
        SummaryWriter(tmp_path, resume=5).close()
    assert "it grows" in told_of(path, caplog)
    assert len(points(tmp_path)["x"]) > 10
    assert not any("tfe-" in name for name in os.listdir(tmp_path))
