"""What happens to a writer in a forked child.

Fork, tested in tests/test_contract.py: the child keeps nothing of the parent's queue and files. The parent writes
what waited at the fork, once. If the child goes on using a writer, the writer opens a new event file at its next
call. This holds for a fork by a signal handler, too, in the middle of any call of a writer: the call goes on in both
processes. A signal that comes during a fork waits for its end. All locks of other threads are free in the child. A
fork waits for a thread of tblog's that imports a module, and for nothing else.
"""

from __future__ import annotations

import os
import signal
import threading

from tblog._delivery import worker
from tblog._delivery.interrupts import signals_that_can_wait
from tblog._locks import import_lock, renew_in_child

IMPORT_SECS = 120.0
"""Maximum time that a fork waits for a thread that imports. A child forked in the middle of an import hangs when it
imports the same module, and loading torch can take more than ten seconds on a busy machine."""


class _Fork:
    """A fork that a thread is at."""

    def __init__(self) -> None:
        self.had_lock = import_lock.is_mine()
        """Whether the thread held the import lock before."""
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        """The signals that the thread did not receive before."""
        self.is_interrupted = False


class _Forking(threading.local):
    """The forks that a thread is at: a signal handler may fork while another fork waits for the lock."""

    def __init__(self) -> None:
        self.forks: list[_Fork] = []


_forking = _Forking()


def _before() -> None:
    fork = _Fork()
    _forking.forks.append(fork)
    # Python ignores what is raised here.
    try:
        if not fork.had_lock:
            import_lock.acquire(timeout=IMPORT_SECS)
    except KeyboardInterrupt:
        fork.is_interrupted = True
    try:
        # So that no handler finds a child that has not left its channels to the parent.
        signal.pthread_sigmask(signal.SIG_BLOCK, signals_that_can_wait())
    except KeyboardInterrupt:
        fork.is_interrupted = True


def _end() -> _Fork:
    """Release what the last `_before` locked."""
    fork = _forking.forks.pop() if _forking.forks else _Fork()  # an interrupt may have come before `_before`
    # It may also have come before the lock, or behind it.
    if not fork.had_lock and import_lock.is_mine():
        import_lock.release()
    return fork


def _let_signals_come(fork: _Fork) -> None:
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, fork.mask)
    except KeyboardInterrupt:
        fork.is_interrupted = True
    if fork.is_interrupted:
        again = threading.Timer(0.01, _interrupt_main_thread)  # raised here, it would be ignored again
        again.daemon = True
        again.start()


def _interrupt_main_thread() -> None:
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)


def _after_in_parent() -> None:
    _let_signals_come(_end())


def _after_in_child() -> None:
    fork = _end()
    try:
        renew_in_child()
        worker.start_anew_in_child()
    finally:
        _let_signals_come(fork)


def arm() -> None:
    """Register the hooks. Called once, when the first module that opens files is imported."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
