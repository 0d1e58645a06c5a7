"""Faults in the table that have no test of their own: one trial of each, with tblog."""

from __future__ import annotations

import pytest

from tests.faults import stores
from tests.faults.disks import happen
from tests.faults.neighbours import LIVING
from tests.faults.remains import on_disk
from tests.faults.trials import trial
from tests.reading import run_events
from tests.slow import slow_but


def test_a_kill_while_a_video_is_encoded_costs_the_numbers_of_the_last_second_alone(tmp_path):
    """The video is lost, but the numbers after it are not."""
    outcome = trial("slow encoder, SIGKILL", "tblog", tmp_path, seed=0, nth=0)
    assert outcome.unflushed > 20_000
    tags = {value.tag for event in run_events(tmp_path / "run") for value in event.summary.value}
    assert tags == {"x"}, "the encoder was not slow"
    assert (outcome.lost_older, outcome.torn, outcome.hung) == (0, 0, 0)


def test_a_close_waits_for_the_video_that_is_encoded_and_loses_nothing_behind_it(tmp_path):
    """The video and the numbers are in the file; the long command's encoder takes more than a minute."""
    seen = happen("slow encoder, close", "tblog", tmp_path, secs=2.0)
    assert (seen["raised"], seen["hung"], seen["told"]) == (0, False, [])
    assert on_disk(tmp_path / "run").points == seen["calls"]
    events = run_events(tmp_path / "run")
    assert [event.step for event in events for value in event.summary.value if value.tag == "video"] == [0, 1]


def test_a_fork_waits_for_no_encoder(tmp_path):
    """The fork takes less than a fifth of the encoder's time, and parent and child lose nothing."""
    outcome = trial("slow encoder, fork", "tblog", tmp_path, seed=0, nth=0)
    assert outcome.fork < 1.0
    assert (outcome.lost_flushed, outcome.lost_unflushed, outcome.torn, outcome.hung) == (0, 0, 0, 0)


def test_more_runs_than_handles_are_written_in_turn(tmp_path):
    """Sixty runs with few free handles: nothing is lost, dropped or raised."""
    outcome = trial("few handles", "tblog", tmp_path, seed=0, nth=0)
    assert outcome.flushed + outcome.unflushed == 100 + 20 * 60 + 20 * 50
    assert (outcome.lost_flushed, outcome.lost_unflushed, outcome.counted, outcome.raised) == (0, 0, 0, 0)
    assert (outcome.torn, outcome.hung) == (0, 0)


@pytest.mark.parametrize("nth", slow_but([LIVING.index("torch")], range(len(LIVING))), ids=LIVING)
@pytest.mark.parametrize("what", slow_but(["resume"], ["resume", "repair", "purge"]))
def test_the_file_of_a_living_writer_is_left_alone(tmp_path, what, nth):
    """Whatever a tblog writer or repair does with the run, the other writer's numbers stay, present and future."""
    outcome = trial(f"{what} beside a living writer", "tblog", tmp_path, seed=0, nth=nth)
    assert outcome.flushed == 2_000
    assert (outcome.lost_flushed, outcome.lost_unflushed, outcome.torn, outcome.hung) == (0, 0, 0, 0)


def test_two_programs_add_to_one_projector_configuration(tmp_path):
    """It names every embedding of both programs."""
    outcome = trial("embeddings of two programs", "tblog", tmp_path, seed=0, nth=0)
    assert (outcome.flushed, outcome.lost_flushed, outcome.hung) == (80, 0, 0)


@pytest.mark.skipif(not stores.can_happen(), reason="needs boto3 and moto's server")
@pytest.mark.parametrize(
    ("name", "nth"),
    [
        ("store out of reach", 0),
        ("store without the bucket", 0),
        ("store without access", 0),
        ("store without access", 1),
    ],
)
def test_a_store_that_takes_nothing_is_refused_and_not_taken_for_one_that_did(tmp_path, name, nth):
    """The training gets an error, and no flush claims that the numbers are stored."""
    outcome = trial(name, "tblog", tmp_path, seed=0, nth=nth)
    assert outcome.raised
    assert (outcome.lost_flushed, outcome.hung) == (0, 0)
