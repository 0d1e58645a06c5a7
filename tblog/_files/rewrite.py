"""Changes event files: atomically, and never while a writer has them open."""

from __future__ import annotations

import contextlib
import os
import shutil
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from tblog._files import in_use
from tblog._files.completing import completed
from tblog._files.sinks import open_to_claim
from tblog._files.walk import walk
from tblog._reports import logger
from tblog._wire.framing import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed import ReadableBuffer

_CHUNK_BYTES = 1 << 20


class _GrowsError(Exception):
    """Someone wrote to the file that should be replaced."""


class HeldFile:
    """An event file that no writer of tblog has open, locked so that none can open it.

    Attributes:
        path: its name.
        file: the file, open for reading.
    """

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self._before = self._state()

    def _state(self) -> tuple[int, int]:
        stat = os.fstat(self.file.fileno())
        return stat.st_size, stat.st_mtime_ns

    def is_event_file(self) -> bool:
        """Return whether it starts with a record. If not (a compressed copy, say), report it: no loader reads it."""
        is_one = any(piece.data is not None for piece in islice(walk(self.file), 1))
        if not is_one and self._before[0]:  # an empty file needs no report: its writer ended too soon
            logger.warning(
                "tblog leaves %s as it is: it does not start with a record. python -m tblog.check tells more",
                self.path,
            )
        return is_one

    def may_change(self, patience: float = in_use.WATCH_SECS) -> bool:
        """Return whether no other writer is known to have it, and report one.

        Args:
            patience: the most seconds to watch it if a writer could not be seen.
        """
        why = in_use.by_others(self.path, self.file, patience)
        if why:
            _tell(self.path, why)
        return not why

    def rewrite(self, chunks: Iterable[ReadableBuffer]) -> bool:
        """Replace the file by one of these bytes, which may be read from it.

        Returns:
            Whether this was done. If someone wrote to the file meanwhile, it stays, and this is reported.

        Raises:
            OSError: the new file cannot be written. The old one has not changed.
        """
        try:
            write_file(self.path, chunks, mode_of=self.path, check=self._require_unchanged)
        except _GrowsError:
            _tell(self.path, in_use.GROWS)
            return False
        return True

    def rewrite_records(self, records: Iterable[bytes]) -> bool:
        """Replace the file by one of these records; see `rewrite`."""
        return self.rewrite(map(frame, records))

    def cut_back(self, size: int) -> None:
        """Shorten it to its first `size` bytes. The target of a link does not change."""
        if os.path.islink(self.path):
            self.rewrite(self.chunks(0, size))
        else:
            os.truncate(self.path, size)

    def chunks(self, start: int, end: int | None = None) -> Iterator[bytes]:
        """Yield its bytes from `start` on, up to `end` or the last."""
        return chunks_of(self.file, start, end)

    def _require_unchanged(self) -> None:
        if self._state() != self._before:
            raise _GrowsError


@contextlib.contextmanager
def unless_in_use(path: str) -> Iterator[HeldFile | None]:
    """Yield the file, locked against tblog's writers, or None if one has it, which is reported.

    Ask `HeldFile.may_change` before you change the file.
    """
    with _locked(path) as (file, why):
        if why:
            _tell(path, why)
        yield None if why else HeldFile(path, file)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[tuple[BinaryIO, str]]:
    """Yield the locked file of a path, or why it cannot be locked. Someone may have replaced the file first."""
    while True:
        with open_to_claim(path) as file:
            why = in_use.by_tblog(path, file)
            if why or os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                yield file, why
                return


def _tell(path: str, why: str) -> None:
    logger.warning(
        "tblog leaves %s as it is: %s. If that writer is to go on, give each a directory of its own; "
        "if not, end it and try again",
        path,
        why,
    )


def write_file(
    path: str, chunks: Iterable[ReadableBuffer], mode_of: str = "", check: Callable[[], None] = lambda: None
) -> None:
    """Create or replace a file, once the new one is complete and on the disk.

    Args:
        path: the file.
        chunks: its bytes, which may be read from the old file.
        mode_of: the file whose permissions it gets.
        check: raises if the old file must not be replaced after all.

    Raises:
        OSError: it cannot be written. An old file has not changed.
    """
    folder, name = os.path.split(path)
    partial = os.path.join(folder, name.replace("tfevents", "tfe-").replace("tfe-", "tfe-partial-"))
    with completed(path, partial):
        with open(partial, "wb") as new:
            new.writelines(chunks)
            new.flush()
            os.fsync(new.fileno())
        if mode_of:
            shutil.copymode(mode_of, partial)
        check()


def beside(path: str, what: str) -> str:
    """Return a name beside an event file that no loader reads."""
    folder, name = os.path.split(path)
    return os.path.join(folder, name.replace("tfevents", f"tfe-{what}"))


def chunks_of(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield a file's bytes; another reader may move its position in between."""
    while end is None or start < end:
        file.seek(start)
        chunk = file.read(_CHUNK_BYTES if end is None else min(_CHUNK_BYTES, end - start))
        if not chunk:
            return
        yield chunk
        start += len(chunk)
