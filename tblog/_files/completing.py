"""A file that gets its name when it is complete, so that nobody reads half of it, and an error leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def completed(path: str, partial: str) -> Iterator[str]:
    """Yield the name to write to, and move that file to `path` at the end of the block.

    Args:
        path: the file; one that is there is replaced.
        partial: a name on the same file system that nothing else uses.

    Raises:
        OSError: it cannot be written or moved. A file that was at `path` is as it was.
    """
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


@contextlib.contextmanager
def written(path: str) -> Iterator[str]:
    """Yield the name to write a user's output to; a link stays a link, a pipe or a device gets the bytes itself.

    Raises:
        OSError: as `completed`.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        yield path
        return
    whole = os.path.realpath(path)
    with completed(whole, f"{whole}.partial-{os.getpid()}") as partial:
        yield partial


def check_output(path: str) -> None:
    """Raise OSError if a user's output can have no file at a path, or would replace an event file."""
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a directory; give the name of a file")
    if not os.path.isdir(folder := os.path.dirname(path) or "."):
        raise FileNotFoundError(
            f"there is no directory {folder} to write {os.path.basename(path)} to; make it first"
        )
    if os.path.isfile(path) and "tfevents" in os.path.basename(os.path.realpath(path)):
        raise FileExistsError(f"{path} is an event file; give another name")
