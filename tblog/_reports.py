"""Failures after the call: always counted, reported once per cause, and raised only if the options say so.

Runs on the threads that encode and write, except for `dropping` and `unread_graph`. Any thread may read the
counters.
"""

from __future__ import annotations

import logging

from tblog._locks import ForkSafeLock
from tblog.errors import WriteError, reason, shortened, without_user

logger = logging.getLogger("tblog")


_silence = logging.getLogger("tblog.left_to_parent")
_silence.disabled = True


class Reports:
    """The failures of one channel."""

    def __init__(self, logdir: str) -> None:
        self._logdir = without_user(logdir)
        self._logger = logger
        self._reported: set[object] = set()
        self._counting = ForkSafeLock()
        self.failed = 0
        self.left_out = 0
        self.incomplete = 0
        """Points of `ranks="reduce"` that were written without the numbers of some ranks."""
        self.lost_between_ranks = 0
        self.first_error: BaseException | None = None

    def failure(self, error: BaseException, *, tag: str, step: int, kind: str, records: int = 1) -> None:
        """Count records that could not be encoded, and warn if the cause is new."""
        self._count(error, records)
        self.once(
            (type(error), kind),
            f"tblog could not encode the {kind} {shortened(tag)} at step {step}: {type(error).__name__}: {error}. "
            f"It was left out of {self._logdir}; further failures of this kind are counted in stats.failed",
        )

    def refused(self, error: OSError, run: str, records: int) -> None:
        """Count records that can never be written, and warn if the run is new."""
        self._count(error, records)
        self.once(
            ("refused", run),
            f"tblog cannot write records of the run {run!r} below {self._logdir}: {error}. They are left out, "
            "and counted in stats.failed",
        )

    def lost(self, path: str, records: int) -> None:
        """Count records that the storage took, and lost before a sync, and warn once for each file."""
        self._count(WriteError(f"the storage lost {records} records of {path} that it had taken"), records)
        self.once(
            ("lost", path),
            f"tblog: the storage took {records} records of {path} and may have lost them; more were written since "
            "the last sync than tblog keeps, so they cannot be written again, and are counted in stats.failed. A "
            "smaller flush_secs syncs sooner",
        )

    def unread_graph(self, error: Exception) -> None:
        """Count a model whose graph could not be read, and warn if the cause is new. Runs on the caller's thread."""
        self._count(error, 1)
        self.once(
            ("graph", str(error)),
            f"tblog: add_graph logged nothing to {self._logdir}: {error}. It is counted in stats.failed",
        )

    def storage(self, error: OSError, waiting: int) -> None:
        """Warn that the storage refuses to write, once until `storage_is_back`."""
        self._keep(error)
        self.once(
            "storage",
            f"tblog cannot write to {self._logdir}: {error}. Training goes on; {waiting} records wait, more "
            "are kept until the queue is full, and writing is tried again",
        )

    def storage_is_back(self, dropped: int) -> None:
        """Report that the storage takes records again, and allow the next warning."""
        self._reported.discard("storage")
        self._logger.warning("tblog writes to %s again; %d records were dropped", self._logdir, dropped)

    def embedding_refused(self, error: OSError, tag: str, step: int) -> None:
        """Warn that an embedding's files cannot be written, once until `embeddings_are_back`."""
        self._keep(error)
        self.once(
            "embeddings",
            f"tblog cannot write the embedding {shortened(tag)} at step {step} to {self._logdir}: {error}. Everything else goes "
            "on; it waits, and writing is tried again",
        )

    def embeddings_are_back(self) -> None:
        """Report that no embedding is waiting any more, and allow the next warning."""
        self._reported.discard("embeddings")
        self._logger.warning("tblog has written the embeddings of %s that waited", self._logdir)

    def silence(self, secs: float, waiting: int, names: list[str]) -> None:
        """Report that a caller has stopped waiting, because there was no progress."""
        self._logger.error(
            "tblog: %s has not reacted for %d s; training goes on, and %d records wait%s",
            self._logdir,
            secs,
            waiting,
            _listed(names, waiting),
        )

    def cut_off(self, secs: float, records: int, names: list[str]) -> None:
        """Report the records that the end of the process cut off."""
        self._logger.error(
            "tblog: %s did not take its last %d records within the %g s that the exit waits%s. They are lost; call "
            "close(), which waits as long as it takes, or raise WriterOptions.exit_timeout_secs",
            self._logdir,
            records,
            secs,
            _listed(names, records),
        )

    def dropping(self, waiting: int, waiting_bytes: int, *, by_wish: bool) -> None:
        """Warn at the first record that the queue refuses. Runs on the caller's thread."""
        if not by_wish:
            self.first_error = self.first_error or WriteError("the queue was full, and records were dropped")
        self._logger.warning(
            "tblog: the queue of %s is full, %d records of %d bytes wait%s; records are dropped from now on, and "
            "counted in stats.dropped",
            self._logdir,
            waiting,
            waiting_bytes,
            "" if by_wish else " and the storage does not take them",
        )

    def gave_up(self, error: OSError | None, records: int) -> None:
        """Report the records lost when the files were closed, because the storage took none."""
        if records or error is not None:
            if error is not None:
                self._keep(error)
            self._logger.error(
                "tblog: %s was closed, and %d records were lost: %s",
                self._logdir,
                records,
                error or "given up",
            )

    def values_left_out(self, tag: str, what: str, count: int) -> None:
        """Count values that a summary left out (NaN in a histogram), and warn once for each tag."""
        with self._counting:
            self.left_out += count
        self.once(
            (tag, what), f"tblog: {shortened(tag)}: {what} ({count}); this is reported once for each tag"
        )

    def missing_ranks(self, tag: str, step: int, ranks: str, when: str) -> None:
        """Warn, once, that a point was written without some ranks."""
        self.once(
            "missing ranks",
            f"tblog: {shortened(tag)} at step {step} was written to {self._logdir} without {ranks}, whose number did not come "
            f"{when}. Such points are counted in stats.incomplete; these ranks are not waited for at this "
            "tag until they log it again",
        )

    def late_number(self, rank: int, tag: str, step: int) -> None:
        """Count a number that came when its point was written, and warn once."""
        self.lost_between_ranks += 1
        self.once(
            "late number",
            f"tblog: {shortened(tag)} at step {step} of rank {rank} came too late for {self._logdir}: the point was written "
            "without it. Such numbers are counted in stats.dropped; WriterOptions.reduce_wait_secs says how long "
            "to wait",
        )

    def unsent(self, numbers: int, why: str) -> None:
        """Count numbers that rank 0 did not get, and warn once for each cause."""
        self.lost_between_ranks += numbers
        self.once(
            ("unsent", why),
            f"tblog: {numbers} numbers of this rank do not come into {self._logdir}: {why}. Such numbers are counted in "
            "stats.dropped",
        )

    def no_group(self, world_size: int) -> None:
        """Warn, once, that there was no process group, through which the ranks find each other."""
        self.once(
            "no group",
            f"tblog: {self._logdir} was to have the numbers of {world_size} ranks, and there was no process group, through "
            "which the ranks find each other, or only for a moment: it has those of rank 0 alone. Call "
            'torch.distributed.init_process_group, and flush() before you destroy the group; or give ranks="zero" or "each"',
        )

    def store_failed(self, error: Exception) -> None:
        """Warn, once, that the store of the process group does not work."""
        self.once(
            "store",
            f"tblog: the ranks cannot exchange what they log to {self._logdir}: {reason(error)}. Training goes on; "
            "rank 0 writes what it has",
        )

    def once(self, cause: object, message: str) -> None:
        """Warn, unless there was a warning of this cause before."""
        if cause not in self._reported:
            self._reported.add(cause)
            self._logger.warning("%s", without_user(message))

    def leave_to_parent(self) -> None:
        """Report nothing in a forked child, where this is the copy of its parent's reports."""
        self._logger = _silence
        self.first_error = None

    def assume_told(self, others: Reports) -> None:
        """Do not warn of causes that others have warned of."""
        self._reported |= others._reported

    def raise_first(self) -> None:
        """Raise the first failure since the last call, as a `WriteError`."""
        error, self.first_error = self.first_error, None
        if error is not None:
            raise WriteError(f"a record could not be written to {self._logdir}: {error}") from error

    def _count(self, error: BaseException, records: int) -> None:
        with self._counting:
            self.failed += records
        self._keep(error)

    def _keep(self, error: BaseException) -> None:
        """Keep the first error for `raise_first`, without frames, which would keep logged objects alive."""
        if self.first_error is None:
            self.first_error = _without_frames(error)


def _without_frames(error: BaseException) -> BaseException:
    chain: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in chain:  # an error that is raised repeatedly can be its own context
        each.__traceback__ = None
        chain.append(each)
        each = each.__cause__ or each.__context__
    return error


def _listed(names: list[str], records: int) -> str:
    return f" ({', '.join(names)}{', ...' * (len(names) < records)})" if names else ""
