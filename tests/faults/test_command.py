"""The command that runs every fault, in its shortest form."""

from __future__ import annotations

import pytest

from tests.faults.__main__ import main
from tests.faults.outcome import Outcome
from tests.faults.page import BEGIN, END
from tests.faults.processes import ABRUPT, ORDERLY
from tests.faults.table import Run
from tests.faults.trials import CLOSING, FAULTS, FORMS, WRITERS


@pytest.mark.slow
def test_one_round_of_kills_loses_nothing_that_tblog_promised_and_makes_a_table(tmp_path, capsys):
    """Every end of a process is tried once; the table is printed, saved as JSON, and put into a page."""
    page, kept = tmp_path / "page.md", tmp_path / "kept.json"
    page.write_text(f"before\n{BEGIN}\nan earlier table\n{END}\nafter\n")
    arguments = ["--rounds", "1", "--faults", "kills", "--writers", "tblog", "--json", kept, "--page", page]
    assert main(list(map(str, arguments))) == 0
    printed = capsys.readouterr().out
    run = Run.read(kept)
    assert [row[:3] for row in run.rows()] == [(name, "tblog", 1) for name in (*ABRUPT, *ORDERLY, CLOSING)]
    for fault, _, _, outcome in run.rows():
        assert outcome.flushed > 0
        assert (outcome.lost_flushed, outcome.lost_older, outcome.torn, outcome.hung) == (0, 0, 0, 0)
        assert fault in ABRUPT or outcome.lost_unflushed == 0
    told = page.read_text()
    assert printed in told
    assert f"seed {run.seed}" in told
    assert "an earlier table" not in told


def test_outcomes_add_up():
    """Records and trials are summed; the longest call and memory take the maximum."""
    one, other = Outcome(lost_unflushed=1, hung=1, longest=2.0), Outcome(lost_unflushed=2, longest=1.0)
    assert one.and_then(other) == Outcome(lost_unflushed=3, hung=1, longest=2.0)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_happens_to_every_writer_in_the_first_round(name):
    """A run of one round leaves no fault out."""
    assert all(FAULTS[name].nth(writer, 0) == 0 for writer in FAULTS[name].writers)


@pytest.mark.parametrize("writer", WRITERS)
def test_the_ends_of_a_process_come_in_every_form_to_every_writer(writer):
    """Even for a writer to which faults happen rarely."""
    nths = [FAULTS["SIGKILL"].nth(writer, number) for number in range(100)]
    happened = [nth for nth in nths if nth is not None]
    assert happened == list(range(len(happened)))
    assert len(happened) > len(FORMS)
