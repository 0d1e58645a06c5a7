"""Ctrl-C, held off while a call writes for itself: an interrupt inside a write would tear the record in the file.

Lives here: for how long it is held, and what happens to it then. Runs on the thread that logs, where no worker can
be started; Python's handlers run on the main thread alone.
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
    """Handle the first SIGINT at the end of the block; a second one at once, so that a block that hangs can be left."""
    own = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(own):
        yield
        return
    came: list[tuple[Any, ...]] = []

    def hold(*given: Any) -> None:
        if came:
            own(*given)
        came.append(given)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is hold:  # nobody set another one inside the block
            signal.signal(signal.SIGINT, own)
    if came:
        own(*came[0])
