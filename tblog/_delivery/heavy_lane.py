"""The heavy lane of one writer: records that must be encoded, which may take long.

Lives here: encoding one record after the other, encoded records that wait for the files, and embeddings whose own
files the storage refuses, which are tried again.
Must not: touch event files, start threads. The encoder thread calls `encode_next`, the worker thread all else.

Memory: no record is encoded while `AHEAD_BYTES` of frames wait. A record is released before it counts as done, so
that a caller who waited for it finds nothing of its own held here.
Importing: the modules that an encoder needs are imported before the record is encoded, under the lock that a fork
waits for. The lock is not held while encoding.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from tblog._delivery.entries import kind_of, named
from tblog._delivery.queue import Numbered
from tblog._files.handles import with_handles
from tblog._files.run_files import is_hopeless
from tblog._locks import import_lock
from tblog._wire import framing
from tblog.records import EmbeddingRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._delivery.entries import Flush, HeavyRecord
    from tblog._delivery.event_encoder import EventEncoder
    from tblog._delivery.queue import RecordQueue
    from tblog._reports import Reports

AHEAD_BYTES = 16 << 20
"""No record is encoded while more bytes than this wait for the files."""
RETRY_SECS = 0.5
"""Time between two tries after the storage refused."""


class Encoded(NamedTuple):
    """The result of a heavy record: frames for a run's file, or no record if it failed."""

    number: int
    run: str
    frames: bytearray
    records: int
    nbytes: int


class HeavyLane:
    """Encodes the heavy records of one queue.

    Args:
        queue: holds the records.
        events: encodes them.
        reports: receives what cannot be encoded.
        clock: monotonic seconds.
    """

    def __init__(
        self, queue: RecordQueue, events: EventEncoder, reports: Reports, clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._events = events
        self._reports = reports
        self._clock = clock
        self._encoded: deque[Encoded] = deque()
        self._bytes_made = self._bytes_taken = 0
        self._in_hand: Numbered | None = None  # stays there if its thread is killed, for the next one
        self._refused: deque[Numbered] = deque()  # embeddings, in the order of their calls
        self.refused = 0
        """Number of embeddings that wait for the storage, including one that is being tried."""
        self._retry_at = 0.0
        self._tries = 0
        self.secs = 0.0
        """CPU seconds spent on encoding."""
        self.is_awaited = False
        """Whether a caller waits for a record of this lane."""

    @property
    def has_work(self) -> bool:
        """Return whether `encode_next` has something to do."""
        if self._is_ahead:
            return False
        return self._queue.has_heavy or self._in_hand is not None or self._must_retry

    @property
    def gets_on(self) -> bool:
        """Return whether anything waits besides refused embeddings: trying those again is no progress."""
        return self._queue.heavy_waiting > self.refused

    @property
    def _is_ahead(self) -> bool:
        return self._bytes_made - self._bytes_taken > AHEAD_BYTES

    @property
    def _must_retry(self) -> bool:
        return bool(self._refused) and self._clock() >= self._retry_at

    def encode_next(self) -> bool:
        """Encode one record; return False if there is nothing to do."""
        if not self.has_work:
            return False
        started = time.thread_time()
        try:
            if self._in_hand is None and self._must_retry:
                self._retry()
                return True
            if self._in_hand is None:
                self._in_hand = self._queue.take_heavy()
            if self._refused and self._in_hand is not None and _is_embedding(self._in_hand.entry):
                self._refused.append(self._in_hand)  # behind those that came before it
                self.refused += 1
                self._in_hand = None
            else:
                self._encode_in_hand()
            return True
        finally:
            self.secs += time.thread_time() - started

    def _encode_in_hand(self) -> None:
        if self._in_hand is None:
            return
        number, entry = self._in_hand
        self._queue.encoding = named(entry)
        done = Encoded(number, entry.run, bytearray(), 0, entry.nbytes)
        try:
            done = done._replace(frames=with_handles(partial(self._frames, entry)), records=1)
        except BaseException as error:
            if (
                isinstance(error, OSError)
                and _is_embedding(entry)
                and not is_hopeless(error, self._events.logdir)
            ):
                self._refuse(error, Numbered(number, entry))
                return
            self._reports.failure(
                error,
                tag=entry.record.tag,
                step=entry.step,
                kind=kind_of(entry.record),
                records=int(self._queue.heavy_has_failed(number)),
            )
        finally:
            self._queue.encoding = ""
            self._in_hand = None
        del entry
        self._finish(done)

    def _frames(self, entry: HeavyRecord) -> bytearray:
        with import_lock:
            from tblog.summaries._kinds import load

            load(entry.record)
        return bytearray().join(
            chain.from_iterable(framing.frame_parts(event) for event in self._events.encode(entry))
        )

    def _finish(self, done: Encoded) -> None:
        self._bytes_made += len(done.frames)
        self._encoded.append(done)
        if self.is_awaited or self._queue.is_awaited or self._is_ahead:
            self._queue.wake()

    def _refuse(self, error: OSError, refused: Numbered) -> None:
        self._refused.append(refused)
        self.refused = max(self.refused, len(self._refused))
        self._tries += 1
        self._retry_at = self._clock() + RETRY_SECS
        self._reports.embedding_refused(error, refused.entry.record.tag, refused.entry.step)
        self._queue.wake()

    def _retry(self) -> None:
        """Try the first refused embedding again. The others follow if it succeeds."""
        others, self._refused = self._refused, deque()
        try:
            self._in_hand = others.popleft()
            self._encode_in_hand()
        finally:
            self._refused.extend(others)
            self.refused = len(self._refused)
        if not self._refused:
            self._reports.embeddings_are_back()

    # On the worker thread.

    def take_encoded(self) -> list[Encoded]:
        """Remove and return the records that are encoded."""
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._encoded.popleft())
        self._bytes_taken += sum(len(done.frames) for done in taken)
        return taken

    def has_settled(self, command: Flush) -> bool:
        """Return whether every record queued before a command is in the files, or was refused again since."""
        left = self._queue.heavy_left(command.heavy_before)
        if not left:
            return True
        if command.tries_before is None:
            command.tries_before = self._tries
            self._retry_at = self._clock()
        refused = sum(each.number < command.heavy_before for each in tuple(self._refused))
        return self._tries > command.tries_before and left <= refused

    def let_go(self) -> None:
        """Release everything; the queue has counted it."""
        self._refused.clear()
        self._encoded.clear()


def _is_embedding(entry: HeavyRecord) -> bool:
    return isinstance(entry.record, EmbeddingRecord)
