"""The bounded queue between the threads that log and those that encode and write, and its counters.

It has two lanes. The light lane holds numbers and what is ready as bytes, for the thread that writes. The
heavy lane holds records that must be encoded, for the thread that encodes.

Lives here: the order of entries, the bound in records and bytes, what happens when it is reached.
Must not: encode, touch files, start threads.
Callers' threads put; one thread takes from each lane. Putting takes no lock, so a signal handler, a finaliser or a
forked child that logs never waits for a thread that it interrupted, not even by way of the worker: CPython switches
threads and runs signal handlers only after calls and at backward jumps, and there every count is right.

The contract, each heading with a test of its name in tests/test_contract.py:

Ordering: the entries that one thread puts on a lane are taken in the order of its calls.
Overflow: one bound covers both lanes. When the queue is full, `put` waits for room, first come first served,
or drops and counts, as the options say. If the threads and the storage make no progress for `STALL_SECS`, or
the files cannot be written, it drops and counts as well: training goes on. The queue exceeds its bound by at
most one record per thread that logs. A record larger than the bound is accepted when it is alone. Numbers do
not count as bytes, and never wait for room in bytes.
Closing: everything put before `close` is taken, everything put later is refused, and there is nothing in
between: `queue.pending.append(entry)` finds either the deque that is taken from, or `NOWHERE`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, NoReturn, cast

from tblog._delivery.entries import (
    Close,
    Entry,
    Flush,
    HeavyRecord,
    LightEntry,
    LightRecord,
    TakenEntry,
    end_piece,
    entries_of,
    named,
    records_in,
)
from tblog._locks import on_worker
from tblog._native import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._native._compiled import Lane
    from tblog.options import Overflow

NUMBERS_AN_ENTRY = 64
"""Numbers of the compiled lane that count as one entry when the worker takes entries. They are encoded without the
interpreter lock, and getting the lock back costs more than encoding them."""
ALARM_AT = 32_768
"""This many numbers in the compiled lane, or a quarter of a small queue, wake the worker: a burst would fill the queue
before its next round."""
STALL_SECS = 10.0
"""Maximum time without any progress before a full queue drops."""
ENCODING_SECS = 60.0
"""The same while a record is encoded, which may wait for a device."""


class ClosedQueueError(RuntimeError):
    """The queue takes no more entries; the writer has another one, or opens one."""


class _Nowhere(deque[LightEntry]):
    """Replaces the deque of a closed queue. It is always full."""

    def __len__(self) -> int:
        return sys.maxsize

    def append(self, _entry: LightEntry) -> NoReturn:
        raise ClosedQueueError


NOWHERE = _Nowhere()


def _nobody() -> None:
    """Do nothing: no worker serves the queue."""


class Numbered(NamedTuple):
    """A heavy record, and how many came before it."""

    number: int
    entry: HeavyRecord


class RecordQueue:
    """Two first-in first-out lanes with one bound in records and in bytes of arrays.

    Args:
        max_records: entries that may wait.
        max_bytes: bytes of arrays that may wait.
        overflow: "wait" or "drop".
        clock: monotonic seconds.
        takes_blocks: whether who takes from it can do with numbers in the compiled lane's larger pieces.
    """

    def __init__(
        self,
        max_records: int,
        max_bytes: int,
        overflow: Overflow,
        clock: Callable[[], float] = time.monotonic,
        *,
        takes_blocks: bool = True,
    ) -> None:
        self.takes_blocks = takes_blocks and compiled is not None
        """Whether the light lane is the compiled one."""
        self._clock = clock
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._bytes_taken = 0
        self.progress: Callable[[], object] = int
        """Returns a value that changes whenever a thread or the storage makes progress."""
        self.wake: Callable[[], None] = _nobody
        """Makes the worker look at the queue at once; safe in signal handlers."""
        self.on_drop: Callable[[], None] = _nobody
        """Called at the first record that is dropped, on the caller's thread."""
        self.on_crowd: Callable[[], None] = _nobody
        """Called when a fast path that appends to `pending` must ask for `quick_room` again."""
        self._pieces: deque[TakenEntry] = deque()
        """What waits on the light lane: entries, and numbers of the compiled lane in larger pieces."""
        self._source: deque[LightEntry] | Lane = (
            compiled.Lane(self._pieces)
            if self.takes_blocks and compiled is not None
            else cast("deque[LightEntry]", self._pieces)
        )
        self.pending: deque[LightEntry] | Lane = self._source
        self._arm_alarm()
        self.taken = 0
        """Entries taken from the light lane so far."""
        self._heavy: deque[Numbered] = deque()
        self.heavy_put = 0
        self._heavy_prefix = 0  # all heavy records before this number are done
        self._heavy_beyond: set[int] = set()  # and these, beyond one that is not
        self._heavy_failed: set[int] = set()  # counted as failed, and not yet done
        self._given_up = False
        self._share = 0  # of the bound, for the heavy lane
        self._finishing = threading.Lock()  # for the threads that encode and write, and the exit
        self._line: deque[_Turn] = deque()  # the callers who wait for room, the first to come first
        self._bytes_put = 0
        self._stalled_at: object = None
        self.failing = False
        self.encoding = ""
        """Name of the record that is being encoded, which may take long."""
        self.command_pending = False
        self.cut_off = False
        """Whether the process is ending: the worker gives up everything it has not written."""
        self.inline = False
        self.dropped = 0
        self._drop_is_told = False

    def quick_room(self) -> int:
        """Return how many entries a fast path may let wait on the light lane. None if each call writes for itself.

        The rest of the bound is reserved for the heavy lane, and grows and shrinks with what waits there.
        """
        if self.heavy_waiting <= self._share // 4:
            self._share = 2 * self.heavy_waiting
        room = 0 if self.inline else self._max_records - self._share
        if not isinstance(self._source, deque):
            self._source.room = (
                0 if self._line else room
            )  # it is quick enough to leave those in line no chance
        return room

    @property
    def light_waiting(self) -> int:
        """Return the number of entries that wait on the light lane."""
        return len(self._source)

    @property
    def heavy_done(self) -> int:
        """Return the number of heavy records that the files have, or that will never be written."""
        return self._heavy_prefix + len(self._heavy_beyond)

    @property
    def heavy_waiting(self) -> int:
        """Return the number of heavy records that are not yet handed to the files."""
        return self.heavy_put - self.heavy_done

    @property
    def waiting(self) -> int:
        """Return the number of entries that wait on both lanes."""
        return self.light_waiting + self.heavy_waiting

    @property
    def is_awaited(self) -> bool:
        """Return whether a caller waits for room or for the most recent command."""
        with contextlib.suppress(IndexError):
            return bool(self._line) or isinstance(self._pieces[-1], Flush)
        return False

    @property
    def queued(self) -> int:
        """Return the number of entries accepted so far."""
        return self.taken + self.light_waiting + self.heavy_put

    def records_waiting(self) -> int:
        """Return the number of records that wait on both lanes, without commands. Scans the light lane."""
        commands = sum(isinstance(entry, Flush) for entry in tuple(self._pieces))
        return self.light_waiting - commands + self.heavy_waiting - len(self._heavy_failed)

    @property
    def pending_bytes(self) -> int:
        """Return the bytes of arrays that wait."""
        return self._bytes_put - self._bytes_taken

    def put(self, entry: Entry) -> bool:
        """Append an entry to its lane when there is room; return False if it was dropped instead.

        Raises:
            ClosedQueueError: the queue was closed.
        """
        nbytes = entry.nbytes if isinstance(entry, (HeavyRecord, LightRecord)) else 0
        if (self._line or not self._has_room(nbytes)) and not self._wait_for_room(nbytes):
            self._drop()
            return False
        if isinstance(entry, HeavyRecord):
            self._put_heavy(entry, nbytes)
        else:
            self._bytes_put += nbytes
            self.pending.append(entry)
        if self.inline or self.pending_bytes > self._max_bytes // 4 or self._is_alarmed():
            self.wake()
        return True

    def let_learn_tags(self, *, as_given: bool) -> None:
        """Let the compiled fast path log new tags, where they are written as they are given."""
        if not isinstance(self._source, deque):
            self._source.learns = as_given

    def _arm_alarm(self) -> None:
        if not isinstance(self._source, deque):
            self._source.alarm = min(ALARM_AT, self._max_records // 4)

    def _is_alarmed(self) -> bool:
        """Return whether the worker must come at once; True only once until it comes."""
        source = self._source
        if isinstance(source, deque) or len(source) < source.alarm:
            return False
        source.alarm = sys.maxsize
        return True

    def _put_heavy(self, entry: HeavyRecord, nbytes: int) -> None:
        numbered = Numbered(self.heavy_put, entry)
        while numbered.number != self.heavy_put:  # another thread or a handler was quicker
            numbered = Numbered(self.heavy_put, entry)
        if self.pending is NOWHERE:
            raise ClosedQueueError
        # Nothing can come between these two looks and the append.
        self._bytes_put += nbytes
        self.heavy_put += 1
        self._heavy.append(numbered)
        if self.heavy_waiting > self._share:
            self._share = min(2 * self.heavy_waiting, self._max_records)
            self.on_crowd()

    def command(self, command: Flush) -> None:
        """Append a command regardless of the bound, and wake the worker.

        Raises:
            ClosedQueueError: the queue was closed.
        """
        command.heavy_before = self.heavy_put
        self.pending.append(command)
        self.command_pending = True
        self.wake()

    def refuse_more(self) -> None:
        """Refuse all further entries, and wake the callers who wait for room."""
        self.pending = NOWHERE
        if not isinstance(self._source, deque):
            self._source.room = 0
        self.on_drop = _nobody
        self._call_first()

    def leave_to_parent(self) -> None:
        """Refuse everything, wake nobody and let go of what waits: in a forked child, this is a copy of the parent's."""
        self.pending = NOWHERE
        self._heavy.clear()
        self._pieces.clear()
        self.wake = self.on_drop = self.on_crowd = _nobody

    def end_with(self, command: Close) -> None:
        """Append the last command, once, after `refuse_more`."""
        if not command.queued:
            command.queued = True
            command.heavy_before = self.heavy_put
            self._source.append(command)
        self.command_pending = True
        self.wake()

    def take(self, limit: int) -> list[TakenEntry]:
        """Remove and return up to `limit` of the light lane's oldest entries (worker's side).

        Of numbers in the compiled lane, `NUMBERS_AN_ENTRY` count as one.
        """
        entries: list[TakenEntry] = []
        source = self._source
        pop = self._pieces.popleft
        with contextlib.suppress(IndexError):  # the exit gives up what waits, if the worker seems stuck
            if isinstance(source, deque):
                entries.extend(pop() for _ in range(min(limit, len(source))))
            else:
                left = limit * NUMBERS_AN_ENTRY
                while left > 0:
                    entries.append(piece := pop())
                    left -= end_piece(piece) or NUMBERS_AN_ENTRY
        self._count_taken(records_in(entries))
        self._arm_alarm()
        return entries

    def _count_taken(self, records: int) -> None:
        self.taken += records
        if not isinstance(self._source, deque):
            self._source.taken += records

    def put_back(self, entries: list[TakenEntry]) -> None:
        """Put entries back to the head of the light lane (worker's side)."""
        self._pieces.extendleft(reversed(entries))
        self._count_taken(-records_in(entries))

    def take_heavy(self) -> Numbered | None:
        """Remove and return the oldest heavy record (encoder's side)."""
        with contextlib.suppress(IndexError):
            return self._heavy.popleft()
        return None

    @property
    def has_heavy(self) -> bool:
        """Return whether a heavy record waits to be encoded."""
        return bool(self._heavy)

    def take_commands(self) -> list[Flush]:
        """Remove and return the commands alone (worker's side)."""
        commands = [entry for entry in tuple(self._pieces) if isinstance(entry, Flush)]
        for command in commands:
            self._pieces.remove(command)
            if not isinstance(self._source, deque):
                self._source.taken += 1
        return commands

    def give_up(self) -> int:
        """Drop and count all records that wait on both lanes, and keep commands; return how many."""
        entries = self.take(sys.maxsize)
        commands = [entry for entry in entries if isinstance(entry, Flush)]
        self.put_back([*commands])
        with self._finishing:
            heavy = self.heavy_waiting - len(self._heavy_failed)
            self._given_up = True
            self._heavy.clear()
            self._heavy_failed.clear()
            self._heavy_beyond.clear()
            self._heavy_prefix = self.heavy_put
        dropped = records_in(entries) - len(commands) + heavy
        self.count_dropped(dropped)
        return dropped

    def done(self, nbytes: int) -> None:
        """Release the room of taken entries, and wake a caller who waits for it (worker's side)."""
        self._bytes_taken += nbytes
        self._call_first()

    def heavy_has_failed(self, number: int) -> bool:
        """Mark a heavy record as failed; return False if it was given up, and so counted as dropped, before."""
        with self._finishing:
            if self._given_up:
                return False
            self._heavy_failed.add(number)
            return True

    def heavy_is_done(self, number: int, nbytes: int) -> None:
        """Count a heavy record that the files have, or that will never be written (worker's side)."""
        with self._finishing:
            self._heavy_failed.discard(number)
            if number >= self._heavy_prefix:
                self._heavy_beyond.add(number)
            while self._heavy_prefix in self._heavy_beyond:
                self._heavy_beyond.remove(self._heavy_prefix)
                self._heavy_prefix += 1
        self.done(nbytes)

    def heavy_left(self, before: int) -> int:
        """Return how many of the heavy records with a number below `before` are not done (worker's side)."""
        if before <= self._heavy_prefix:
            return 0
        return before - self._heavy_prefix - sum(number < before for number in self._heavy_beyond)

    def names(self, most: int) -> list[str]:
        """Return the names of the first entries that wait, heavy ones first."""
        heavy = [each.entry for each in tuple(self._heavy)[:most]]
        light = [each for piece in tuple(self._pieces)[:most] for each in entries_of(piece, most)]
        shown = [named(entry) for entry in (*heavy, *light) if not isinstance(entry, Flush)]
        return [*([self.encoding] if self.encoding else []), *shown][:most]

    def recovered(self) -> None:
        """Report the next drop again (worker's side)."""
        self._drop_is_told = False

    def count_dropped(self, records: int) -> None:
        """Count records that are given up."""
        self.dropped += records

    def _call_first(self) -> None:
        """Let the first in line look for room. It then calls the next."""
        with contextlib.suppress(IndexError):
            self._line[0].call()

    def _has_room(self, nbytes: int) -> bool:
        pending = self.pending
        if pending is NOWHERE:
            raise ClosedQueueError
        if len(pending) + self.heavy_waiting >= self._max_records:
            return False
        waiting_bytes = self.pending_bytes
        return not nbytes or waiting_bytes + nbytes <= self._max_bytes or waiting_bytes <= 0

    def _drop(self) -> None:
        self.count_dropped(1)
        if not self._drop_is_told:
            self._drop_is_told = True
            self.on_drop()

    def _wait_for_room(self, nbytes: int) -> bool:
        if on_worker():
            return True
        if self._overflow == "drop":
            return False
        turn = _Turn()
        # A signal handler's record goes before that of the call which it interrupted.
        interrupts = any(other.thread == turn.thread for other in tuple(self._line))
        (self._line.appendleft if interrupts else self._line.append)(turn)
        if not isinstance(self._source, deque):
            self._source.room = 0
        try:
            return self._gets_room(nbytes, turn)
        finally:
            with contextlib.suppress(ValueError):  # in a child that a signal handler forked meanwhile
                self._line.remove(turn)
            self._call_first()

    def _gets_room(self, nbytes: int, turn: _Turn) -> bool:
        progress, since = self.progress(), self._clock()
        while not self.failing and self._stalled_at != progress:
            self.wake()
            if self._has_room(nbytes) and self._line[0] is turn:
                return True
            turn.wait(min(1.0, STALL_SECS))
            patience = ENCODING_SECS if self.encoding else STALL_SECS
            now = self.progress()
            if progress != now:
                progress, since = now, self._clock()
            elif self._clock() >= since + patience:
                self._stalled_at = progress
        return False


class _Turn:
    """A caller's place in the line of those who wait for room."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self._called = threading.Lock()
        self._called.acquire()

    def call(self) -> None:
        """Let the caller look for room."""
        with contextlib.suppress(RuntimeError):  # it was called before
            self._called.release()

    def wait(self, timeout: float) -> None:
        """Return when the caller is called, or after `timeout` seconds."""
        self._called.acquire(timeout=timeout)
