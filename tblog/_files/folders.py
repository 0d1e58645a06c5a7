"""The runs of a log directory: itself and all directories below it, as TensorBoard finds them; and the way to a pattern.

Like TensorBoard, this follows links, but into each directory only once, because a link may lead back.
https://github.com/tensorflow/tensorboard/blob/da1944c21c9cc83b0d7e10dbe1b39bc2357cd87e/tensorboard/data/server/logdir.rs
Must not: look into event files. Runs on any thread.
"""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._files.sinks import Identity


def folders_below(logdir: str, refused: Callable[[OSError], object]) -> list[str]:
    """Return a directory and all below it, in the order of their names.

    Args:
        logdir: the directory.
        refused: called with the error of each directory that cannot be listed.
    """
    found: list[str] = []
    seen: set[Identity] = set()
    for folder, below, _ in os.walk(logdir, onerror=refused, followlinks=True):
        try:
            stat = os.stat(folder)
        except OSError as error:
            refused(error)
            continue
        if (stat.st_dev, stat.st_ino) in seen:
            below.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        found.append(folder)
        below.sort()
    return sorted(found)


def check_way(pattern: str, refused: Callable[[OSError], object]) -> None:
    """Look for directories in which a pattern, or a path, may have matches that cannot be found.

    Python's glob passes over them without a word.

    Args:
        pattern: as `glob.glob` takes it, with `**` for all directories below.
        refused: called with the error of each of them; its `filename` is the directory.
    """
    parts = pattern.split("/")
    for place, part in enumerate(parts):
        above = "/".join(parts[:place]) or ("/" if place else ".")
        for folder in glob.glob(f"{above}/**/" if part == "**" else above, recursive=True):
            try:
                if glob.has_magic(part):
                    os.scandir(folder).close()
                os.stat(os.path.join(folder, "."))  # the right to enter it, which listing does not need
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                error.filename = folder.rstrip("/") or "/"
                refused(error)
