"""The segments of one writer on their way to its store, one after the other.

Lives here: their order, what the store confirmed, when to retry a refused one, the limit on pending bytes in memory,
and the spill directory. Must not: start threads. The worker puts segments, and its uploader sends them, so no other
thread waits for the network. The lock guards the counts and is never held during a request.

Order: a segment is sent once all earlier ones are confirmed. A loader reads a run's files by name and does not go back.
A refused segment is put again under the same name with the same bytes. That is safe even if the store took it and only
its answer was lost.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING

from tblog._locks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._files.segments import Segment
    from tblog._files.spill import Spill

FIRST_PAUSE_SECS = 0.5
"""Pause before the second try. Each pause is twice as long as the last, minus a random part of up to a half, so that
many writers do not retry at the same moment."""
LONGEST_PAUSE_SECS = 30.0


class Outbox:
    """Sends segments in their order.

    Args:
        put: stores bytes under a URL, and returns once the store has confirmed them.
        max_bytes: maximum bytes of pending segments in memory.
        spill: holds refused segments instead of memory.
        clock: monotonic seconds.
        chance: returns random numbers from 0 to 1; not from the program's generator, which may be seeded.

    Attributes:
        put_count: number of segments put so far.
        done_count: number of segments confirmed or lost.
        written: number of records that the store has confirmed.
        nbytes: the bytes of these.
        lost: number of records whose file in the spill directory is gone.
        error: the store's last error, None once it accepts again.
        spill_error: the spill directory's last error, if any.
        begun: number of requests started.
        refused: the number of the last refused request.
        last_job: runs once everything is sent; None afterwards.
    """

    def __init__(
        self,
        put: Callable[[str, bytes], None],
        max_bytes: int,
        spill: Spill | None,
        clock: Callable[[], float],
        chance: Callable[[], float] | None = None,
    ) -> None:
        self.put_count = self.done_count = 0
        self.written = self.nbytes = self.lost = 0
        self.error: OSError | None = None
        self.spill_error: OSError | None = None
        self.begun = self.refused = 0
        self.last_job: Callable[[], None] | None = None
        self._put = put
        self._max_bytes = max_bytes
        self._spill = spill
        self._clock = clock
        self._chance = chance or random.Random().random  # noqa: S311 - no secret
        self._changing = ForkSafeLock()
        self._waiting: deque[Segment] = deque()
        self._bytes_waiting = 0
        self._failures = 0
        self._retry_at = 0.0
        self._hurried_at = 0

    @property
    def is_full(self) -> bool:
        """Return whether the pending segments fill the memory limit."""
        return self._bytes_waiting >= self._max_bytes

    @property
    def is_all_spilled(self) -> bool:
        """Return whether all pending segments are in the spill directory."""
        return all(segment.spilled for segment in tuple(self._waiting))

    @property
    def waiting(self) -> int:
        """Return the number of unconfirmed records."""
        return sum(segment.records for segment in tuple(self._waiting))

    @property
    def spilled(self) -> int:
        """Return the number of records in the spill directory."""
        return sum(segment.records for segment in tuple(self._waiting) if segment.spilled)

    @property
    def is_due(self) -> bool:
        """Return whether `send_next` has something to do now."""
        return bool(self._waiting or self.last_job) and self._clock() >= self._retry_at

    def put(self, segment: Segment) -> None:
        """Append a segment."""
        with self._changing:
            self._waiting.append(segment)
            self._bytes_waiting += len(segment.content)
            self.put_count += 1
            if self.error is not None:
                self._keep_aside()

    def hurry(self) -> None:
        """Retry now, because a caller waits; retry once more if a request already under way is refused."""
        self._hurried_at = self.begun
        self._retry_at = self._clock()

    def send_next(self) -> bool:
        """Send the oldest segment; return False if there was nothing to do."""
        if not self.is_due:
            return False
        try:
            segment = self._waiting[0]
        except IndexError:
            self._do_last()
            return True
        try:
            content = segment.content or self._read(segment)
            if content is None:
                self._done(segment, confirmed=False)
                return True
            self.begun += 1
            self._put(segment.url, content)
        except Exception as error:
            self._refused(error)
        else:
            self._done(segment, confirmed=True)
        return True

    def _do_last(self) -> None:
        job = self.last_job
        try:
            if job is not None:
                job()
        finally:
            self.last_job = None

    def _read(self, segment: Segment) -> bytes | None:
        assert self._spill is not None
        try:
            return self._spill.read(segment.spilled)
        except FileNotFoundError:  # somebody removed it
            return None

    def _done(self, segment: Segment, *, confirmed: bool) -> None:
        with self._changing:
            if not self._waiting or self._waiting[0] is not segment:  # given up, and counted as lost
                return
            self._waiting.popleft()
            self._bytes_waiting -= len(segment.content)
            if confirmed:
                self.written += segment.records
                self.nbytes += segment.nbytes
                self.error, self._failures = None, 0
            else:
                self.lost += segment.records
            self.done_count += 1
        if segment.spilled and self._spill is not None:
            self._spill.remove(segment.spilled)

    def _refused(self, error: Exception) -> None:
        with self._changing:
            # A new error, without the traceback frames that keep the segment alive.
            self.error = (
                OSError(*error.args) if isinstance(error, OSError) else OSError(f"unforeseen: {error!r}")
            )
            self.refused = self.begun
            longest = min(LONGEST_PAUSE_SECS, FIRST_PAUSE_SECS * 2**self._failures)
            self._failures = min(self._failures + 1, 10)
            pause_secs = 0.0 if self._hurried_at == self.begun else longest * (1 - self._chance() / 2)
            self._retry_at = self._clock() + pause_secs
            self._keep_aside()

    def keep_aside(self) -> None:
        """Move pending segments to the spill directory, even if nothing was refused."""
        with self._changing:
            self._keep_aside()

    def _keep_aside(self) -> None:
        """Move pending segments to the spill directory, if there is one and it accepts them."""
        if self._spill is None:
            return
        self.spill_error = None
        for segment in self._waiting:
            if segment.spilled:
                continue
            try:
                segment.spilled = self._spill.keep(segment.url, segment.content)
            except OSError as error:
                self.spill_error = OSError(*error.args)
                return
            self._bytes_waiting -= len(segment.content)
            segment.content = b""

    def give_up(self) -> int:
        """Discard pending segments; return the number of records lost. Files in the spill directory stay there."""
        with self._changing:
            lost = self.waiting - self.spilled
            self._waiting.clear()
            self._bytes_waiting = 0
            self.last_job = None
        return lost
