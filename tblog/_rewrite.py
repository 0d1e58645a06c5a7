"""Replacing an event file by a better one, in one step, and never under a writer's hands."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, BinaryIO

from tblog._framing import frame
from tblog._reports import logger
from tblog._sinks import claim

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
    partial = _beside(path, "partial")
    try:
        with open(partial, "wb") as new:
            new.writelines(frame(data) for data in records)
            new.flush()
            os.fsync(new.fileno())
        shutil.copymode(path, partial)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise


def keep_aside(path: str) -> str:
    """Give a file a second name, which no loader reads, and return it.

    Raises:
        OSError: that cannot be done.
    """
    number = 0
    while True:
        aside = _beside(path, f"before-repair-{number}")
        try:
            os.link(path, aside)
        except FileExistsError:
            number += 1
        except OSError:  # a file system without links
            shutil.copy2(path, aside)
            return aside
        else:
            return aside


def _beside(path: str, what: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, name.replace("tfevents", f"tfe-{what}"))
