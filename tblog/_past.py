"""The counters of the files that a writer has closed, in this process alone: a forked child begins with none.

Runs on callers' threads, in signal handlers and finalisers.
"""

from __future__ import annotations

import os

from tblog.stats import Stats


class Past:
    """Adds up counters."""

    def __init__(self) -> None:
        self._sums = {os.getpid(): Stats()}

    @property
    def stats(self) -> Stats:
        """Return the sum."""
        return self._sums.get(os.getpid(), Stats())

    def add(self, stats: Stats) -> None:
        """Add the counters of a file."""
        while True:
            before = self._sums
            sums = {os.getpid(): self.stats + stats}
            if self._sums is before:  # nothing can come between this line's look and the next one
                self._sums = sums
                return
