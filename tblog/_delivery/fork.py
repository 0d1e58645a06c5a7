"""What happens to a writer in a forked child.

Fork, tested in tests/test_contract.py: the child keeps nothing of the parent's queue and files. The parent writes
what waited at the fork, once. If the child goes on using a writer, the writer opens a new event file at its next
call. This holds for a fork by a signal handler, too, in the middle of any call of a writer: the call goes on in both
processes. All locks of other threads are free in the child. A fork waits for a thread of tblog's that imports a
module, and for nothing else.
"""

from __future__ import annotations

import os
import signal
import threading

from tblog._delivery import worker
from tblog._locks import import_lock, renew_in_child

IMPORT_SECS = 120.0
"""Maximum time that a fork waits for a thread that imports. A child forked in the middle of an import hangs when it
imports the same module, and loading torch can take more than ten seconds on a busy machine."""


class _Forking(threading.local):
    """The fork that a thread is at."""

    has_locked = False
    """Whether the thread holds the import lock for this fork alone."""
    is_interrupted = False


_forking = _Forking()


def _before() -> None:
    _forking.is_interrupted = False
    if import_lock.is_mine():
        return
    _forking.has_locked = True
    try:
        import_lock.acquire(timeout=IMPORT_SECS)
    except KeyboardInterrupt:  # Python ignores what is raised here
        _forking.is_interrupted = True


def _unlock() -> None:
    # An interrupt may have come before the lock, or behind it.
    if _forking.has_locked and import_lock.is_mine():
        import_lock.release()
    _forking.has_locked = False


def _after_in_parent() -> None:
    _unlock()
    if _forking.is_interrupted:
        again = threading.Timer(0.01, _interrupt_main_thread)  # raised here, it would be ignored again
        again.daemon = True
        again.start()


def _interrupt_main_thread() -> None:
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)


def _after_in_child() -> None:
    _unlock()
    renew_in_child()
    worker.start_anew_in_child()


def arm() -> None:
    """Register the hooks. Called once, when the first module that opens files is imported."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
