"""A local directory for segments that a store refuses: whole event files, under the same relative paths.

Lives here: writing, reading and removing them. Must not: decide when. Used by the threads that write and send.
"""

from __future__ import annotations

import contextlib
import os
import uuid

from tblog._files.completing import completed
from tblog._files.handles import with_handles
from tblog.errors import without_user


class Spill:
    """The files of one writer in a spill directory.

    Args:
        folder: the directory, created with the first file.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)

    def keep(self, url: str, content: bytes) -> str:
        """Write a segment to a file; return its path: the folder, then the URL without its scheme.

        It is below the folder, also where the URL has "..", which is a name as any other in a store.

        Raises:
            OSError: it cannot be written.
        """
        place = without_user(url).partition("://")[2].lstrip("/")
        path = os.path.join(self.folder, *("%2E%2E" if part == ".." else part for part in place.split("/")))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # A name that no loader reads, and no other writer of this folder uses.
        partial = os.path.join(os.path.dirname(path), f".{uuid.uuid4().hex}.part")
        with completed(path, partial), with_handles(lambda: open(partial, "wb")) as file:
            file.write(content)
        return path

    def read(self, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: it cannot be read.
        """
        with with_handles(lambda: open(path, "rb")) as file:
            return file.read()

    def remove(self, path: str) -> None:
        """Remove a file, and the directories that this leaves empty."""
        with contextlib.suppress(OSError):
            os.unlink(path)
            folder = os.path.dirname(path)
            while folder != os.path.dirname(self.folder):
                os.rmdir(folder)
                folder = os.path.dirname(folder)
