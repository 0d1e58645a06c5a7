"""Joining the numbers of several ranks to points: which belong together, and when a point is closed without some."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tblog._ranks import joining
from tblog._ranks.batches import Batch, pack, receive, unpack
from tblog._ranks.joining import Joiner
from tblog._reports import Reports


class Joined:
    """A joiner for this many ranks, with a clock that stands still."""

    def __init__(self, world_size=3, reductions=("sum",)):
        self.now = 0.0
        self.reports = Reports("run")
        self.joiner = Joiner(world_size, reductions, 10.0, self.reports, lambda: self.now)

    def add(self, rank, *points, tag="x"):
        self.joiner.add(rank, [("", tag, float(value), step, 100.0 + rank) for step, value in points])

    def points(self, run="", tag="x"):
        """Return the points of a tag that were closed since the last call."""
        return [(step, value) for name, value, step, _ in self.joiner.closed().get(run, ()) if name == tag]


def test_a_point_is_closed_with_the_last_rank_and_has_the_time_of_rank_0():
    """No point is written before, or twice."""
    joined = Joined()
    joined.add(1, (5, 10))
    joined.add(0, (5, 1))
    assert joined.points() == []
    joined.add(2, (5, 100))
    assert joined.joiner.closed() == {"": [("x", 111.0, 5, 100.0)]}
    assert joined.joiner.closed() == {}
    assert joined.reports.incomplete == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 4.0, 4.0), {"mean": 3.0, "sum": 9.0, "min": 1.0, "max": 4.0, "min_rank": 0, "max_rank": 1}),
        (
            (math.inf, -math.inf, 0.0),
            {
                "mean": math.nan,
                "sum": math.nan,
                "min": -math.inf,
                "max": math.inf,
                "min_rank": 1,
                "max_rank": 0,
            },
        ),
        ((0.0, math.nan, math.nan), dict.fromkeys(("mean", "sum", "min", "max"), math.nan) | {"max_rank": 1}),
        ((math.inf,) * 3, {"min": math.inf, "min_rank": 0, "mean": math.inf}),
    ],
)
def test_reductions_go_to_a_run_each_with_the_rank_of_the_extreme(values, expected):
    """The lowest rank wins a tie, and NaN beats every number, in any order of arrival."""
    for order in ((0, 1, 2), (2, 1, 0)):
        joined = Joined(reductions=("mean", "sum", "min", "max"))
        for rank in order:
            joined.add(rank, (0, values[rank]))
        closed = joined.joiner.closed()
        found = {run: value for run, points in closed.items() for tag, value, *_ in points if tag == "x"}
        ranks = {
            tag.partition("/")[0]: value
            for points in closed.values()
            for tag, value, *_ in points
            if "/" in tag
        }
        assert set(ranks) == {"min_rank", "max_rank"}
        for name, value in expected.items():
            assert (found | ranks)[name] == pytest.approx(value, nan_ok=True)


def test_ranks_that_log_a_step_several_times_are_joined_call_by_call():
    """Without steps, all calls are at step 0."""
    joined = Joined(2)
    joined.add(0, (0, 1), (0, 2), (0, 3))
    joined.add(1, (0, 10))
    joined.add(1, (0, 20), (0, 30))
    assert joined.points() == [(0, 11.0), (0, 22.0), (0, 33.0)]


def test_a_rank_that_leaves_a_step_out_is_known_to_have_passed_it():
    """Its next number shows it, so nothing waits for the deadline, and the steps stay in order."""
    joined = Joined(2)
    joined.add(0, (1, 1), (2, 2), (3, 3))
    joined.add(1, (3, 30))
    assert joined.points() == [(1, 1.0), (2, 2.0), (3, 33.0)]
    assert joined.reports.incomplete == 2


def test_steps_may_begin_anew():
    """A rank that lags behind has not skipped the new points."""
    joined = Joined(2)
    joined.add(0, (8, 1), (9, 1), (0, 1))
    joined.add(1, (8, 2), (9, 2))
    assert joined.points() == [(8, 3.0), (9, 3.0)]
    joined.add(1, (0, 2))
    assert joined.points() == [(0, 3.0)]


def test_what_is_missing_at_the_deadline_is_left_out_counted_and_reported_once(caplog):
    """A rank that was missed once no longer delays this tag, and the steps stay in order."""
    joined = Joined()
    for step in range(3):
        joined.add(0, (step, 1))
        joined.add(1, (step, 2))
        joined.now += 1.0
    assert joined.points() == []
    joined.now = 10.0
    assert joined.points() == [(0, 3.0), (1, 3.0), (2, 3.0)]
    joined.add(1, (3, 2))
    joined.add(0, (3, 1))
    assert joined.points() == [(3, 3.0)]
    assert joined.reports.incomplete == 4
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "tblog: 'x' at step 0 was written to run without rank 2"
    ]


def test_nothing_is_missing_while_numbers_that_came_wait_to_be_joined():
    """The deadline may pass while the disk hangs; the missing numbers may be among the waiting ones."""
    joined = Joined(2)
    joined.add(0, (0, 1))
    joined.now = 11.0
    assert joined.joiner.closed(has_all=False) == {}
    joined.add(1, (0, 2))
    assert joined.points() == [(0, 3.0)]
    assert joined.reports.incomplete == 0


def test_a_rank_that_comes_back_is_waited_for_again_and_its_late_numbers_are_counted(caplog):
    """They do not change a written point or make a second one at its step."""
    joined = Joined(2)
    joined.add(0, (0, 1), (1, 1))
    joined.now = 10.0
    assert len(joined.points()) == 2
    joined.add(1, (0, 2), (1, 2))
    joined.add(0, (2, 1))
    assert joined.points() == []
    joined.add(1, (2, 2))
    assert joined.points() == [(2, 3.0)]
    assert joined.reports.lost_between_ranks == 2
    assert "'x' at step 0 of rank 1 came too late for run" in caplog.text


def test_a_tag_that_one_rank_alone_logs_delays_no_other():
    """It waits for the deadline once, and never again."""
    joined = Joined()
    joined.add(2, (0, 5), tag="alone")
    for rank in range(3):
        joined.add(rank, (0, 1))
    assert joined.points() == [(0, 3.0)]
    joined.now = 10.0
    assert joined.points(tag="alone") == [(0, 5.0)]
    joined.add(2, (1, 6), tag="alone")
    assert joined.points(tag="alone") == [(1, 6.0)]


def test_the_end_closes_everything_with_what_has_come():
    """Rank 0 loses nothing if others end first."""
    joined = Joined()
    joined.add(0, (0, 1))
    joined.joiner.close_all()
    assert joined.points() == [(0, 1.0)]


def test_open_points_are_bounded(monkeypatch):
    """The oldest points are closed before their deadline, and closed points take no memory."""
    monkeypatch.setattr(joining, "MAX_OPEN_POINTS", 100)
    monkeypatch.setattr(joining, "MAX_SERIES", 100)
    joined = Joined(2)
    for number in range(1_000):
        joined.add(0, (0, 1), tag=str(number))
    assert sum(map(len, joined.joiner.closed().values())) == 900
    assert len(joined.joiner._open) == 100
    assert len(joined.joiner._series) <= 1_000
    for number in range(1_000):
        joined.add(1, (0, 1), tag=str(number))
        joined.joiner.closed()
    assert len(joined.joiner._open) <= 100


NUMBERS = st.tuples(
    st.text(max_size=5), st.text(max_size=5), st.floats(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats()
)


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=20), st.integers(0, 100_000), st.booleans())
def test_a_batch_comes_as_it_was_sent(numbers, rank, is_last):
    """Any names, NaN and infinity, and all steps of 64 bits."""
    came = unpack(receive(pack(Batch(rank, numbers, is_last))))
    assert (came.rank, came.is_last) == (rank, is_last)
    assert repr(list(came.numbers)) == repr(numbers)
