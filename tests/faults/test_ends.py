"""How processes that logged tensors end: with their own exit status, and with every record on disk."""

from __future__ import annotations

import pytest

from tests.faults.ending import ENDINGS
from tests.faults.ends import STATUS, end_program, main
from tests.slow import slow_but


@pytest.mark.parametrize("ending", slow_but(["no close"], ENDINGS))
def test_a_process_that_logged_tensors_ends_with_its_own_status_and_loses_nothing(ending):
    """No thread of tblog releases a tensor while the interpreter exits: torch would abort the process."""
    end = end_program("bfloat16 histogram", ending)
    assert (end.status, end.lost, end.told) == (STATUS.get(ending, 0), 0, "")


@pytest.mark.slow
def test_the_command_says_how_many_ended_wrongly(capsys):
    """Two runs that both end well."""
    arguments = ["--rounds", "2", "--kinds", "embedding", "--endings", "close"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "2 programs, 0 ended wrongly\n"
