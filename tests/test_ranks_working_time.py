"""The clock that counts the time in which a process ran."""

from __future__ import annotations

import pytest

from tblog._ranks.working_time import LONGEST_STEP_SECS, WorkingTime


def test_a_gap_between_two_looks_counts_as_a_short_step():
    """Shorter gaps count in full."""
    now = [100.0]
    clock = WorkingTime(lambda: now[0])
    for gap, expected in ((0.2, 0.2), (0.1, 0.3), (40.0, 0.3 + LONGEST_STEP_SECS)):
        now[0] += gap
        assert clock() == pytest.approx(expected)
