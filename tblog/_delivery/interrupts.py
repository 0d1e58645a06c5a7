"""Delays signal handlers while a call writes for itself.

An error that a handler raises, such as KeyboardInterrupt, could tear the record in the file, or be taken for tblog's.
Runs on the thread that logs, if no worker can be started. Only the main thread is ever interrupted.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@functools.cache
def signals_that_can_wait() -> tuple[int, ...]:
    """Return the numbers of all signals but those of errors in the program itself."""
    errors = {"SIGSEGV", "SIGFPE", "SIGILL", "SIGABRT", "SIGBUS"}
    return tuple(int(each) for each in signal.valid_signals() if getattr(each, "name", "") not in errors)


class _Hold:
    """A handler in the place of the program's own: the first signal of each kind waits, a second one does not."""

    def __init__(self) -> None:
        self.own: dict[int, Callable[..., object]] = {}
        self.is_over = False
        self._came: dict[int, tuple[Any, ...]] = {}

    def __call__(self, number: int, *given: Any) -> None:
        if self.is_over or number in self._came:
            self.own[number](number, *given)
        else:
            self._came[number] = given

    def start(self) -> None:
        """Take the place of the program's handlers."""
        for number in signals_that_can_wait():
            own = signal.getsignal(number)
            # One that is over is still there if a handler raised an error before all were put back.
            while isinstance(own, _Hold) and own.is_over:
                own = own.own[number]
            if callable(own):
                self.own[number] = own
                signal.signal(number, self)

    def end(self) -> None:
        """Put the handlers back, then let them handle what came, each of them even if another raises an error."""
        try:
            for number, own in self.own.items():
                if signal.getsignal(number) is self:  # nobody set another one inside the block
                    signal.signal(number, own)
        finally:
            self.is_over = True
            self._handle()

    def _handle(self) -> None:
        try:
            if self._came:
                number, given = self._came.popitem()
                self.own[number](number, *given)
        finally:
            if self._came:
                self._handle()


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Handle the first signal of each kind at the end of the block, and a second one at once, in case the block hangs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hold = _Hold()
    try:
        with contextlib.suppress(ValueError):  # a sub-interpreter, which no signal interrupts
            hold.start()
        yield
    finally:
        hold.end()
