"""The worker's side of one writer: it takes from both lanes and writes to the event files.

Lives here: taking from the lanes in short steps, writing, syncing, closing, answering commands, and what happens
when the storage refuses to write.
Must not: encode, start threads. Runs on the worker thread.

The contract, each heading with a test of its name in tests/test_contract.py:

Visibility: `step` hands everything it took to the operating system before it returns. Another process can read
a scalar one round of the worker after its call, and any other record one round after its encoding. `flush_secs`
bounds the time to a sync.
Flush: a flush is answered when everything before it on both lanes is with the operating system.
Errors: storage that refuses is tried again. Meanwhile the queue keeps what its bound allows.
A command is answered at the end of a step, so that nothing of the caller's is held here then.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from tblog._delivery.entries import Close, Flush, LightRecord, end_piece, records_in
from tblog._delivery.light_lane import stretches
from tblog._delivery.queue import NUMBERS_AN_ENTRY
from tblog._native import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._delivery.entries import TakenEntry
    from tblog._delivery.heavy_lane import Encoded, HeavyLane
    from tblog._delivery.light_lane import LightLane
    from tblog._delivery.queue import RecordQueue
    from tblog._files.run_files import RunFiles
    from tblog._files.stored_runs import StoredRuns
    from tblog._reports import Reports

ENTRIES_A_STEP = 500  # a chunk of the scalar encoder
ENTRIES_IN_HASTE = 2_000
HASTE_AT = 16_384
"""From this many waiting entries on, or a quarter of a small queue, steps are larger, so that it does not fill up."""
RETRY_SECS = 0.5
LARGE_BYTES = 1 << 16
"""Size from which an encoded record is written by itself."""


class Drain:
    """Moves what is on the lanes of one writer to its files.

    Args:
        queue: holds both lanes.
        light: encodes what is taken from the light lane.
        heavy: has what is encoded of the heavy lane.
        files: where all of it is written.
        reports: receives errors of the storage.
        flush_secs: bound on the time to a sync, in seconds.
        max_records: the queue's bound.
        clock: monotonic seconds.

    Attributes:
        closed: whether the files are closed for good.
        secs: CPU seconds spent here.
    """

    def __init__(
        self,
        queue: RecordQueue,
        light: LightLane,
        heavy: HeavyLane,
        files: RunFiles | StoredRuns,
        reports: Reports,
        *,
        flush_secs: float,
        max_records: int,
        clock: Callable[[], float],
    ) -> None:
        self.closed = False
        self.secs = 0.0
        self._queue = queue
        self._light = light
        self._heavy = heavy
        self._files = files
        self._reports = reports
        self._flush_secs = flush_secs
        self._clock = clock
        self._haste_at = min(HASTE_AT, max_records // 4)
        self._in_hand: list[TakenEntry] = []
        self._handled_count = 0  # how many of those in hand are encoded or counted
        self._encoded: deque[Encoded] = deque()  # heavy records on their way to the files
        self._handed: deque[Encoded] = deque()  # those that the files have, and the queue counts still
        self._batch_limit = ENTRIES_IN_HASTE
        self._commands: list[Flush] = []  # taken from the lane, and not yet answered
        self._next_sync = clock() + flush_secs
        self._retry_at = 0.0
        self._refusal: OSError | None = None  # what a store said last

    @property
    def is_in_haste(self) -> bool:
        """Return whether somebody waits for the worker, or soon will."""
        return bool(self._commands) or self._queue.is_awaited or self._queue.light_waiting > self._haste_at

    @property
    def is_idle(self) -> bool:
        """Return whether a step can wait for the next full round: nothing waits, and nobody for an answer."""
        queue = self._queue
        waits = queue.waiting or self._commands or self._light.has_more
        return not (waits or queue.failing or queue.cut_off)

    def unwritten(self) -> int:
        """Return the number of records that wait, are on their way to the storage, or are not confirmed by it."""
        in_hand = records_in(self._in_hand[self._handled_count :]) - sum(
            done.records for done in tuple(self._handed)
        )
        return self._queue.records_waiting() + in_hand + self._files.waiting

    def step(self) -> int:
        """Hand some entries to the operating system; return how many."""
        if self.closed:  # it is the parent's, in a forked child
            return 0
        started = time.thread_time()
        try:
            if self._queue.cut_off:
                self._queue.command_pending = True
                self._answer_while_failing()
                return 0
            if self._queue.failing and not self._recovers():
                self._answer_while_failing()
                return 0
            handled = 0
            if self._files.has_room:
                handled = self._take_light() + self._take_heavy()
            else:
                self._try(
                    self._files.write
                )  # it raises once the store refuses, and then nobody waits for room
            self._hear()
            if self._clock() >= self._next_sync:
                self._next_sync = self._clock() + self._flush_secs
                self._try(self._files.sync)
            self._answer()
            return handled
        finally:
            self.secs += time.thread_time() - started

    def _take_light(self) -> int:
        self._handled_count = 0
        most = ENTRIES_IN_HASTE if self.is_in_haste else ENTRIES_A_STEP
        self._in_hand = self._queue.take(min(self._batch_limit, most))
        if self._in_hand:
            self._encode(self._in_hand)
        handled = _weight(self._in_hand[: self._handled_count])
        if not self._queue.failing:
            handled += self._light.collect()
        self._try(self._files.write)
        if self._in_hand:
            self._put_back_rest()
            self._queue.done(0)
            if not self._queue.failing:
                self._batch_limit = min(2 * self._batch_limit, ENTRIES_IN_HASTE)
        return handled

    def _put_back_rest(self) -> None:
        rest, self._in_hand = self._in_hand[self._handled_count :], []
        self._queue.put_back(rest)

    def _encode(self, entries: list[TakenEntry]) -> None:
        """Encode the entries in hand until the storage fails."""
        for kind, start, end in stretches(entries):
            if self._queue.failing:
                return
            stretch: list[Any] = entries if end - start == len(entries) else entries[start:end]
            try:
                if issubclass(kind, Flush):
                    self._queue.taken -= 1  # a command is not a record
                    self._commands += stretch
                else:
                    self._light.encode(kind, stretch)
            except BaseException as error:
                self._reports.failure(error, tag="?", step=0, kind=kind.__name__, records=records_in(stretch))
            self._handled_count = end
            if kind is LightRecord:
                self._try(self._files.write)  # it may be large
                self._queue.done(sum(entry.nbytes for entry in stretch))

    def _take_heavy(self) -> int:
        if self._queue.failing:
            return 0
        self._encoded.extend(self._heavy.take_encoded())
        while self._encoded:
            done = self._encoded[0]
            # A large record by itself: to put it behind another would copy it under the interpreter lock.
            is_large = len(done.frames) >= LARGE_BYTES
            if is_large:
                self._write_unless_failing()
            if done.records:
                self._files.append(done.run, done.frames, done.records)
            self._handed.append(self._encoded.popleft())
            if is_large:
                self._write_unless_failing()
        if self._handed:
            self._write_unless_failing()
        return self._end_handed()

    def _end_handed(self) -> int:
        """Have the queue count what the files have; return how many heavy records these are."""
        count = 0
        while self._handed:
            self._queue.heavy_is_done(self._handed[0].number, self._handed[0].nbytes)
            self._handed.popleft()
            count += 1
        return count

    def _write_unless_failing(self) -> None:
        if not self._queue.failing:
            self._try(self._files.write)

    # Storage that refuses.

    def _try(self, storing: Callable[[], None]) -> None:
        """Call a function that uses the storage, and handle its refusal."""
        try:
            storing()
        except OSError as error:
            self.fail(error)

    def _hear(self) -> None:
        """Report what a store says, which takes segments while others wait."""
        before, self._refusal = self._refusal, self._files.refusal
        if self._refusal is None and before is not None:
            self._reports.storage_is_back(self._queue.dropped)
        elif self._refusal is not None and self._refusal is not before:
            self._reports.storage(self._refusal, self.unwritten())

    def fail(self, error: OSError) -> None:
        """Remember that the storage refuses, and report it."""
        self._queue.failing = True
        self._queue.command_pending = True  # so that waiting callers are answered soon
        self._batch_limit = 1  # so that little goes back to a full queue
        self._retry_at = self._clock() + RETRY_SECS
        self._reports.storage(error, self.unwritten())

    def fail_unforeseen(self, error: BaseException) -> None:
        """Go on after an error in tblog itself, or one that was raised in its thread from outside."""
        self._put_back_rest()
        self._end_handed()
        self.fail(OSError(f"unforeseen: {error!r}"))

    def _recovers(self) -> bool:
        if self._clock() < self._retry_at and not self._queue.command_pending:
            return False
        self._queue.failing = False
        self._try(self._files.recover)
        if self._queue.failing:
            return False
        self._queue.recovered()
        if self._refusal is None:  # else `_hear` tells, once a store has confirmed something
            self._reports.storage_is_back(self._queue.dropped)
        return True

    # Commands.

    def _answer(self) -> None:
        """Answer the commands whose records are with the operating system."""
        for command in tuple(self._commands):
            if self._queue.failing or self._light.has_more or not self._heavy.has_settled(command):
                break
            if not self._files.has_settled(command, is_last=isinstance(command, Close)):
                break
            self._hear()
            self._commands.remove(command)
            if isinstance(command, Close):
                self._light.collect(is_last=True)
                self._close_files()
            else:
                self._try(self._files.flush)
            command.done.set()
        self._heavy.is_awaited = bool(self._commands)

    def _answer_while_failing(self) -> None:
        """Answer flushes that cannot succeed now, and closes, which give up what waits."""
        if not self._queue.command_pending and not self._commands:
            return
        self._queue.command_pending = False
        commands, self._commands = [*self._commands, *self._queue.take_commands()], []
        for command in commands:
            is_last = isinstance(command, Close)
            if not self._queue.cut_off and not self._files.has_settled(command, is_last=is_last):
                self._commands.append(command)
                continue
            if is_last:
                self._close_files()
            command.done.set()

    def _close_files(self) -> None:
        try:
            self._light.end()
            self._queue.give_up()  # what is left: everything if the process ends, else embeddings that were refused
            self._heavy.let_go()
            self._encoded.clear()
            lost, error = self._files.close()
            self._queue.count_dropped(lost)
            self._reports.gave_up(error, self._queue.dropped)
        finally:
            self.closed = True


def _weight(entries: list[TakenEntry]) -> int:
    """Return how many entries these count as where a step is measured, as `RecordQueue.take` counts them."""
    if compiled is None:
        return len(entries)
    numbers = sum(end_piece(entry) or NUMBERS_AN_ENTRY for entry in entries)
    return -(-numbers // NUMBERS_AN_ENTRY)  # rounded up: a few are not nothing
