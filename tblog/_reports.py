"""What went wrong later: told once for each cause, counted always, raised only where options say so.

Runs on the worker thread; the counters are read from any.
"""

from __future__ import annotations

import logging
from collections import Counter

from tblog.errors import WriteError

logger = logging.getLogger("tblog")


class Reports:
    """The failures of one channel."""

    def __init__(self, logdir: str) -> None:
        self._logdir = logdir
        self._told: set[object] = set()
        self.failed = 0
        self.values_dropped: Counter[str] = Counter()
        self.first_error: BaseException | None = None

    def failure(self, error: BaseException, *, tag: str, step: int, kind: str, records: int = 1) -> None:
        """Count records that could not be encoded, and warn when the cause is new."""
        self.failed += records
        self.first_error = self.first_error or error
        self.once(
            (type(error), kind),
            f"tblog could not encode the {kind} {tag!r} at step {step}: {type(error).__name__}: {error}. "
            f"It was left out of {self._logdir}; further failures of this kind are counted in stats.failed",
        )

    def values_left_out(self, tag: str, what: str, count: int) -> None:
        """Count values that a summary left out (NaN in a histogram), and warn once for each tag."""
        self.values_dropped[tag] += count
        self.once((tag, what), f"tblog: {tag!r}: {what} ({count}); told once for each tag")

    def once(self, cause: object, message: str) -> None:
        """Warn, unless this cause was told before."""
        if cause not in self._told:
            self._told.add(cause)
            logger.warning("%s", message)

    def forget(self, cause: object) -> bool:
        """Let a cause be told anew, since it is over; return whether it was told."""
        known = cause in self._told
        self._told.discard(cause)
        return known

    def raise_first(self) -> None:
        """Raise what failed first since the last call, as a `WriteError`."""
        error, self.first_error = self.first_error, None
        if error is not None:
            raise WriteError(f"a record could not be written to {self._logdir}: {error}") from error
