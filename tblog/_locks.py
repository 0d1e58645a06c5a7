"""Locks that a fork cannot leave locked, and the threads that must not wait.

In a forked child, each of these locks is free, even if another thread of the parent held it. Used from any thread.
"""

from __future__ import annotations

import _thread
import threading
import weakref


class ForkSafeLock(_thread.RLock):  # type: ignore[misc]  # final for type checkers alone
    """A reentrant lock: a signal handler or a finaliser may take it again in the thread that holds it.

    `with` calls the methods of the base, in which no handler can run: one that raises an error does not leave it locked.
    """

    def __init__(self) -> None:
        _locks.add(self)

    def renew(self) -> None:
        """Free the lock, even if another thread holds it."""
        self._at_fork_reinit()  # type: ignore[attr-defined]  # the threading module uses both

    def is_mine(self) -> bool:
        """Return whether the current thread has the lock."""
        mine: bool = self._is_owned()  # type: ignore[attr-defined]
        return mine


_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


class Answer:
    """A `threading.Event` that is safe in signal handlers.

    An Event has a lock inside. If a signal handler interrupts `wait` while its thread holds that lock, and then waits
    for the thread that calls `set`, it waits forever. An exception from a handler breaks the Event.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Wake all waiting threads."""
        if not self._is_set:
            self._is_set = True
            self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Return True once `set` was called, or False after `timeout` seconds."""
        if not self._is_set and self._lock.acquire(timeout=min(timeout, threading.TIMEOUT_MAX)):
            self._lock.release()  # wakes the next waiting thread
        return self._is_set


import_lock = ForkSafeLock()
"""An encoder holds this lock only while it imports modules. A child that is forked during an import would wait
forever when it imports the same module."""


class _Here(threading.local):
    works = False


here = _Here()
"""`here.works` says whether the current thread does a worker's work, and so must never wait for a worker. It is set in a
plain statement: a signal handler may come inside a call, and raise an error there."""


def renew_in_child() -> None:
    """Free the locks of other threads, which do not run in a forked child.

    The one that runs goes on with what it did when a signal handler forked, and releases its own.
    """
    for lock in tuple(_locks):
        if not lock.is_mine():
            lock.renew()
    here.works = False


def on_worker() -> bool:
    """Return whether the current thread does a worker's work (a finaliser may log there)."""
    return here.works
