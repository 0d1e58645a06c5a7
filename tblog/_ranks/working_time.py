"""A clock for deadlines that counts only the time in which this process could receive what it waits for.

Lives here: that clock. A process that was stopped, or whose disk hung, received nothing meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_STEP_SECS = 0.5
"""Longer than the worker's longest pause. Of a longer gap between two readings, only this much counts."""


class WorkingTime:
    """Monotonic seconds, in which each gap between two readings counts as `LONGEST_STEP_SECS` at most.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen = clock()
        self._passed = 0.0

    def __call__(self) -> float:
        """Return the time now. Call it in each round."""
        now = self._clock()
        self._passed += min(now - self._seen, LONGEST_STEP_SECS)
        self._seen = now
        return self._passed
