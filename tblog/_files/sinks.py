"""The storage of one event file: a local file, or one that a user's factory opens.

Lives here: opening under a name that nobody else has, writing, cutting back, syncing.
Must not: know what a record or an event is. Every failure is an OSError. Runs on the worker thread, except
for the first opening, which runs in the call, so that a log directory that cannot be written is an error
there.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import time
from typing import Any, BinaryIO, Protocol

from tblog._files.stores import as_factory_errors, check_directory, is_remote, open_store

try:
    import fcntl  # early: finalisers that run while the interpreter exits cannot import
except ModuleNotFoundError:
    fcntl = None  # type: ignore[assignment]


Identity = tuple[int, int]
"""Device and inode: identify a file of this machine, whatever its name."""


class Sink(Protocol):
    """Takes bytes in order, and can make them durable.

    Attributes:
        buffers: what is written may still be lost, until a `sync` or `close` returns. Nobody knows what such a file
            has after a failure.
        identity: of a local file.
    """

    buffers: bool
    identity: Identity | None

    def write(self, data: bytearray) -> int:
        """Hand bytes to the storage; return how many it took."""
        ...

    def sync(self) -> None:
        """Wait until everything written is on stable storage."""
        ...

    def write_again(self, data: bytearray, start: int) -> None:
        """Put bytes to where they were written before; return when they are on stable storage."""
        ...

    def cut(self, size: int) -> None:
        """Shorten what is stored to its first `size` bytes."""
        ...

    def size(self) -> int:
        """Return how many bytes are stored."""
        ...

    def is_intact(self, path: str, size: int) -> bool:
        """Return whether `path` still names this file, and it has `size` bytes."""
        ...

    def close(self) -> None:
        """Close the handle."""
        ...

    def forget_in_child(self) -> None:
        """Close a forked child's copy of the handle without touching the parent's file."""
        ...


def identity(fd: int) -> Identity:
    """Return the identity of an open file."""
    there = os.fstat(fd)
    return there.st_dev, there.st_ino


def claim(fd: int, *, alone: bool = False, without_locks: bool = True) -> bool:
    """Lock a file as one of its writers, or `alone`; return False if others hold it.

    Readers are not affected. Where there are no locks (Windows, some network file systems), this returns `without_locks`.
    """
    if fcntl is None:
        return without_locks
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without_locks
    return True


def open_to_claim(path: str) -> BinaryIO:
    """Open a file to read it, and to lock it alone: on NFS that wants a handle for writing (man 2 flock).

    Raises:
        OSError: it cannot be read.
    """
    try:
        return open(path, "r+b")
    except OSError:  # it may be read and not written
        return open(path, "rb")


def let_go(fd: int) -> None:
    """Release the lock of `claim`, also for forked children that share the handle."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)


LATE_SECS = 60.0
"""Time after which a file that was never found by its name was moved: caches of network file systems last as long."""


_forks = 0


def start_anew_in_child() -> None:
    """Note that this process is a forked child."""
    global _forks  # noqa: PLW0603 - known to the process
    _forks += 1


