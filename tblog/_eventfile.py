"""One event file: its name, its first event, and the promise that nothing follows a torn record.

Lives here: naming (Names), opening, appending whole records, finishing or cutting back one that
the storage took in part, syncing. Must not: encode records, report errors. Owned by the worker
thread once it is open.

Names: `events.out.tfevents.<seconds>.<host>.<nanoseconds>.<pid><suffix>`, all numbers zero-padded,
since TensorBoard reads the files of a run in the order of their names. A process never uses a
time twice, and the file is created exclusively: two writers never open the same one.
"""

from __future__ import annotations

import os
import socket
import threading
import time

from tblog import _framing
from tblog._resume import Resume
from tblog._sinks import FactorySink, LocalSink, Sink, is_remote, make_directory

_naming = threading.Lock()
_last_time_ns = 0


def _new_path(logdir: str, suffix: str) -> str:
    """Return a name that sorts after every earlier one of this process."""
    global _last_time_ns  # noqa: PLW0603 - names are unique in a process, so the process remembers the last
    with _naming:
        _last_time_ns = now = max(time.time_ns(), _last_time_ns + 1)
    secs, nanos = divmod(now, 1_000_000_000)
    host = socket.gethostname().replace("/", "_")
    name = f"events.out.tfevents.{secs:010d}.{host}.{nanos:09d}.{os.getpid():07d}{suffix}"
    return os.path.join(logdir, name)


def renew_lock_in_child() -> None:
    """Replace the naming lock, which another thread of the parent may have held at the fork."""
    global _naming  # noqa: PLW0603 - see above
    _naming = threading.Lock()


class EventFile:
    """An event file that is created when it is first needed.

    Args:
        logdir: the run's directory, or a URL whose prefix tensorboardX has a factory for.
        suffix: appended to the file's name.
        resume: what to do with earlier files of the directory, before this one is created.
    """

    def __init__(self, logdir: str, suffix: str = "", resume: Resume | None = None) -> None:
        self.logdir = logdir
        self._resume = resume
        self._suffix = suffix
        self.path = ""
        self.size = 0
        self._sink: Sink | None = None
        self._waiting = bytearray()  # whole records, the first `_torn` bytes of which are in the file
        self._torn = 0
        self._unsynced = False

    @property
    def is_open(self) -> bool:
        """Return whether the file holds a handle of the operating system."""
        return self._sink is not None

    @property
    def waiting_bytes(self) -> int:
        """Return how many bytes have not reached the operating system."""
        return len(self._waiting) - self._torn

    def open(self) -> None:
        """Create the directory and the file with its first event, or open the file again to append.

        Raises:
            OSError: when that cannot be done.
        """
        if self._sink is not None:
            return
        if self.path and self._reopen():
            return
        make_directory(self.logdir)
        if self._resume is not None:
            self._resume.prepare(self.logdir)
            self._resume = None
        while self._sink is None:
            path = _new_path(self.logdir, self._suffix)
            try:
                self._sink = FactorySink(path) if is_remote(path) else LocalSink(path, create=True)
            except FileExistsError:
                continue
            self.path, self.size, self._torn = path, 0, 0
        self._waiting[:0] = _framing.first_event(time.time())
        self.write()

    def _reopen(self) -> bool:
        """Open the same file again; False where it is not what was left there."""
        try:
            sink = LocalSink(self.path, create=False)
        except FileNotFoundError:
            return False
        if sink.size() != self.size:  # somebody else changed it: never append to that
            sink.close()
            return False
        self._sink = sink
        return True

    def append(self, frames: bytes | bytearray | memoryview) -> None:
        """Add whole framed records to what the next `write` hands over."""
        self._waiting += frames

    def write(self) -> int:
        """Hand everything that waits to the operating system and return the number of bytes.

        Raises:
            OSError: when the storage refuses. What it did not take waits for the next call, which
                goes on in the middle of a record if it must: nothing else is ever written between.
        """
        if not self._waiting:
            return 0
        self.open()
        assert self._sink is not None
        before = self.size
        try:
            while self._torn < len(self._waiting):
                taken = self._sink.write(self._waiting[self._torn :] if self._torn else self._waiting)
                self._torn += taken
                self.size += taken
        finally:
            self._unsynced = self._unsynced or self.size > before
            self._forget_whole_records()
        return self.size - before

    def _forget_whole_records(self) -> None:
        if self._torn == len(self._waiting):
            del self._waiting[:]
            self._torn = 0
            return
        whole = 0
        while (end := _framing.record_end(self._waiting, whole)) is not None and end <= self._torn:
            whole = end
        del self._waiting[:whole]
        self._torn -= whole

    def give_up(self) -> int:
        """Drop what waits, cut a torn record back, and return the number of records dropped."""
        dropped = end = 0
        while (next_end := _framing.record_end(self._waiting, end)) is not None:
            dropped, end = dropped + 1, next_end
        torn, self._torn = self._torn, 0
        del self._waiting[:]
        if torn and self._sink is not None:
            self._sink.cut(self.size - torn)
            self.size -= torn
        return dropped

    def sync(self) -> None:
        """Write what waits and wait for stable storage; does nothing when nothing is new."""
        self.write()
        if self._unsynced:
            self.open()
            assert self._sink is not None
            self._sink.sync()
            self._unsynced = False

    def release(self) -> None:
        """Give the handle back; a later `write` opens the file again and appends."""
        if self._sink is not None:
            sink, self._sink = self._sink, None
            sink.close()
