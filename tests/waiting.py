"""Waits with a deadline: for a condition, and for a call that might hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

HANG_SECS = 60.0


def wait_until(happened: Callable[[], object], secs: float = HANG_SECS) -> None:
    """Wait until a condition holds; fail if it does not within this many seconds."""
    deadline = time.monotonic() + secs
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def within(secs: float, work: Callable[[], object]) -> object:
    """Run a function in a thread for at most this many seconds, and return what it returned or raised."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(secs)
    assert outcome, "hung"
    return outcome[0]


def run_threads(threads: Iterable[threading.Thread]) -> None:
    """Start all of these threads; each must end."""
    started = list(threads)
    for thread in started:
        thread.start()
    join(started)


def join(threads: Iterable[threading.Thread]) -> None:
    """Wait until all of these threads have ended; fail if one hangs."""
    for thread in threads:
        thread.join(HANG_SECS)
        assert not thread.is_alive(), f"{thread.name} hangs"
