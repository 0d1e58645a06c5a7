"""Two writers in one directory, or a run logged over: each is reported once, and nothing else is."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import pytest

from tblog import SummaryWriter
from tblog._files import neighbours
from tblog.records import TextRecord
from tblog.summaries._kinds import KINDS
from tests.processes import read_line, run_program, running_python, say
from tests.reading import event_files
from tests.waiting import HANG_SECS, join, wait_until


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """Look for neighbours at each write."""
    monkeypatch.setattr(neighbours, "FIRST_PAUSE_SECS", 0.0)


def log(writer, steps, tag="loss", value=1.0):
    """Log a value at each step, and wait until it is written."""
    for step in steps:
        writer.add_scalar(tag, value, step)
    writer.flush()


def told(caplog):
    """Return the logged messages."""
    return [record.getMessage() for record in caplog.records]


def log_until_told(writer, caplog, words, also=lambda _step: None):
    """Log until a message contains the words."""
    deadline, step = time.monotonic() + HANG_SECS, 0
    while not any(words in message for message in told(caplog)):
        assert time.monotonic() < deadline, told(caplog)
        also(step)
        log(writer, [step])
        step += 1


RANK = """
import itertools, logging, sys, threading
logging.basicConfig(format="%(message)s")
from tblog import SummaryWriter
from tblog._files import neighbours
neighbours.FIRST_PAUSE_SECS = 0.1
writer = SummaryWriter(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), ended.set())).start()
for step in itertools.count():
    if sys.argv[2] == "logs":
        writer.add_scalar("loss", 1.0, step)
    if step == 10:
        print("logs", flush=True)
    if ended.wait(0.01):
        break
writer.close()
"""


def ranks(logdir, tmp_path, what, *, until):
    """Run a process for each rank until this many have a message, or for three looks; return each one's messages."""
    paths = [tmp_path / f"rank{rank}" for rank, _ in enumerate(what)]
    with contextlib.ExitStack() as stack:
        processes = []
        for does, path in zip(what, paths, strict=True):
            told_by = stack.enter_context(open(path, "w"))
            processes.append(stack.enter_context(running_python(RANK, logdir, does, stderr=told_by.fileno())))
        for answer in ("open", "logs"):
            assert [read_line(process) for process in processes] == [answer] * len(what)
            if answer == "open":
                say_to(processes)
        deadline = time.monotonic() + (HANG_SECS if until else 1.0)
        while time.monotonic() < deadline and sum(path.stat().st_size > 0 for path in paths) < (until or 1):
            time.sleep(0.05)
        say_to(processes)
        assert [process.wait(HANG_SECS) for process in processes] == [0] * len(what)
        return [path.read_text() for path in paths]


def say_to(processes):
    """Let all of them continue."""
    for process in processes:
        say(process)


def test_of_four_ranks_in_one_directory_each_but_the_first_says_so_once(tmp_path):
    """The message names the other writer's file, and the ways out."""
    logdir = tmp_path / "run"
    messages = [told for told in ranks(logdir, tmp_path, ["logs"] * 4, until=3) if told]
    assert len(messages) == 3
    for message in messages:
        assert message.count("another writer logs into") == message.count("\n") == 1
        assert "a directory of its own; or log from one of them, with add_scalars" in message
        assert str(logdir) in message


def test_ranks_that_have_a_writer_and_log_nothing_cause_no_warning(tmp_path):
    """For example when only the first rank logs."""
    what = ["does not", "does not", "logs", "does not"]
    assert ranks(tmp_path / "run", tmp_path, what, until=0) == [""] * 4


@pytest.mark.parametrize("library", ["torch.utils.tensorboard", "tensorboardX", "tblog"])
def test_two_writers_of_one_process_are_reported(tmp_path, caplog, library):
    """Whatever library the other writer is from, and whichever of the two came first."""
    import importlib

    module = importlib.import_module(library)
    with SummaryWriter(tmp_path) as writer:
        other = module.SummaryWriter(str(tmp_path))

        def log_other(step):
            other.add_scalar("loss", 2.0, step)
            other.flush()

        log_until_told(writer, caplog, "another writer logs into", log_other)
        other.close()
    assert len(told(caplog)) == 1


def test_the_warning_of_a_restarted_program_says_where_the_earlier_run_ends(tmp_path, caplog):
    """The message has the tag, both steps, and three ways to continue; a new directory gets none."""
    first_program(tmp_path, 100)
    with SummaryWriter(tmp_path) as writer:
        log(writer, range(5))
    (message,) = told(caplog)
    assert "whose 'loss' ends at step 99; now it begins at step 0" in message
    assert "resume=True goes on with the run" in message
    assert "purge_step=0 cuts its end off" in message


