"""A local directory for segments that a store refuses: whole event files, under the same relative paths.

Lives here: writing, reading and removing them, and those that ended writers left. Must not: decide when. Used by the
threads that write and send.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid

from tblog._files.completing import completed
from tblog._files.handles import with_handles
from tblog._files.spill_marks import Mark, left_behind, make_mark
from tblog._wire.framing import record_end
from tblog.errors import without_user

_TRIES = 16
"""Number of tries to write a file while others remove the directories around it, because they are empty."""


class Spill:
    """The files of one writer in a spill directory.

    Args:
        folder: the directory, created with the first file.
        logdir: the URL of the writer's own run.

    Attributes:
        damaged: the newest file of an ended writer that cannot be sent, "" if there is none.
    """

    def __init__(self, folder: str, logdir: str) -> None:
        self.folder = os.path.abspath(folder)
        self._logdir = logdir
        self._home = self._path(logdir)
        self._since_ns = time.time_ns()
        self.damaged = ""
        self._own: Mark | None = None
        self._files: dict[Mark, set[str]] = {}
        self._taken_over: set[str] = set()

    @property
    def has_files(self) -> bool:
        """Return whether files wait there to be sent."""
        return any(self._files.values())

    def _path(self, url: str) -> str:
        """Return a place below the folder for a URL, without its scheme; ".." is a name as any other in a store."""
        place = without_user(url).partition("://")[2].strip("/")
        return os.path.join(self.folder, *("%2E%2E" if part == ".." else part for part in place.split("/")))

    def keep(self, url: str, content: bytes) -> str:
        """Write a segment to a file; return its path.

        Raises:
            OSError: it cannot be written.
        """
        path = self._path(url)
        for _ in range(_TRIES - 1):
            with contextlib.suppress(FileNotFoundError):
                return self._keep(path, content)
        return self._keep(path, content)

    def _keep(self, path: str, content: bytes) -> str:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if self._own is None:
            os.makedirs(self._home, exist_ok=True)
            self._own = make_mark(self._home, without_user(self._logdir), self._since_ns)
        # A name that no loader reads, and no other writer of this folder uses.
        partial = os.path.join(os.path.dirname(path), f".{uuid.uuid4().hex}.part")
        with completed(path, partial), with_handles(lambda: open(partial, "wb")) as file:
            file.write(content)
        self._files.setdefault(self._own, set()).add(path)
        return path

    def left_behind(self) -> list[tuple[str, str]]:
        """Take over the files that ended writers of the same run left; return the path and the URL of each."""
        found = []
        for mark, paths in left_behind(self._home, without_user(self._logdir)):
            if not paths:
                mark.remove()
                self._clear(self._home)
                continue
            self._files[mark] = set(paths)
            self._taken_over.update(paths)
            for path in paths:
                below = os.path.relpath(path, self._home).replace(os.sep, "/").replace("%2E%2E", "..")
                found.append((path, f"{self._logdir.rstrip('/')}/{below}"))
        return found

    def read(self, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: it is gone; or an ended writer left it, and it cannot be read or is damaged. The store may
                have its beginning, which must not be replaced by less.
            OSError: it cannot be read.
        """
        try:
            with with_handles(lambda: open(path, "rb")) as file:
                content = file.read()
        except OSError:
            if path not in self._taken_over:
                raise
            content = b""
        if path in self._taken_over and not _is_whole(content):
            self._leave_there(path)
            raise FileNotFoundError(f"{path} is damaged")
        return content

    def _leave_there(self, path: str) -> None:
        """Let a file be, for the user, and for the next writer: it may be readable by then."""
        for mark, paths in self._files.items():
            if path in paths:
                paths.remove(path)
                mark.stays = True
        if os.path.lexists(path):
            self.damaged = path

    def remove(self, path: str) -> None:
        """Remove a file, with the directories that this leaves empty."""
        for mark, paths in tuple(self._files.items()):
            if path in paths:
                paths.remove(path)
                with contextlib.suppress(OSError):
                    os.unlink(path)
            if not paths:
                del self._files[mark]
                mark.remove()
                self._own = None if mark is self._own else self._own
                self._clear(self._home)
        self._clear(os.path.dirname(path))

    def _clear(self, folder: str) -> None:
        with contextlib.suppress(OSError):
            while folder != os.path.dirname(self.folder):
                os.rmdir(folder)
                folder = os.path.dirname(folder)

    def leave(self) -> None:
        """Let the next writer of the run have what is there."""
        for mark in tuple(self._files):
            mark.release()
        self._files.clear()
        self._own = None


def _is_whole(content: bytes) -> bool:
    """Return whether there are records, and nothing else."""
    end: int | None = 0
    while end is not None and end < len(content):
        end = record_end(content, end)
    return bool(content) and end is not None
