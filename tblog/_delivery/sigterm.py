"""Closes writers at SIGTERM, if their options ask for it.

Lives here: the handler, and when it may be installed: never if the program handles the signal itself.
Must not: close anything itself. Runs on the main thread, where Python runs its handlers.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tblog._reports import logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def arrange(close_all: Callable[[], None]) -> None:
    """Let SIGTERM call `close_all` before it ends the process, unless a handler is installed already.

    A handler of the program stays in place, an ignored signal stays ignored, and a handler that is installed later
    replaces this one.
    """
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # so that a second one does not wait
        close_all()
        os.kill(os.getpid(), number)  # the exit status is that of a process which SIGTERM ended

    try:
        signal.signal(signal.SIGTERM, end)
    except ValueError:
        logger.warning(
            "tblog: close_at_sigterm has no effect, since the writer was opened outside of the main thread, where "
            "Python sets no handlers; open it in the main thread, or close it in a handler of your own"
        )
