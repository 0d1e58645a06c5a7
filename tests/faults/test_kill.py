"""A process that logs at full speed is ended in every way at a random moment."""

from __future__ import annotations

import random

import pytest

from tests.faults.processes import ABRUPT, ORDERLY, end_program
from tests.faults.remains import on_disk
from tests.reading import event_files
from tests.slow import slow_but


@pytest.mark.parametrize("ending", slow_but(["SIGKILL"], ABRUPT))
def test_after_a_flush_no_end_of_the_process_loses_what_was_logged_before_it(tmp_path, ending):
    """Everything before a flush that returned is on disk, and readers reach the end of the file."""
    logdir = tmp_path / "run"
    ended = end_program("tblog", logdir, ending, random.uniform(0.02, 0.2), "flush")
    assert not ended.hung
    found = on_disk(logdir)
    assert found.points >= ended.flushed > 0
    assert found.torn <= len(event_files(logdir)) == 1
    assert not found.damaged


@pytest.mark.parametrize("ending", slow_but(["SIGKILL"], ABRUPT))
@pytest.mark.slow
def test_without_a_flush_an_abrupt_end_tears_no_more_than_the_last_record(tmp_path, ending):
    """The file is valid to its end; the long command measures how much is lost at most."""
    logdir = tmp_path / "run"
    ended = end_program("tblog", logdir, ending, random.uniform(0.02, 0.2))
    assert not ended.hung
    found = on_disk(logdir)
    assert found.points <= ended.logged + 1  # killed between the call and its count
    assert found.torn <= 1
    assert not found.damaged


@pytest.mark.parametrize("ending", slow_but(["SIGINT", "end of the program"], ORDERLY))
def test_an_exception_an_exit_an_interrupt_and_the_end_of_the_program_lose_nothing(tmp_path, ending):
    """Everything logged is on disk without a flush or close."""
    logdir = tmp_path / "run"
    ended = end_program("tblog", logdir, ending, random.uniform(0.02, 0.1))
    assert not ended.hung
    found = on_disk(logdir)
    assert found.points >= ended.logged > 0
    assert (found.torn, found.damaged) == (0, 0)
