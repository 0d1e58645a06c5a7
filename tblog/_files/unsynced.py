"""What was written to an event file since its last sync, for storage that refuses it later.

A network file system takes bytes into a cache and may refuse them when it sends them: the error comes with a
sync, a close or a later write, and the bytes are gone. So they are kept until a sync has confirmed them, and written
again to the same place.

Lives here: these bytes, and their place. Must not: touch files. Runs on the worker thread.
"""

from __future__ import annotations

MAX_BYTES = 8 << 20
"""Most bytes that are kept of a file. Of a file that has more, what the storage refuses later is lost."""


class Unsynced:
    """The bytes of a file from a place on.

    Attributes:
        start: their place, which a sync has confirmed.
        is_whole: whether all are kept.
    """

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.is_whole = True
        self.content = bytearray()

    def add(self, written: bytearray, size: int) -> None:
        """Keep the first `size` of bytes that were written."""
        if not self.is_whole:
            return
        if len(self.content) + size > MAX_BYTES:
            self.is_whole = False
            self.content = bytearray()
            return
        with memoryview(written) as view, view[:size] as taken:
            self.content += taken

    def cut(self, end: int) -> None:
        """Forget what is behind a place to which the file was cut back."""
        self.start = min(self.start, end)
        del self.content[max(0, end - self.start) :]

    def fits(self, size: int, end: int) -> bool:
        """Return whether a file that had bytes up to `end` may have lost some of these, and nothing else."""
        return self.is_whole and self.start <= size <= end
