"""The clock of a deadline that counts the time in which this process could have heard of what it waits for.

Lives here: that clock. A process that was stopped, or whose disk took nothing, has heard of nobody meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_STEP_SECS = 0.5
"""Beyond the worker's longest pause. What two looks at the clock lie further apart does not count."""


class WorkingTime:
    """Monotonic seconds, of which a gap counts as `LONGEST_STEP_SECS` at most.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen = clock()
        self._passed = 0.0

    def __call__(self) -> float:
        """Return the time now; to be asked in each round."""
        now = self._clock()
        self._passed += min(now - self._seen, LONGEST_STEP_SECS)
        self._seen = now
        return self._passed
