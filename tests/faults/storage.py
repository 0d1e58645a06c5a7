"""Storage in memory that fails as local disks and network file systems do, at random and again and again."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from random import Random

from tblog._files.sinks import Identity

ERRORS = (errno.ENOSPC, errno.EIO, errno.ESTALE, errno.EDQUOT, errno.EACCES)
FAULTS = (
    "create",
    "open",
    "write",
    "part",
    "sync",
    "rewrite",
    "sync rewritten",
    "cut",
    "size",
    "close",
)
"""What may fail. A "part" is a write that takes only some bytes; a "create" fails after the file is there."""


class FaultyFile:
    """A handle of a file; see `tblog._files.sinks.Sink`.

    What a sync or a close refuses is gone: all of it, its end, or a part in the middle, which becomes zeros.
    """

    def __init__(self, storage: FaultyStorage, path: str) -> None:
        self._storage = storage
        self._path = path
        self._content = storage.files[path]
        self.buffers = storage.confirms
        self.identity: Identity | None = None if self.buffers else (0, list(storage.files).index(path))

    def write(self, data: bytearray) -> int:
        storage = self._storage
        storage.may_fail("write")
        taken = len(data) if self.buffers else min(len(data), storage.largest - len(self._content))
        if taken <= 0:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if not self.buffers and storage.happens("part"):
            taken = storage.random.randint(1, taken)
        self._content += data[:taken]
        storage.taken[self._path] += data[:taken]
        return taken

    def sync(self) -> None:
        self._send("sync")

    def write_again(self, data: bytearray, start: int) -> None:
        self._content += bytes(max(0, start - len(self._content)))
        if self._storage.happens("rewrite"):
            part = data[: self._storage.random.randint(0, len(data))]
            self._content[start : start + len(part)] = part
            self._storage.fail()
        self._content[start : start + len(data)] = data
        self._send("sync rewritten")

    def _send(self, what: str) -> None:
        if self._storage.happens(what):
            self._storage.lose(self._path)
            self._storage.fail()
        self._storage.stored[self._path] = len(self._content)

    def cut(self, size: int) -> None:
        if self.buffers:
            return
        self._storage.may_fail("cut")
        del self._content[size:]
        del self._storage.taken[self._path][size:]
        self._storage.stored[self._path] = min(self._storage.stored[self._path], size)

    def size(self) -> int:
        self._storage.may_fail("size")
        return len(self._content)

    def is_intact(self, path: str, size: int) -> bool:
        return path in self._storage.files and len(self._content) == size

    def close(self) -> None:
        if self._storage.happens("close"):
            self._storage.lose(self._path)
            self._storage.fail()
        if self.buffers:
            self._storage.stored[self._path] = len(self._content)

    def forget_in_child(self) -> None:
        """Do nothing: nobody forks here."""


class FaultyStorage:
    """Files in memory.

    Args:
        random: decides what fails, and how.
        confirms: whether what is written counts once a sync or a close has confirmed it, as in a user's factory's file.

    Attributes:
        files: the content of each path, in the order of their creation.
        taken: what each should contain: all bytes that it took and was not told to cut off.
        stored: how many bytes of it nothing can lose.
        chances: how probable each of the `FAULTS` is.
        largest: maximum size of a file, in bytes.
    """

    def __init__(self, random: Random, *, confirms: bool) -> None:
        self.random = random
        self.confirms = confirms
        self.files: dict[str, bytearray] = {}
        self.taken: dict[str, bytearray] = {}
        self.stored: dict[str, int] = {}
        self.chances: Mapping[str, float] = {}
        self.largest = 1 << 40

    def open(self, path: str, *, create: bool) -> FaultyFile:
        """Open a file, as `tblog._files.sinks.open_sink` does."""
        if not create:
            self.may_fail("open")
        if create == (path in self.files):
            raise FileExistsError(path) if create else FileNotFoundError(path)
        if create:
            self.files[path], self.taken[path], self.stored[path] = bytearray(), bytearray(), 0
            self.may_fail("create")
        return FaultyFile(self, path)

    def happens(self, what: str) -> bool:
        """Return whether a fault happens now."""
        return self.random.random() < self.chances.get(what, 0.0)

    def may_fail(self, what: str) -> None:
        """Raise if a fault happens now."""
        if self.happens(what):
            self.fail()

    def fail(self) -> None:
        """Raise one of the errors of a storage."""
        error = self.random.choice(ERRORS)
        raise OSError(error, os.strerror(error))

    def lose(self, path: str) -> None:
        """Lose some of what is not stored yet, all of it or nothing."""
        content, stored = self.files[path], self.stored[path]
        first, last = sorted(self.random.randint(stored, len(content)) for _ in range(2))
        how = self.random.choice(["all", "end", "middle", "nothing"])
        if how == "all":
            del content[stored:]
        elif how == "end":
            del content[first:]
        elif how == "middle":
            content[first:last] = bytes(last - first)

    def recover(self) -> None:
        """Never fail again."""
        self.chances, self.largest = {}, 1 << 40
