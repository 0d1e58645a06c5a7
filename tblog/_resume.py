"""Going on with a run that is on disk: where it ended, and cutting off what is to be logged anew.

TensorBoard's Rust loader ignores a `purge_step`, and shows points of tags that are not logged again;
only shortening the old files removes them for both loaders. A file that a living tblog writer holds is
left alone. A file changes in one step: the new one is complete, under a name that no loader reads, before
it takes the old one's place.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from tblog._reports import logger
from tblog._rewrite import replace, unless_in_use
from tblog._sinks import is_remote
from tblog._walk import EventHead, Piece, event_head, walk

if TYPE_CHECKING:
    from collections.abc import Callable


_NOTHING = Piece(0, 0, None)


@dataclass(frozen=True)
class Resume:
    """How a writer goes on with runs that are on disk.

    Attributes:
        step: the step to go on from; what lies at it and beyond is cut off. None keeps all.
    """

    step: int | None = None

    def prepare(self, logdir: str) -> None:
        """Make a run's earlier files end whole, and before the step."""
        if is_remote(logdir):
            return
        if self.step is not None:
            cut_from(logdir, self.step)
        cut_torn_tails(logdir)


def event_paths(logdir: str) -> list[str]:
    """Return the event files of a run, in the order in which TensorBoard reads them."""
    with contextlib.suppress(FileNotFoundError), os.scandir(logdir) as entries:
        return sorted(entry.path for entry in entries if "tfevents" in entry.name and _is_file(entry))
    return []


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def last_step(logdir: str) -> int | None:
    """Return the largest step of a run's summaries, or None if it has none."""
    largest: int | None = None
    for path in event_paths(logdir):
        with open(path, "rb") as file:
            for piece in walk(file):
                head = event_head(piece.data) if piece.data is not None else None
                if head is not None and head.has_summary and (largest is None or head.step > largest):
                    largest = head.step
    return largest


def cut_from(logdir: str, step: int) -> int:
    """Remove a run's summaries from a step on, and the damage in its files; return how many."""
    return sum(
        _rewrite(path, lambda head: not head.has_summary or head.step < step) for path in event_paths(logdir)
    )


def cut_torn_tails(logdir: str) -> None:
    """Cut back what a killed process left of its last record in each file of a run."""
    for path in event_paths(logdir):
        with unless_in_use(path) as file:
            if file is None:
                continue
            if not _is_event_file(file):
                logger.warning(
                    "tblog leaves %s as it is: it does not start with a record. python -m tblog.check tells more",
                    path,
                )
                continue
            whole = size = 0
            for piece in walk(file):
                whole = piece.end if piece.data is not None else whole
                size = piece.end
            if whole < size:
                os.truncate(path, whole)


def _rewrite(path: str, keeps: Callable[[EventHead], bool]) -> int:
    """Replace a file by one that has the wanted records alone; return the number of those removed."""
    with unless_in_use(path) as file:
        if file is None or not _is_event_file(file):
            return 0
        removed, damaged = _count(file, keeps)
        if removed or damaged:
            kept = (piece.data for piece in walk(file) if piece.data is not None)
            replace(path, (data for data in kept if keeps(event_head(data))))
        return removed


def _is_event_file(file: BinaryIO) -> bool:
    """Return whether a file starts with a record. Another one, a compressed copy say, no loader reads."""
    return next(walk(file), _NOTHING).data is not None


def _count(file: BinaryIO, keeps: Callable[[EventHead], bool]) -> tuple[int, bool]:
    removed, damaged = 0, False
    for piece in walk(file):
        if piece.data is None:
            damaged = True
        elif not keeps(event_head(piece.data)):
            removed += 1
    return removed, damaged
