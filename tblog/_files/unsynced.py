"""The bytes written to an event file since its last sync, in case the storage refuses them later.

A network file system takes bytes into a cache and may refuse them when it sends them. The error then comes with a
sync, a close or a later write, and the bytes are gone. So tblog keeps them until a sync has confirmed them, and
writes them again at the same offset if needed.

Lives here: these bytes, and their offset. Must not: touch files. Used on the worker threads: each file on one.
"""

from __future__ import annotations

MAX_BYTES = 8 << 20
"""Maximum unsynced bytes kept in the process. A file for which there is no room keeps none until its next sync:
what the storage refuses of it before that is lost."""

JOINED_BYTES = 1 << 16
"""Maximum size up to which pieces are joined, so that there are not too many of them."""


class _Room:
    """The room that all files share.

    There is no lock, for which a worker might have to wait while a signal handler waits for the worker: CPython
    switches threads and runs signal handlers only after calls and at backward jumps.
    """

    def __init__(self) -> None:
        self._taken = 0

    def take(self, size: int) -> bool:
        """Take `size` bytes; return False, and take none, if there is no room."""
        if self._taken + size > MAX_BYTES:
            return False
        self._taken += size
        return True

    def give_back(self, size: int) -> None:
        """Return `size` bytes."""
        self._taken -= size

    def clear(self) -> None:
        """Return all bytes."""
        self._taken = 0


_room = _Room()


def start_anew_in_child() -> None:
    """Free the whole room in a forked child, whose files keep nothing: a thread may have been about to keep bytes."""
    _room.clear()


class Unsynced:
    """The bytes of a file from an offset on.

    They are kept in the pieces that were written: one buffer of megabytes that grows is moved in memory now and
    then, which held the interpreter lock for up to 12 ms.

    Attributes:
        start: the offset; a sync has confirmed everything before it.
        size: number of bytes kept.
        is_whole: whether all bytes from there on are kept.
    """

    def __init__(self) -> None:
        self._pieces: list[bytearray] = []
        self.size = 0
        self.restart(0)

    def content(self) -> bytearray:
        """Return a copy of the bytes."""
        return bytearray().join(self._pieces)

    def restart(self, start: int) -> None:
        """Begin again at `start`: everything before it is confirmed, or given up."""
        self._forget()
        self.start = start
        self.is_whole = True

    def _forget(self) -> None:
        _room.give_back(self.size)
        self._pieces, self.size = [], 0

    def add(self, written: bytearray, size: int) -> None:
        """Keep the first `size` bytes of `written`, which belongs here from now on if these are all."""
        if not self.is_whole:
            return
        self.is_whole = False  # until they are kept: memory may run out
        if not _room.take(size):
            self._forget()
            return
        self.size += size
        piece = written if size == len(written) else written[:size]
        if self._pieces and len(self._pieces[-1]) + size <= JOINED_BYTES:
            self._pieces[-1] += piece
        else:
            self._pieces.append(piece)
        self.is_whole = True

    def cut(self, end: int) -> None:
        """Discard the bytes behind `end`, where the file was truncated."""
        self.start = min(self.start, end)
        kept = max(0, end - self.start)
        if kept < self.size:
            _room.give_back(self.size - kept)
            self._pieces, self.size = [self.content()[:kept]], kept

    def fits(self, size: int, end: int) -> bool:
        """Return whether a file of `size` bytes, which had `end`, can have lost only bytes that are kept here."""
        return self.is_whole and self.start <= size <= end