class LocalSink:
    """A file of the local file system, opened for appending and never truncated at opening."""

    buffers = False

    def __init__(self, path: str, *, create: bool) -> None:
        # Also for reading: a shared lock on NFS wants that (man 2 flock).
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        if create:
            flags |= os.O_CREAT | os.O_EXCL
        self._path = path
        self._made_after = _forks if create else -1  # no signal handler can fork between this and the opening
        self._fd = os.open(path, flags, 0o666)
        self.identity: Identity | None = identity(self._fd)
        self._late_until = time.monotonic() + LATE_SECS if create else 0.0
        claim(self._fd)

    def write(self, data: bytearray) -> int:
        """Write to the operating system, which may take only a part."""
        return os.write(self._fd, data)

    def sync(self) -> None:
        """Wait for the disk."""
        os.fsync(self._fd)

    def write_again(self, data: bytearray, start: int) -> None:
        """Write over the file, by a handle that does not append, and wait for the disk."""
        handle = os.open(self._path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        try:
            self._write_over(handle, data, start)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(handle)
            raise
        os.close(handle)

    def _write_over(self, handle: int, data: bytearray, start: int) -> None:
        if identity(handle) != self.identity:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), self._path)
        os.lseek(handle, start, os.SEEK_SET)
        done = 0
        with memoryview(data) as view:
            while done < len(view):
                done += os.write(handle, view[done:])
        os.fsync(handle)

    def cut(self, size: int) -> None:
        """Truncate the file, which may be shorter already if the storage lost its end: it would get zeros."""
        os.ftruncate(self._fd, min(size, self.size()))

    def close(self) -> None:
        """Close the file."""
        handle, self._fd = self._fd, -1  # a child that a signal handler forks behind this closes it here, too
        os.close(handle)

    def size(self) -> int:
        """Return the file's length in bytes."""
        return os.fstat(self._fd).st_size

    def is_intact(self, path: str, size: int) -> bool:
        """Return whether nobody removed, replaced, shortened or lengthened the file."""
        try:
            there = os.stat(path)
        except FileNotFoundError:
            return time.monotonic() < self._late_until and os.fstat(self._fd).st_nlink > 0
        except NotADirectoryError:
            return False
        self._late_until = 0.0
        return (there.st_dev, there.st_ino) == self.identity and there.st_size == size

    def forget_in_child(self) -> None:
        """Close the handle, and forget its number: a signal handler may have forked inside a method here.

        A file that the child has made, because it was forked just before, is removed: nothing will be written to it.
        """
        if self._fd >= 0:
            self.close()
        if self._made_after == _forks:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


class FactorySink:
    """What a user's factory opened, or for a `RecordWriter`, a file of a store."""

    buffers = True
    identity: Identity | None = None

    def __init__(self, path: str) -> None:
        self._file: Any = open_store(path)
        self._path = path

    def write(self, data: bytes | bytearray) -> int:
        """Write to the file, which takes all or raises."""
        with as_factory_errors(self._path):
            self._file.write(bytes(data))
        return len(data)

    def sync(self) -> None:
        """Flush the file, which confirms what was written."""
        with as_factory_errors(self._path):
            self._file.flush()

    def write_again(self, data: bytearray, start: int) -> None:
        """Not supported: what a factory's file has not confirmed is written to another one."""
        raise NotImplementedError

    def cut(self, size: int) -> None:
        """Do nothing: a factory's file cannot be shortened."""

    def size(self) -> int:
        """Not supported: the size is needed only to reopen a file, which is never done here."""
        raise NotImplementedError

    def is_intact(self, path: str, size: int) -> bool:  # noqa: ARG002 - nobody but the factory can look there
        """Return True."""
        return True

    def close(self) -> None:
        """Close the file, which confirms what it has."""
        with as_factory_errors(self._path):
            self._file.close()

    def forget_in_child(self) -> None:
        """Never close or finalise the file: both might write what the parent also writes."""
        file, self._file = self._file, None
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(file))


class OpenSink(Protocol):
    """Opens the storage of an event file."""

    def __call__(self, path: str, *, create: bool) -> Sink:
        """Create a new file, or open an existing one to append.

        Raises:
            FileExistsError, FileNotFoundError: it exists, or does not.
            OSError: it cannot be created or opened.
        """
        ...


def open_sink(path: str, *, create: bool) -> Sink:
    """Open a local file, or what a user's factory opens for a URL."""
    return FactorySink(path) if is_remote(path) else LocalSink(path, create=create)


def make_directory(path: str) -> None:
    """Create a log directory, or let a user's factory check it."""
    if is_remote(path):
        check_directory(path)
    else:
        try:
            os.makedirs(path, exist_ok=True)
        except FileExistsError:
            if not stat.S_ISDIR(
                os.stat(path).st_mode
            ):  # which may raise: makedirs takes that for a file, too
                raise
