"""The new log directory of a command: where it may be, and that it gets its name when it is complete."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import itertools
import os
import shutil
from typing import TYPE_CHECKING

from tblog._cli.arguments import CommandError
from tblog._files.sinks import claim

if TYPE_CHECKING:
    from collections.abc import Iterator


def keep_apart(place: str, target: str, why: str = "hold its runs twice") -> None:
    """Check that a new directory does not lie in a log directory, which would then hold its runs twice.

    Raises:
        CommandError: it does.
    """
    around, new = os.path.realpath(place), os.path.realpath(target)
    is_inside = os.path.isdir(around) and os.path.commonpath([around, new]) == around
    if (is_inside or _would_fit(new, place)) and not os.path.lexists(new):
        raise CommandError(f"{target} lies in {place}, which would then {why}; give a directory outside")


def _would_fit(path: str, pattern: str) -> bool:
    """Return whether a path, or one that it lies in, fits a pattern of runs."""
    if not glob.has_magic(pattern) or os.path.exists(pattern):
        return False
    folder = os.path.realpath(os.path.join(*itertools.takewhile(_is_plain, [".", *pattern.split("/")])))
    wanted = [*itertools.dropwhile(_is_plain, pattern.split("/"))]
    parts = os.path.relpath(path, folder).split("/")
    return parts[0] != ".." and len(parts) >= len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _is_plain(part: str) -> bool:
    return not glob.has_magic(part)


@contextlib.contextmanager
def new_directory(target: str) -> Iterator[str]:
    """Yield an empty directory that becomes `target` at the end, unless it is still empty.

    Raises:
        CommandError: `target` exists, or another command makes it.
    """
    if not target.strip("/"):
        raise CommandError(f"{target!r} is no name for a new directory; give one")
    target = target.rstrip("/")
    partial = f"{target}.tblog-partial"
    os.makedirs(partial, exist_ok=True)
    handle = os.open(partial, os.O_RDONLY)
    try:
        if not claim(handle, alone=True):
            raise CommandError(f"another command is writing {target}; give another name, or wait for its end")
        if os.path.lexists(target) and not (os.path.isdir(target) and not os.listdir(target)):
            with contextlib.suppress(OSError):
                os.rmdir(partial)
            raise CommandError(f"there is something at {target} already; give the name of a new directory")
        for left in os.scandir(partial):  # by a command that was killed
            if left.is_dir(follow_symlinks=False):
                shutil.rmtree(left.path)
            else:
                os.unlink(left.path)
        try:
            yield partial
            if os.listdir(partial):
                os.rename(partial, target)
                return
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        os.rmdir(partial)
    finally:
        os.close(handle)
