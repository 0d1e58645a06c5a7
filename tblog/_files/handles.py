"""The pool of file handles for event files, which leaves enough handles for the program.

Lives here: the handles that no file uses at the moment, how many may stay open, and which are closed if the
system has none left. A process has few, usually 1,024, and all its writers share them with the program.
Must not: open or write files. Runs on any thread: whoever takes a handle out of the table has it alone.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tblog._files.sinks import Sink

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

NONE_LEFT = {errno.EMFILE, errno.ENFILE}
"""Error codes if the process, or the machine, has no handle left."""

SHARE = 4
"""Event files hold at most one handle in this many of the process."""

MOST, FEWEST = 1024, 4
FEW_SECS = 60.0
"""Time after the handles ran out during which event files hold no more than were left then."""

Opened = TypeVar("Opened")


class Holder(Protocol):
    """A file that reopens itself if its handle was closed.

    Attributes:
        is_spare: the file of a run below, whose handle is closed before that of a writer's own run.
    """

    is_spare: bool

    def closing_failed(self) -> None:
        """Note that the storage may have lost what it took since the last sync."""
        ...


_idle: dict[Holder, Sink] = {}  # the least recently used first
_few = MOST
_few_until = 0.0


def take_up(holder: Holder) -> bool:
    """Take a file's handle from the pool; return False if it was closed meanwhile."""
    return _idle.pop(holder, None) is not None


def lay_down(holder: Holder, sink: Sink) -> None:
    """Put a handle into the pool, which may close it to make room for others."""
    _idle[holder] = sink
    over = len(_idle) - _most()
    if over > 0:
        _close(over, [each for each in tuple(_idle) if each.is_spare and each is not holder])


def with_handles(opening: Callable[[], Opened]) -> Opened:
    """Call a function that needs handles. If the system has none left, close some of the pool and call it again.

    Raises:
        OSError: what `opening` raises; that there is no handle only where none is left here.
    """
    while True:
        try:
            return opening()
        except OSError as error:
            if error.errno not in NONE_LEFT or not _make_room():
                raise


def _make_room() -> bool:
    """Close half of the handles, or at least one; return whether there was any."""
    global _few, _few_until
    holders = sorted(_idle, key=lambda holder: not holder.is_spare)
    closed = _close(max(1, len(holders) // 2), holders)
    if closed:
        _few, _few_until = max(FEWEST, len(holders) - closed), time.monotonic() + FEW_SECS
    return closed > 0


def _close(count: int, holders: Iterable[Holder]) -> int:
    closed = 0
    for holder in holders:
        sink = _idle.pop(holder, None) if closed < count else None
        if sink is not None:
            closed += 1
            try:
                sink.close()
            except OSError:
                holder.closing_failed()
    return closed


def _most() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource is not None else -1
    share = MOST if limit < 0 else min(MOST, max(FEWEST, limit // SHARE))
    return min(share, _few) if time.monotonic() < _few_until else share
