"""Locks that a fork cannot leave locked, and the threads that must not wait.

In a forked child, each of these locks is free, even if another thread of the parent held it. Used from any thread.
"""

from __future__ import annotations

import threading
import weakref
from typing import Self


class ForkSafeLock:
    """A reentrant lock: a signal handler or a finaliser may take it again in the thread that holds it."""

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Free the lock, even if another thread holds it."""
        self._lock = threading.RLock()

    def acquire(self, *, timeout: float) -> bool:
        """Take the lock within `timeout` seconds, with 0 immediately. Return False if that failed."""
        return self._lock.acquire(timeout=timeout)

    def is_mine(self) -> bool:
        """Return whether the current thread has the lock."""
        mine: bool = self._lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001 - threading.Condition uses it, too
        return mine

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


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

_here = threading.local()


def renew_in_child() -> None:
    """Free the locks of other threads, which do not run in a forked child.

    The one that runs goes on with what it did when a signal handler forked, and releases its own.
    """
    for lock in tuple(_locks):
        if not lock.is_mine():
            lock.renew()
    mark_worker(works=False)


def mark_worker(*, works: bool) -> None:
    """Record whether the current thread does a worker's work, and so must never wait for a worker."""
    _here.works = works


def on_worker() -> bool:
    """Return whether the current thread does a worker's work (a finaliser may log there)."""
    return getattr(_here, "works", False)
