"""`GlobalSummaryWriter`: one series from many processes, in one file."""

from __future__ import annotations

import pytest

from tblog import GlobalSummaryWriter
from tests.processes import run_program
from tests.reading import accumulator, event_files, points, rust_points

PROGRAM = """
import multiprocessing, os, sys
from tblog import GlobalSummaryWriter

def work(writer, count):
    for value in range(count):
        writer.add_scalar("loss", value)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    writer = GlobalSummaryWriter("run")
    processes = [multiprocessing.Process(target=work, args=(writer, 40)) for _ in range(2)]
    for process in processes:
        process.start()
    work(writer, 20)
    for process in processes:
        process.join()
        assert process.exitcode == 0
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_share_one_series_and_one_file(tmp_path, method):
    """With every start method, each call has its own step and no call is lost in a loader."""
    (tmp_path / "program.py").write_text(PROGRAM)
    command = f"[sys.executable, 'program.py', '{method}']"
    run_program(f"import subprocess, sys; subprocess.run({command}, check=True)", tmp_path, timeout=60)
    assert len(event_files(tmp_path / "run")) == 1
    series = points(tmp_path / "run")
    assert [step for step, _ in series["loss"]] == list(range(100))
    assert rust_points(tmp_path / "run", {".": series}) == {".": series}


UNGUARDED = """
import multiprocessing, sys
from tblog import GlobalSummaryWriter
multiprocessing.set_start_method(sys.argv[1])
writer = GlobalSummaryWriter("run")
writer.add_scalar("loss", 0.5)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_program_needs_no_guard_of_its_main_part(tmp_path, method):
    """With every start method, also those that later Pythons use by default, the program does not run twice."""
    (tmp_path / "program.py").write_text(UNGUARDED)
    command = f"[sys.executable, 'program.py', '{method}']"
    run_program(f"import subprocess, sys; subprocess.run({command}, check=True)", tmp_path, timeout=60)
    assert points(tmp_path / "run") == {"loss": [(0, 0.5)]}


def test_processes_that_log_on_when_the_main_program_has_ended_lose_nothing(tmp_path):
    """The exit of Python waits for them, and the writer's process outlives them."""
    run_program(
        """
        import multiprocessing, time
        from tblog import GlobalSummaryWriter

        def work(writer):
            multiprocessing.parent_process().join(0.5)
            for value in range(40):
                writer.add_scalar("loss", value)

        writer = GlobalSummaryWriter("run")
        multiprocessing.get_context("fork").Process(target=work, args=(writer,)).start()
        """,
        tmp_path,
    )
    assert points(tmp_path / "run") == {"loss": [(step, float(step)) for step in range(40)]}


def test_a_directory_that_cannot_be_made_is_an_error_of_the_constructor(tmp_path):
    """As for `SummaryWriter`, although another process has the file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        GlobalSummaryWriter(tmp_path / "file")


def test_each_kind_counts_the_steps_of_each_tag(tmp_path):
    """Scalars, images and texts with the same name count their steps separately."""
    run_program(
        """
        import numpy as np
        from tblog import GlobalSummaryWriter
        writer = GlobalSummaryWriter(log_dir="run", coalesce_process=True)
        for _ in range(2):
            writer.add_scalar("x", np.float32(0.5), walltime=12.5)
            writer.add_image("x", np.zeros((4, 4, 3), np.uint8), dataformats="HWC")
            writer.add_text("x", "text")
        assert writer.file_writer.get_logdir() == writer.logdir == "run"
        writer.close()
        """,
        tmp_path,
    )
    run = accumulator(tmp_path / "run")
    assert [(event.step, event.wall_time) for event in run.Scalars("x")] == [(0, 12.5), (1, 12.5)]
    assert [event.step for event in run.Images("x")] == [0, 1]
    assert [event.step for event in run.Tensors("x/text_summary")] == [0, 1]


def test_what_is_sent_to_the_writers_process_is_plain(tmp_path):
    """A time of 0 is kept, a str subclass becomes plain, and what the other process cannot load becomes text."""
    run_program(
        """
        import enum
        from tblog import GlobalSummaryWriter

        class Metric(str, enum.Enum):
            LOSS = "loss"

        class Note:
            def __str__(self):
                return "a note"

        writer = GlobalSummaryWriter("run")
        writer.add_scalar(Metric.LOSS, 0.5, walltime=0.0)
        writer.add_text(Metric.LOSS, Note(), walltime=0)
        for call in (lambda: writer.add_scalar(3, 0.5), lambda: writer.add_text("x", "y", walltime="now")):
            try:
                call()
            except TypeError:
                continue
            raise AssertionError
        writer.close()
        """,
        tmp_path,
    )
    run = accumulator(tmp_path / "run")
    assert [(event.step, event.wall_time, event.value) for event in run.Scalars("loss")] == [(0, 0.0, 0.5)]
    (text,) = run.Tensors("loss/text_summary")
    assert (text.wall_time, text.tensor_proto.string_val[0]) == (0.0, b"a note")


def test_a_child_of_a_bare_fork_can_log(tmp_path):
    """A child of `os.fork` has its own connection, and leaves its parent's alone."""
    run_program(
        """
        import os
        from tblog import GlobalSummaryWriter
        writer = GlobalSummaryWriter("run")
        writer.add_scalar("x", 0)
        child = os.fork()
        for value in range(1000):
            writer.add_scalar("x", value)
        if not child:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
        tmp_path,
        timeout=60,
    )
    assert [step for step, _ in points(tmp_path / "run")["x"]] == list(range(2001))


def test_a_wrong_call_is_an_error_in_the_caller_and_takes_no_step(tmp_path):
    """It raises in the calling process, as with SummaryWriter."""
    run_program(
        """
        import numpy as np
        from tblog import GlobalSummaryWriter
        writer = GlobalSummaryWriter("run")
        wrong = [
            (NotImplementedError, lambda: writer.add_scalar("x", "text")),
            (AssertionError, lambda: writer.add_scalar("x", np.zeros(3))),
            (TypeError, lambda: writer.add_scalar(3, 0.5)),
            (ValueError, lambda: writer.add_image("x", np.zeros(3))),
        ]
        for kind, call in wrong:
            try:
                call()
            except kind:
                continue
            raise SystemExit(f"no {kind}")
        writer.add_scalar("x", 0.5)
        """,
        tmp_path,
    )
    assert points(tmp_path / "run") == {"x": [(0, 0.5)]}


def test_all_modules_of_a_process_get_one_writer(tmp_path):
    """`getSummaryWriter` makes a writer at its first call and returns the same one afterwards."""
    run_program(
        """
        from tblog import GlobalSummaryWriter
        first, second = GlobalSummaryWriter.getSummaryWriter(), GlobalSummaryWriter.getSummaryWriter()
        assert first is second and first.logdir.startswith("runs/")
        """,
        tmp_path,
    )
