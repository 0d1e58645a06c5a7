"""Network file systems that are slow, stale or late, simulated by a preloaded library; see network.c."""

from __future__ import annotations

import errno

import pytest

from tblog import SummaryWriter
from tests.faults import shim
from tests.faults.disks import happen
from tests.faults.killing import log_steps
from tests.faults.remains import on_disk
from tests.processes import read_line, run_program, running_python, say
from tests.reading import event_files, points

pytestmark = pytest.mark.skipif(shim.library() is None, reason="needs a C compiler, and Linux")

ANSWERS_ESTALE = [f"{what} {errno.ESTALE} 1 0" for what in ("open", "stat", "create", "rename", "fsync")]


@pytest.fixture
def network(tmp_path):
    """Return a function that sets the faults of a network directory, and returns a program's environment variables."""

    def with_faults(*faults: str) -> dict[str, str]:
        shim.set_faults(tmp_path / "rules", *faults)
        return shim.on_network(tmp_path / "run", tmp_path / "rules")

    return with_faults


@pytest.mark.parametrize(
    ("fault", "secs", "told"),
    [
        ("slow fsync", 1.5, ""),
        ("stale handles", 1.5, ""),
        ("full at fsync", 1.5, "No space left"),
        ("late names", 1.5, ""),
    ],
)
@pytest.mark.slow
def test_a_network_file_system_holds_up_the_worker_alone_and_costs_nothing(tmp_path, fault, secs, told):
    """No call waits or raises, and afterwards one file has everything, each number once and in order."""
    seen = happen(fault, "tblog", tmp_path, secs=secs)
    assert (seen["raised"], seen["hung"]) == (0, False)
    assert seen["longest"] < secs / 2
    found = on_disk(tmp_path / "run")
    assert found.counts == seen["expected"]
    assert (found.torn, found.damaged, len(event_files(tmp_path / "run"))) == (0, 0, 1)
    assert [message for message in seen["told"] if "writes to" not in message and told not in message] == []
    assert bool(seen["told"]) == bool(told)
    logged = sum(count for tags in seen["expected"].values() for count in tags.values())
    assert (seen["stats"]["written"], seen["stats"]["dropped"], seen["stats"]["failed"]) == (logged, 0, 0)


def test_what_a_server_refuses_for_good_is_counted_as_dropped(tmp_path, network):
    """Written and dropped add up to what was logged, and all written records are in the file."""
    code = """
        import sys
        from tblog import SummaryWriter
        from tests.faults.shim import set_faults
        from pathlib import Path
        writer = SummaryWriter(sys.argv[1], flush_secs=0.2)
        for step in range(1000):
            writer.add_scalar("x", step, step)
        writer.flush()
        set_faults(Path(sys.argv[2]), "cache 28 -1 0")
        for step in range(1000, 2000):
            writer.add_scalar("x", step, step)
        writer.close()
        print(writer.stats.written, writer.stats.dropped)
    """
    told = run_program(code, None, tmp_path / "run", tmp_path / "rules", environment=network())
    written, dropped = map(int, told.split())
    assert written + dropped == 2000
    assert len(points(tmp_path / "run").get("x", ())) == written < 2000


def test_a_writer_is_made_where_the_server_forgot_the_directory(tmp_path, network):
    """The first answer to each call is ESTALE, and the second succeeds."""
    code = """
        import sys
        from tblog import SummaryWriter
        with SummaryWriter(sys.argv[1]) as writer:
            writer.add_scalar("x", 1.0, 1)
    """
    run_program(code, None, tmp_path / "run", environment=network(*ANSWERS_ESTALE))
    assert points(tmp_path / "run") == {"x": [(1, 1.0)]}


@pytest.mark.parametrize(
    "faults", [ANSWERS_ESTALE, ["late 0 -1 60000"], ["late 0 -1 200"]], ids=["stale", "late", "soon"]
)
@pytest.mark.slow
def test_a_run_is_resumed_in_spite_of_the_network(tmp_path, network, faults):
    """Its curve continues from the step, and the command restores what was cut off."""
    log_steps(tmp_path / "run", range(10))
    code = """
        import sys
        from pathlib import Path
        from tests.faults.killing import log_steps
        log_steps(Path(sys.argv[1]), range(5, 8), 2.0, resume=5)
    """
    run_program(code, None, tmp_path / "run", environment=network(*faults))
    assert points(tmp_path / "run")["loss"] == [(step, 1.0 if step < 5 else 2.0) for step in range(8)]
    check = "import sys; from tblog.check import main; sys.exit(main([sys.argv[1], '--restore']))"
    late = [
        fault for fault in faults if fault.startswith("late")
    ]  # a user can repeat a command that meets ESTALE
    run_program(check, None, tmp_path / "run", environment=network(*late))
    assert points(tmp_path / "run")["loss"] == [(step, 1.0) for step in range(10)]


@pytest.mark.slow
def test_a_resume_on_another_machine_sees_the_lock_of_a_living_writer(tmp_path, network):
    """NFS locks reach all machines, and need a handle for writing; the file does not grow, and remains."""
    writes = """
        import sys
        from tblog import SummaryWriter
        with SummaryWriter(sys.argv[1]) as writer:
            for step in range(10):
                writer.add_scalar("x", step, step)
            writer.flush()
            print("written", flush=True)
            sys.stdin.readline()
    """
    resumes = """
        import sys
        from tblog import SummaryWriter
        from tblog._files import in_use
        in_use._PROC = "/nonexistent"
        SummaryWriter(sys.argv[1], resume=5).close()
    """
    with running_python(writes, tmp_path / "run", prints="written", environment=network()) as writer:
        run_program(resumes, None, tmp_path / "run", environment=network())
        say(writer)
        assert read_line(writer) == ""
    assert points(tmp_path / "run")["x"] == [(step, float(step)) for step in range(10)]


def test_a_run_whose_writer_ended_is_resumed_where_locks_want_a_handle_for_writing(tmp_path, network):
    """The handle that takes the lock does not count as another writer's."""
    with SummaryWriter(tmp_path / "run") as writer:
        for step in range(10):
            writer.add_scalar("x", step, step)
    code = "import sys; from tblog import SummaryWriter; SummaryWriter(sys.argv[1], resume=5).close()"
    run_program(code, None, tmp_path / "run", environment=network())
    assert points(tmp_path / "run")["x"] == [(step, float(step)) for step in range(5)]
