"""The bytes written to an event file since its last sync, in case the storage refuses them later.

A network file system takes bytes into a cache and may refuse them when it sends them. The error then comes with a
sync, a close or a later write, and the bytes are gone. So tblog keeps them until a sync has confirmed them, and
writes them again at the same offset if needed.

Lives here: these bytes, and their offset. Must not: touch files. Runs on the worker thread.
"""

from __future__ import annotations

MAX_BYTES = 8 << 20
"""Maximum unsynced bytes kept for a file. If it has more, what the storage refuses later is lost."""


class Unsynced:
    """The bytes of a file from an offset on.

    Attributes:
        start: the offset; a sync has confirmed everything before it.
        is_whole: whether all bytes from there on are kept.
    """

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.is_whole = True
        self.content = bytearray()

    def add(self, written: bytearray, size: int) -> None:
        """Keep the first `size` bytes of `written`."""
        if not self.is_whole:
            return
        if len(self.content) + size > MAX_BYTES:
            self.is_whole = False
            self.content = bytearray()
            return
        with memoryview(written) as view, view[:size] as taken:
            self.content += taken

    def cut(self, end: int) -> None:
        """Discard the bytes behind `end`, where the file was truncated."""
        self.start = min(self.start, end)
        del self.content[max(0, end - self.start) :]

    def fits(self, size: int, end: int) -> bool:
        """Return whether a file of `size` bytes, which had `end`, can have lost only bytes that are kept here."""
        return self.is_whole and self.start <= size <= end
