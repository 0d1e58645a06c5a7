"""The bounded queue between the threads that log and the one that writes, and its counters.

Lives here: the order of entries, the bound in records and bytes, what happens when it is reached.
Must not: encode, touch files, start threads.
Callers' threads put; one worker thread takes. No lock is shared by the two sides, so a signal handler,
a finaliser or a forked child that logs can never wait for a lock that its own thread holds.

The contract, each heading with a test of its name in tests/test_contract.py:

Ordering: the entries that one thread puts are taken in the order of its calls.
Overflow: full, `put` waits for room, first come first served, or drops and counts, as the options
say. A queue whose worker or storage makes no progress for `STALL_SECS`, or whose files cannot be written,
drops and counts too: training goes on. The queue exceeds its bound by at most one record for each
thread that logs; a record larger than the bound is taken when it is alone.
Closing: what was put before `close` is taken, what comes later is refused, and nothing lies between:
`queue.pending.append(entry)` finds either the deque that is taken from, or `NOWHERE`. CPython
changes threads, and runs signal handlers, behind calls and backward jumps alone.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

from tblog._entries import Close, Flush, RecordEntry
from tblog._locks import on_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog.options import Overflow

STALL_SECS = 10.0
ENCODING_SECS = 60.0
"""So long may the worker be at one record without being taken for stalled: 1 GB takes ten seconds."""


class ClosedQueueError(RuntimeError):
    """The queue takes no more entries; the writer has another one, or opens one."""


class _Nowhere(deque[Any]):
    """Stands in the place of a queue that takes no more: it is always full."""

    def __len__(self) -> int:
        return sys.maxsize

    def append(self, _entry: Any) -> NoReturn:
        raise ClosedQueueError


NOWHERE = _Nowhere()


def _nobody() -> None:
    """Tell no one: no worker serves the queue."""


class RecordQueue:
    """A first-in first-out queue with a bound in records and in bytes of arrays.

    Args:
        max_records: entries that may wait.
        max_bytes: bytes of arrays that may wait.
        overflow: "wait" or "drop".
    """

    def __init__(self, max_records: int, max_bytes: int, overflow: Overflow) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._overflow = overflow
        self.taken = 0
        self._bytes_taken = 0
        self.storage_took: Callable[[], int] = int
        """Returns the bytes that the storage took so far."""
        self.wake: Callable[[], None] = _nobody
        """Makes the worker look at the queue at once; safe in signal handlers."""
        self.on_drop: Callable[[], None] = _nobody
        """Called at the first record that is dropped, on the caller's thread."""
        self.pending: deque[Any] = NOWHERE
        self._source: deque[Any] = deque()
        self.reset()

    def reset(self) -> None:
        """Forget everything that waits: a forked child starts anew, its parent has the rest."""
        self._source = self.pending = deque()
        self._callers = threading.RLock()
        self._line: deque[_Turn] = deque()  # the callers who wait for room, the first to come first
        self._bytes_put = self._bytes_taken
        self._stalled_at = -1
        self.failing = False
        self.encoding = False  # whether the worker is at a record that may be large
        self.asked = False
        self.inline = False
        self.dropped = 0
        self._drop_is_told = False

    @property
    def quick_room(self) -> int:
        """Return how many entries may wait if nobody but the caller looks at the queue: none, inline."""
        return 0 if self.inline else self._max_records

    @property
    def waiting(self) -> int:
        """Return the number of entries that wait."""
        return len(self._source)

    @property
    def is_awaited(self) -> bool:
        """Return whether a caller waits for room, or for the command that was put last."""
        with contextlib.suppress(IndexError):
            return bool(self._line) or isinstance(self._source[-1], Flush)
        return False

    @property
    def queued(self) -> int:
        """Return the number of entries accepted so far."""
        return self.taken + len(self._source)

    @property
    def pending_bytes(self) -> int:
        """Return the bytes of arrays that wait."""
        return self._bytes_put - self._bytes_taken

    def put(self, entry: Any) -> bool:
        """Append an entry when there is room; return False if it was dropped instead.

        Raises:
            ClosedQueueError: the queue was closed.
        """
        nbytes = entry.nbytes if type(entry) is RecordEntry else 0
        if (self._line or not self._has_room(nbytes)) and not self._wait_for_room(nbytes):
            self._drop()
            return False
        if nbytes:
            with self._callers:
                self._bytes_put += nbytes
        self.pending.append(entry)
        if self.inline or self.pending_bytes > self._max_bytes // 4:
            self.wake()
        return True

    def command(self, command: Any) -> None:
        """Append a command, whatever the bound, and make the worker look.

        Raises:
            ClosedQueueError: the queue was closed.
        """
        self.pending.append(command)
        self.asked = True
        self.wake()

    def refuse_more(self) -> None:
        """Take no more entries, and let those who wait for room go elsewhere."""
        self.pending = NOWHERE
        self.on_drop = _nobody
        self._call_first()

    def end_with(self, command: Close) -> None:
        """Append the last command, once, after `refuse_more`."""
        if not command.queued:
            command.queued = True
            self._source.append(command)
        self.asked = True
        self.wake()

    def take(self, limit: int) -> list[Any]:
        """Remove and return up to `limit` of the oldest entries (worker's side)."""
        pop = self._source.popleft
        entries = [pop() for _ in range(min(limit, len(self._source)))]
        self.taken += len(entries)
        return entries

    def put_back(self, entries: list[Any]) -> None:
        """Return taken entries to the head of the queue (worker's side)."""
        self._source.extendleft(reversed(entries))
        self.taken -= len(entries)

    def take_commands(self) -> list[Flush]:
        """Remove and return the commands alone (worker's side)."""
        commands = [entry for entry in tuple(self._source) if isinstance(entry, Flush)]
        for command in commands:
            self._source.remove(command)
        return commands

    def give_up(self) -> None:
        """Drop and count everything that waits (worker's side)."""
        self.count_dropped(len(self.take(len(self._source))))

    def done(self, nbytes: int) -> None:
        """Give back the room of taken entries and let those who wait for it go on (worker's side)."""
        self._bytes_taken += nbytes
        self._call_first()

    def recovered(self) -> None:
        """Let the next drop be told of anew (worker's side)."""
        self._drop_is_told = False

    def count_dropped(self, records: int) -> None:
        """Count records that are given up."""
        with self._callers:
            self.dropped += records

    def _call_first(self) -> None:
        """Let the first in the line look for room. It calls the next."""
        with contextlib.suppress(IndexError):
            self._line[0].call()

    def _has_room(self, nbytes: int) -> bool:
        pending = self.pending
        if pending is NOWHERE:
            raise ClosedQueueError
        waiting_bytes = self.pending_bytes
        return len(pending) < self._max_records and (
            waiting_bytes + nbytes <= self._max_bytes or waiting_bytes <= 0
        )

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
        try:
            return self._gets_room(nbytes, turn)
        finally:
            with contextlib.suppress(ValueError):  # in a child that a signal handler forked meanwhile
                self._line.remove(turn)
            self._call_first()

    def _gets_room(self, nbytes: int, turn: _Turn) -> bool:
        progress, since = self._progress(), time.monotonic()
        while not self.failing and self._stalled_at != self.taken:
            self.wake()
            if self._has_room(nbytes) and self._line[0] is turn:
                return True
            turn.wait(min(1.0, STALL_SECS))
            patience = ENCODING_SECS if self.encoding else STALL_SECS
            if progress != self._progress():
                progress, since = self._progress(), time.monotonic()
            elif time.monotonic() >= since + patience:
                self._stalled_at = self.taken
        return False

    def _progress(self) -> tuple[int, int, int]:
        return self.taken, self._bytes_taken, self.storage_took()


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
        """Return when the caller is called, or after so many seconds."""
        self._called.acquire(timeout=timeout)
