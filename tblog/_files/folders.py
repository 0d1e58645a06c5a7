"""The runs of a log directory: itself and all directories below it, as TensorBoard finds them.

Like TensorBoard, this follows links, but into each directory only once, because a link may lead back.
https://github.com/tensorflow/tensorboard/blob/da1944c21c9cc83b0d7e10dbe1b39bc2357cd87e/tensorboard/data/server/logdir.rs
Must not: look into event files. Runs on any thread.
"""

from __future__ import annotations

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
