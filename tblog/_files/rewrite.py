"""Changing event files: in one step, and never under a writer's hands."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, BinaryIO

from tblog._files.sinks import claim
from tblog._reports import logger
from tblog._wire.framing import frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def unless_in_use(path: str) -> Iterator[BinaryIO | None]:
    """Yield the file, locked against writers, or None while a writer has it."""
    with open(path, "rb") as file:
        if claim(file.fileno(), alone=True):
            yield file
        else:
            logger.warning("tblog leaves %s as it is: a writer has it open", path)
            yield None


def replace(path: str, records: Iterable[bytes]) -> None:
    """Put a file of these records in the place of another, once it is complete and on the disk.

    Args:
        path: the file.
        records: the data of each record; may be read from the old file.

    Raises:
        OSError: the new file cannot be written. The old one is as it was.
    """
    write_file(path, map(frame, records), mode_of=path)


def write_file(path: str, chunks: Iterable[bytes], mode_of: str = "") -> None:
    """Make a file, or put it in the place of another, once it is complete and on the disk.

    Args:
        path: the file.
        chunks: its bytes; may be read from the old file.
        mode_of: a file whose permissions it gets.

    Raises:
        OSError: it cannot be written. An old one is as it was.
    """
    folder, name = os.path.split(path)
    partial = os.path.join(folder, name.replace("tfevents", "tfe-").replace("tfe-", "tfe-partial-"))
    try:
        with open(partial, "wb") as new:
            new.writelines(chunks)
            new.flush()
            os.fsync(new.fileno())
        if mode_of:
            shutil.copymode(mode_of, partial)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise


def beside(path: str, what: str) -> str:
    """Return a name beside an event file's that no loader reads."""
    folder, name = os.path.split(path)
    return os.path.join(folder, name.replace("tfevents", f"tfe-{what}"))
