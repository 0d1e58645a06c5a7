"""Says whose the files in a spill directory are: each writer with files there has a mark, a locked file beside them.

The system releases the lock when the process ends, however it ends. A mark that can be locked therefore belongs to no
writer, and its files may be sent by the next writer to the same URL. A number of a process says less: in a container that
is started again, the next process often has the number of the last one.

A mark is `.spilled-by.<host>.<pid>.<nanoseconds>.<random>`, in the spill directory's folder of the writer's own run. It has
the URL of that run in it. It is older than the names of its files.

Lives here: making, finding and removing marks; which files belong to which. Must not: send. Used by the threads that
write and send.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from typing import TYPE_CHECKING, NamedTuple

from tblog._files.completing import completed
from tblog._files.handles import with_handles
from tblog._files.names import host, parsed
from tblog._files.sinks import claim, identity, open_to_claim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_NAME = re.compile(r"\.spilled-by\.(.+)\.(\d{7,})\.(\d+)\.[0-9a-f]+")


class Maker(NamedTuple):
    """The writer that made a mark.

    Attributes:
        host: the machine's name.
        pid: the process's id.
        since_ns: a time before its first file was named, in nanoseconds since the epoch.
    """

    host: str
    pid: int
    since_ns: int


class Mark:
    """A mark that is locked by this process.

    Args:
        path: its file.
        file: the handle with the lock.
        maker: the writer that made it.

    Attributes:
        stays: whether there may be more files of this writer than were found.
    """

    def __init__(self, path: str, file: BinaryIO, maker: Maker) -> None:
        self.path = path
        self.maker = maker
        self.stays = False
        self._file = file

    def release(self) -> None:
        """Let the next writer have the files; the mark stays."""
        self._file.close()

    def remove(self) -> None:
        """Remove the mark: it has no files any more."""
        if not self.stays:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        self._file.close()


def make_mark(folder: str, url: str, since_ns: int) -> Mark:
    """Make a mark for the writer of a run, locked before it has its name.

    Args:
        folder: the run's in the spill directory; it exists.
        url: the run's.
        since_ns: see `Maker`.

    Raises:
        OSError: it cannot be made.
    """
    maker = Maker(host(), os.getpid(), since_ns)
    unique = uuid.uuid4().hex
    path = os.path.join(folder, f".spilled-by.{maker.host}.{maker.pid:07d}.{since_ns}.{unique}")
    with completed(path, os.path.join(folder, f".{unique}.part")) as partial:
        file = with_handles(lambda: open(partial, "w+b"))  # noqa: SIM115 - it stays open, because it has the lock
        try:
            claim(file.fileno(), alone=True)
            file.write(url.encode())
            file.flush()
        except OSError:
            file.close()
            raise
    return Mark(path, file, maker)


def left_behind(folder: str, url: str) -> list[tuple[Mark, list[str]]]:
    """Lock the marks that ended writers of a run left; return each with its files, in the order of their names.

    Args:
        folder: the run's in the spill directory.
        url: the run's.
    """
    living, ended = [], []
    for path, maker in _marks(folder):
        mark = _locked(path, maker, url)
        if mark is None:
            living.append(maker)
        else:
            ended.append(mark)
    found: list[tuple[Mark, list[str]]] = [(mark, []) for mark in ended]
    for path in _files(folder) if ended else ():
        owners = [(mark, files) for mark, files in found if _is_by(path, mark.maker)]
        if any(_is_by(path, maker) for maker in living):  # of a writer of the same process, perhaps
            for mark, _ in owners:
                mark.stays = True
        elif owners:
            owners[0][1].append(path)
    return [(mark, sorted(files, key=os.path.basename)) for mark, files in found]


def _marks(folder: str) -> list[tuple[str, Maker]]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found = ((name, _NAME.fullmatch(name)) for name in names)
    return [
        (os.path.join(folder, name), Maker(match[1], int(match[2]), int(match[3])))
        for name, match in found
        if match
    ]


def _locked(path: str, maker: Maker, url: str) -> Mark | None:
    """Return a mark that this process has locked now; None if its writer lives, or wrote to another URL."""
    with contextlib.suppress(OSError):
        file = open_to_claim(path)
        if (
            claim(file.fileno(), alone=True, without_locks=False)
            and file.read() == url.encode()
            and os.path.exists(path)  # nobody else has sent its files meanwhile
            and identity(file.fileno()) == _identity(path)
        ):
            return Mark(path, file, maker)
        file.close()
    return None


def _identity(path: str) -> tuple[int, int]:
    there = os.stat(path)
    return there.st_dev, there.st_ino


def _files(folder: str) -> Iterator[str]:
    """Yield the event files of a run and of those below it, not those of other writers to runs below."""
    for here, _, names in os.walk(folder):
        for name in names:
            file = parsed(name)
            if file is not None and os.path.normpath(os.path.join(here, *[os.pardir] * file.depth)) == folder:
                yield os.path.join(here, name)


def _is_by(path: str, maker: Maker) -> bool:
    file = parsed(os.path.basename(path))
    return file is not None and (file.host, file.pid) == maker[:2] and file.time_ns >= maker.since_ns
