"""The segments of one writer on their way to its store.

Lives here: their order, what the store confirmed, when to retry a refused one, the limit on pending bytes in memory,
and the spill directory. Must not: start threads. The worker puts segments, and its uploader sends them, so no other
thread waits for the network. The lock guards the counts and is never held during a request.

Order: a segment is sent once all earlier ones of its run are confirmed. A loader reads a run's files by name and does not
go back. A refused segment is put again under the same name with the same bytes. That is safe even if the store took it
and only its answer was lost.

A store that denies access to one run holds up only that run: the key may have rights for a part of the bucket. Any other
refusal is taken for one of the whole store.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tblog._locks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tblog._files.segments import Segment
    from tblog._files.spill import Spill

FIRST_PAUSE_SECS = 0.5
"""Pause before the second try. Each pause is twice as long as the last, minus a random part of up to a half, so that
many writers do not retry at the same moment."""
LONGEST_PAUSE_SECS = 30.0


@dataclass
class _Trouble:
    """What was refused, and when to try again.

    Attributes:
        error: the last refusal, None once something was confirmed.
        refused: the number of the last refused request.
        retry_at: when the pause ends.
        failures: number of refusals in a row.
    """

    error: OSError | None = None
    refused: int = 0
    retry_at: float = 0.0
    failures: int = 0

    def is_over(self) -> None:
        """Note that something was confirmed."""
        self.error, self.failures = None, 0


@dataclass
class _Line:
    """The pending segments of one run, the oldest first, and whether the store denies access to this run."""

    trouble: _Trouble = field(default_factory=_Trouble)
    waiting: deque[Segment] = field(default_factory=deque)


class Outbox:
    """Sends segments, those of each run in their order.

    Args:
        put: stores bytes under a URL, and returns once the store has confirmed them.
        max_bytes: maximum bytes of pending segments in memory.
        spill: holds refused segments instead of memory.
        clock: monotonic seconds.
        chance: returns random numbers from 0 to 1; not from the program's generator, which may be seeded.

    Attributes:
        put_count: number of segments put so far.
        written: number of records that the store has confirmed.
        nbytes: the bytes of these.
        lost: number of records whose file in the spill directory is gone.
        spill_error: the spill directory's last error, if any.
        begun: number of requests started.
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
        self.put_count = self.begun = 0
        self.written = self.nbytes = self.lost = 0
        self.spill_error: OSError | None = None
        self.last_job: Callable[[], None] | None = None
        self._put = put
        self._max_bytes = max_bytes
        self._spill = spill
        self._clock = clock
        self._chance = chance or random.Random().random  # noqa: S311 - no secret
        self._changing = ForkSafeLock()
        self._trouble = _Trouble()
        self._lines: dict[str, _Line] = {}
        self._bytes_waiting = 0
        self._hurried_at = 0

    @property
    def error(self) -> OSError | None:
        """Return the last refusal, of the store or of one run in it; None if nothing is refused."""
        return self._trouble.error or next(
            (line.trouble.error for line in self._all() if line.trouble.error is not None), None
        )

    @property
    def is_full(self) -> bool:
        """Return whether the pending segments fill the memory limit."""
        return self._bytes_waiting >= self._max_bytes

    @property
    def is_all_spilled(self) -> bool:
        """Return whether all pending segments are in the spill directory."""
        return all(segment.spilled for segment in self._waiting())

    @property
    def waiting(self) -> int:
        """Return the number of unconfirmed records."""
        return sum(segment.records for segment in self._waiting())

    @property
    def spilled(self) -> int:
        """Return the number of records in the spill directory."""
        return sum(segment.records for segment in self._waiting() if segment.spilled)

    @property
    def is_due(self) -> bool:
        """Return whether `send_next` has something to do now."""
        if self._clock() < self._trouble.retry_at:
            return False
        return self._next() is not None or bool(self.last_job and not self._lines)

    def is_done(self, count: int) -> bool:
        """Return whether the first `count` segments are confirmed or lost."""
        return not self._behind(count)

    def is_refused(self, count: int, begun: int) -> bool:
        """Return whether each run's oldest pending segment of the first `count` was refused after request `begun`."""
        return all(max(self._trouble.refused, line.trouble.refused) > begun for line in self._behind(count))

    def _behind(self, count: int) -> list[_Line]:
        return [line for line in self._all() if any(each.number < count for each in tuple(line.waiting)[:1])]

    def _all(self) -> tuple[_Line, ...]:
        return tuple(self._lines.values())

    def _waiting(self) -> list[Segment]:
        return [segment for line in self._all() for segment in tuple(line.waiting)]

    def put(self, segment: Segment) -> None:
        """Append a segment."""
        with self._changing:
            line = self._lines.setdefault(_run_of(segment), _Line())
            segment.number = self.put_count
            self.put_count += 1
            line.waiting.append(segment)
            self._bytes_waiting += len(segment.content)
            if (self._trouble.error or line.trouble.error) is not None:
                self._keep_aside(line.waiting)

    def hurry(self) -> None:
        """Retry now, because a caller waits; retry once more if a request already under way is refused."""
        self._hurried_at = self.begun
        for trouble in (self._trouble, *(line.trouble for line in self._all())):
            trouble.retry_at = self._clock()

    def send_next(self) -> bool:
        """Send the oldest segment that is not to wait; return False if there was nothing to do."""
        if not self.is_due:
            return False
        segment = self._next()
        if segment is None:
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
            self._refused(segment, error)
        else:
            self._done(segment, confirmed=True)
        return True

    def _next(self) -> Segment | None:
        now = self._clock()
        oldest = (tuple(line.waiting)[:1] for line in self._all() if now >= line.trouble.retry_at)
        return min((segment for found in oldest for segment in found), key=_number, default=None)

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
            line = self._lines.get(_run_of(segment))
            if line is None or line.waiting[0] is not segment:  # given up, and counted as lost
                return
            if segment.spilled and self._spill is not None:
                self._spill.remove(
                    segment.spilled
                )  # before the run may grow this object, under the same name
            self._bytes_waiting -= len(segment.content)
            if confirmed:
                self.written += segment.records
                self.nbytes += segment.nbytes
                self._trouble.is_over()
                line.trouble.is_over()
            else:
                self.lost += segment.records
            segment.confirmed, segment.content = confirmed, b""
            line.waiting.popleft()
            if not line.waiting:
                del self._lines[_run_of(segment)]

    def _refused(self, segment: Segment, error: Exception) -> None:
        with self._changing:
            line = self._lines.get(_run_of(segment))
            segment.refused = True
            if line is None:  # given up meanwhile
                return
            trouble = line.trouble if isinstance(error, PermissionError) else self._trouble
            # A new error, without the traceback frames that keep the segment alive.
            trouble.error = (
                OSError(*error.args) if isinstance(error, OSError) else OSError(f"unforeseen: {error!r}")
            )
            trouble.refused = self.begun
            longest = min(LONGEST_PAUSE_SECS, FIRST_PAUSE_SECS * 2**trouble.failures)
            trouble.failures = min(trouble.failures + 1, 10)
            pause_secs = 0.0 if self._hurried_at == self.begun else longest * (1 - self._chance() / 2)
            trouble.retry_at = self._clock() + pause_secs
            self._keep_aside(line.waiting if trouble is line.trouble else self._waiting())

    def keep_aside(self) -> None:
        """Move pending segments to the spill directory, even if nothing was refused."""
        with self._changing:
            self._keep_aside(self._waiting())

    def _keep_aside(self, segments: Iterable[Segment]) -> None:
        """Move segments to the spill directory, if there is one and it accepts them."""
        if self._spill is None:
            return
        self.spill_error = None
        for segment in segments:
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
            self._lines.clear()
            self._bytes_waiting = 0
            self.last_job = None
        return lost


def _run_of(segment: Segment) -> str:
    return segment.url.rpartition("/")[0]


def _number(segment: Segment) -> int:
    return segment.number
