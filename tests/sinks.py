"""A clock that a test turns, an in-memory disk that fails on demand, and the smallest possible records."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tblog._delivery.entries import Scalar
from tblog._wire import events, framing
from tests import reading


def scalar(step: int) -> Scalar:
    """Return a number with the tag "x", as it crosses the queue."""
    return ("x", 0.5, step, 1.0)


def event_record(step: int) -> bytes:
    """Return a framed event without a payload."""
    return framing.frame(events.head(1.0, step))


class Clock:
    """A monotonic clock, in seconds, that moves only when a test turns it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def turn(self, secs: float) -> None:
        """Let this many seconds pass."""
        self.now += secs


class MemorySink:
    """One file of a `MemoryDisk`."""

    buffers = False

    def __init__(self, disk: MemoryDisk, path: str) -> None:
        self.disk = disk
        self.path = path
        self.identity = (0, disk.number_of(path))

    def write(self, data: bytearray) -> int:
        taken = min(len(data), self.disk.room)
        if not taken or self.disk.error:
            raise OSError(self.disk.error or errno.ENOSPC, os.strerror(self.disk.error or errno.ENOSPC))
        self.disk.room -= taken
        self.disk.files[self.path] += data[:taken]
        return taken

    def sync(self) -> None:
        self.disk.store(self.path)
        self.disk.syncs.append(self.path)

    def write_again(self, data: bytearray, start: int) -> None:
        self.disk.files[self.path][start : start + len(data)] = data
        self.sync()

    def cut(self, size: int) -> None:
        del self.disk.files[self.path][size:]

    def size(self) -> int:
        return len(self.disk.files[self.path])

    def is_intact(self, path: str, size: int) -> bool:
        return len(self.disk.files.get(path, b"")) == size

    def close(self) -> None:
        self.disk.closed.append(self.path)
        if self.disk.late_errors:
            self.disk.store(self.path)

    forget_in_child = close


class MemoryDisk:
    """A disk in memory.

    Attributes:
        files: the contents of each path.
        room: bytes still free.
        error: the errno that each write raises, 0 for none.
        late_errors: errnos of the next syncs and closes, which lose what was written since the last sync.
        syncs: the path of each sync.
        closed: the path of each closed handle.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.room = 1 << 30
        self.error = 0
        self.late_errors: list[int] = []
        self.stored: dict[str, int] = {}
        self.syncs: list[str] = []
        self.closed: list[str] = []

    def open(self, path: str, *, create: bool) -> MemorySink:
        """Open a file, as `tblog._files.sinks.open_sink` does."""
        if create == (path in self.files):
            raise FileExistsError(path) if create else FileNotFoundError(path)
        self.files.setdefault(path, bytearray())
        return MemorySink(self, path)

    def store(self, path: str) -> None:
        """Make a file's bytes durable, or lose them."""
        if self.late_errors:
            del self.files[path][self.stored.get(path, 0) :]
            error = self.late_errors.pop(0)
            raise OSError(error, os.strerror(error))
        self.stored[path] = len(self.files[path])

    def number_of(self, path: str) -> int:
        """Return a file's identity."""
        return list(self.files).index(path)

    def save(self, path: str, to: Path) -> Path:
        """Save a file's bytes to a real file, so that a reader can read them; return its path."""
        copy = to / Path(path).name
        copy.write_bytes(self.files[path])
        return copy

    def steps(self, path: str, tmp_path: Path) -> list[int]:
        """Return the steps in a file, as TensorBoard's reader sees them; a torn record raises."""
        return [event.step for event in reading.events(self.save(path, tmp_path)) if not event.file_version]
