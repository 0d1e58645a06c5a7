"""The bounded queue between the threads that log and the one that writes, and its counters.

Lives here: the order of entries, the bound in records and bytes, what happens when it is reached.
Must not: encode, touch files, start threads.
Callers' threads put; one worker thread takes. No lock is shared by the two sides, so a signal handler,
a finaliser or a forked child that logs can never wait for a lock that its own thread holds.

The contract, each heading with a test of its name in tests/test_contract.py:

Ordering: the entries that one thread puts are taken in the order of its calls.
Overflow: full, `put` waits for room, first come first served, or drops and counts, as the options
say. A queue whose worker makes no progress for `STALL_SECS`, or whose files cannot be written,
drops and counts too: training goes on. The queue exceeds its bound by at most one record for each
thread that logs; a record larger than the bound is taken when it is alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from tblog._entries import RecordEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog.options import Overflow

STALL_SECS = 10.0


def _nobody() -> None:
    """Wake no worker: none serves the queue yet."""


class RecordQueue:
    """A first-in first-out queue with a bound in records and in bytes of arrays.

    Args:
        max_records: entries that may wait.
        max_bytes: bytes of arrays that may wait.
        overflow: "wait" or "drop".
    """

    def __init__(self, max_records: int, max_bytes: int, overflow: Overflow) -> None:
        self.max_records = max_records
        self._max_bytes = max_bytes
        self._overflow = overflow
        self.failing = False
        self.asked = False
        self.taken = 0
        self._bytes_taken = 0
        self.wake: Callable[[], None] = _nobody
        """Makes the worker look at the queue at once; safe in signal handlers."""
        self.reset()

    def reset(self) -> None:
        """Forget everything that waits: a forked child starts anew, its parent has the rest."""
        self.pending: deque[Any] = deque()
        self._callers = threading.RLock()
        self._waiting: deque[threading.Lock] = deque()
        self._bytes_put = self._bytes_taken
        self._stalled_at = -1
        self.dropped = 0

    @property
    def queued(self) -> int:
        """Return the number of entries accepted so far."""
        return self.taken + len(self.pending)

    @property
    def pending_bytes(self) -> int:
        """Return the bytes of arrays that wait."""
        return self._bytes_put - self._bytes_taken

    def put(self, entry: Any) -> bool:
        """Append an entry when there is room; return False if it was dropped instead."""
        nbytes = entry.nbytes if type(entry) is RecordEntry else 0
        if not self._has_room(nbytes) and not self._wait_for_room(nbytes):
            with self._callers:
                self.dropped += 1
            return False
        if nbytes:
            with self._callers:
                self._bytes_put += nbytes
        self.pending.append(entry)
        if self.pending_bytes > self._max_bytes // 4:
            self.wake()
        return True

    def command(self, command: Any) -> None:
        """Append a command, whatever the bound, and make the worker look."""
        self.pending.append(command)
        self.asked = True
        self.wake()

    def take(self, limit: int) -> list[Any]:
        """Remove and return up to `limit` of the oldest entries (worker's side)."""
        pop = self.pending.popleft
        entries = [pop() for _ in range(min(limit, len(self.pending)))]
        self.taken += len(entries)
        return entries

    def put_back(self, entries: list[Any], commands: list[Any]) -> None:
        """Return taken entries but the commands to the head of the queue (worker's side)."""
        answered = set(map(id, commands))
        kept = [entry for entry in entries if id(entry) not in answered]
        self.pending.extendleft(reversed(kept))
        self.taken -= len(kept)

    def done(self, nbytes: int) -> None:
        """Give back the room of taken entries and let those who wait for it go on (worker's side)."""
        self._bytes_taken += nbytes
        for _ in range(min(len(self._waiting), max(1, self.max_records - len(self.pending)))):
            try:
                self._waiting.popleft().release()
            except IndexError:  # the waiter gave up meanwhile
                return

    def _has_room(self, nbytes: int) -> bool:
        waiting_bytes = self.pending_bytes
        return len(self.pending) < self.max_records and (
            waiting_bytes + nbytes <= self._max_bytes or waiting_bytes == 0
        )

    def _wait_for_room(self, nbytes: int) -> bool:
        if self._overflow == "drop":
            return False
        progress = (self.taken, self._bytes_taken)
        deadline = time.monotonic() + STALL_SECS
        while not self.failing and self._stalled_at != self.taken:
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
            self.wake()
            if not self._has_room(nbytes):
                turn.acquire(timeout=max(0.0, min(1.0, deadline - time.monotonic())))
            if self._has_room(nbytes):
                return True
            if progress != (self.taken, self._bytes_taken):
                progress = (self.taken, self._bytes_taken)
                deadline = time.monotonic() + STALL_SECS
            elif time.monotonic() >= deadline:
                self._stalled_at = self.taken
        return False
