"""Delays Ctrl-C while a call writes for itself: an interrupt inside a write could tear the record in the file.

Runs on the thread that logs, if no worker can be started. Only the main thread is ever interrupted.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Handle the first SIGINT at the end of the block, and a second one at once, in case the block hangs."""
    own = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(own):
        yield
        return
    came: list[tuple[Any, ...]] = []

    def hold(*given: Any) -> None:
        if came:
            own(*given)
        came.append(given)

    try:
        signal.signal(signal.SIGINT, hold)
    except ValueError:  # a sub-interpreter, which no signal interrupts
        yield
        return
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is hold:  # nobody set another one inside the block
            signal.signal(signal.SIGINT, own)
    if came:
        own(*came[0])
