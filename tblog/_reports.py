"""What went wrong later: told once for each cause, counted always, raised only where options say so.

Runs on the worker thread, but for `dropping`; the counters are read from any.
"""

from __future__ import annotations

import logging

from tblog.errors import WriteError

logger = logging.getLogger("tblog")


class Reports:
    """The failures of one channel."""

    def __init__(self, logdir: str) -> None:
        self._logdir = logdir
        self._told: set[object] = set()
        self.failed = 0
        self.left_out = 0
        self.first_error: BaseException | None = None

    def failure(self, error: BaseException, *, tag: str, step: int, kind: str, records: int = 1) -> None:
        """Count records that could not be encoded, and warn when the cause is new."""
        self._count(error, records)
        self.once(
            (type(error), kind),
            f"tblog could not encode the {kind} {tag!r} at step {step}: {type(error).__name__}: {error}. "
            f"It was left out of {self._logdir}; further failures of this kind are counted in stats.failed",
        )

    def refused(self, error: OSError, run: str, records: int) -> None:
        """Count records that no wait will bring into a file, and warn when the run is new."""
        self._count(error, records)
        self.once(
            ("refused", run),
            f"tblog cannot write records of the run {run!r} below {self._logdir}: {error}. They are left out, "
            "and counted in stats.failed",
        )

    def storage(self, error: OSError, waiting: int) -> None:
        """Warn that the storage refuses, once until it is `over`."""
        self.first_error = self.first_error or error
        self.once(
            "storage",
            f"tblog cannot write to {self._logdir}: {error}. Training goes on; {waiting} records wait, more "
            "are kept until the queue is full, and writing is tried again",
        )

    def storage_is_back(self, dropped: int) -> None:
        """Say that the storage takes records again, and let the next failure be told."""
        self._told.discard("storage")
        logger.warning("tblog writes to %s again; %d records were dropped", self._logdir, dropped)

    def dropping(self, waiting: int, waiting_bytes: int, *, by_wish: bool) -> None:
        """Warn at the first record that the queue refuses. Runs on the caller's thread."""
        if not by_wish:
            self.first_error = self.first_error or WriteError("the queue was full, and records were dropped")
        logger.warning(
            "tblog: the queue of %s is full, %d records of %d bytes wait%s; records are dropped from now on, and "
            "counted in stats.dropped",
            self._logdir,
            waiting,
            waiting_bytes,
            "" if by_wish else " and the storage does not take them",
        )

    def gave_up(self, error: OSError | None, records: int) -> None:
        """Say that records were lost at the close of the files, since the storage took none."""
        if records or error is not None:
            self.first_error = self.first_error or error
            logger.error(
                "tblog: %s was closed, and %d records were lost: %s",
                self._logdir,
                records,
                error or "given up",
            )

    def values_left_out(self, tag: str, what: str, count: int) -> None:
        """Count values that a summary left out (NaN in a histogram), and warn once for each tag."""
        self.left_out += count
        self.once((tag, what), f"tblog: {tag!r}: {what} ({count}); told once for each tag")

    def once(self, cause: object, message: str) -> None:
        """Warn, unless this cause was told before."""
        if cause not in self._told:
            self._told.add(cause)
            logger.warning("%s", message)

    def raise_first(self) -> None:
        """Raise what failed first since the last call, as a `WriteError`."""
        error, self.first_error = self.first_error, None
        if error is not None:
            raise WriteError(f"a record could not be written to {self._logdir}: {error}") from error

    def _count(self, error: BaseException, records: int) -> None:
        self.failed += records
        self.first_error = self.first_error or error