def first_program(logdir, steps, *tags):
    """Log a run in another process, which then ends."""
    code = f"""
        from tblog import SummaryWriter
        with SummaryWriter({str(logdir)!r}) as writer:
            for step in range({steps}):
                for tag in {[*(tags or ("loss",))]!r}:
                    writer.add_scalar(tag, 1.0, step)
    """
    run_program(code)


@pytest.mark.parametrize(
    ("options", "steps", "tag"),
    [
        ({}, range(100, 105), "loss"),
        ({}, range(5), "another tag"),
        ({"resume": True}, range(100, 105), "loss"),
        ({"resume": 50}, range(50, 55), "loss"),
        ({"purge_step": 0}, range(5), "loss"),
    ],
    ids=["goes on by itself", "other tags", "resume=True", "resume=50", "purge_step"],
)
def test_a_run_that_continues_as_it_should_causes_no_warning(tmp_path, caplog, options, steps, tag):
    """Whether the program says how to resume or the writer knows by itself."""
    first_program(tmp_path, 100)
    with SummaryWriter(tmp_path, **options) as writer:
        for step in steps:
            log(writer, [step], tag)
    assert [message for message in told(caplog) if "goes on from step" not in message] == []


def test_a_long_run_is_looked_at_without_being_read(tmp_path, monkeypatch):
    """Reading its end is enough, however long it is."""
    first_program(tmp_path, 30_000)
    (old,) = event_files(tmp_path)
    read = []

    class Counted:
        def __init__(self, path, mode):
            self.file = open(path, mode)  # noqa: SIM115 - closed below

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def read(self, size=-1):
            data = self.file.read(size)
            read.append(len(data))
            return data

        def __getattr__(self, name):
            return getattr(self.file, name)

    monkeypatch.setattr(neighbours, "open", Counted, raising=False)
    with SummaryWriter(tmp_path) as writer:
        log(writer, range(30_000, 30_005))
    assert 0 < sum(read) < 100_000 < old.stat().st_size


def test_a_writer_that_is_closed_and_goes_on_or_has_further_files_causes_no_warning(tmp_path, caplog):
    """All its files are its own; so are those of a writer that it replaces."""
    writer = SummaryWriter(tmp_path)
    for number in range(3):
        log(writer, [number])
        writer.close()
    log(writer, [3])
    path = writer.file_writer.event_writer._file_name
    writer.close()
    assert len(event_files(tmp_path)) == 4
    writer = SummaryWriter(tmp_path)
    log(writer, [0])
    writer = SummaryWriter(tmp_path)
    for step in range(20):
        log(writer, [step])
    writer.close()
    assert told(caplog) == []
    assert os.path.exists(path)


def test_a_writer_that_goes_on_while_its_close_encodes_causes_no_warning(tmp_path, caplog, monkeypatch):
    """The closing file is its own, however long an encoder keeps it open."""
    gate = threading.Event()
    known = KINDS[TextRecord]

    def wait_and_encode(record, context):
        assert gate.wait(HANG_SECS)
        return known.encode(record, context)

    monkeypatch.setitem(KINDS, TextRecord, known._replace(encode=wait_and_encode))
    writer = SummaryWriter(tmp_path)
    log(writer, [0])
    writer.add_text("slow", "word")
    closing = threading.Thread(target=writer.close)
    first = writer.file_writer.channel()
    closing.start()
    wait_until(lambda: first.is_closing)
    for step in range(1, 20):
        writer.add_scalar("again", 1.0, step)  # a flush would wait for the close
        wait_until(lambda step=step: writer.file_writer.stats.written == step)
    assert not first.closed
    gate.set()
    join([closing])
    writer.close()
    assert told(caplog) == []


@pytest.mark.parametrize("closes_first", [False, True])
def test_a_forked_child_that_goes_on_with_its_parents_writer_causes_no_warning(
    tmp_path, caplog, closes_first
):
    """The parent gets no message either: the child has its own tags, or its points belong there.

    The worker of a data loader may close the writer after each epoch.
    """
    with SummaryWriter(tmp_path) as writer:
        log(writer, range(5))
        child = os.fork()
        if not child:
            if closes_first:
                writer.close()
            for step in range(20):
                log(writer, [step])
            writer.close()
            os._exit(len(caplog.records))
        for step in range(5, 25):
            log(writer, [step])
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert told(caplog) == []
    assert len(event_files(tmp_path)) == 2


def test_runs_below_cause_no_warning(tmp_path, caplog):
    """Hyperparameters and `add_scalars`, by this writer or by another in a directory below."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(5):
            writer.add_scalars("pair", {"a": 1.0, "b": 2.0}, step)
            writer.add_hparams({"lr": step}, {"loss": 1.0}, run_name=f"trial{step}")
            with SummaryWriter(tmp_path / f"other{step}") as below:
                below.add_hparams({"lr": step}, {"loss": 1.0})
            log(writer, [step])
    assert told(caplog) == []
