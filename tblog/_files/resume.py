"""Resumes a run that is on disk: finds where it ended, and cuts off what is logged again.

TensorBoard's Rust loader ignores a `purge_step`, and shows points of tags that are not logged again;
only shortening the old files removes them for both loaders. A file that a living tblog writer holds is
left alone. A file changes in one step: what is cut off is kept, and the new one is complete, under names
that no loader reads, before it takes the old one's place.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from dataclasses import dataclass, field
from functools import partial

from tblog._files.handles import with_handles
from tblog._files.in_use import WATCH_SECS
from tblog._files.kept import TakenOut, in_words, stamp, take_out, together
from tblog._files.rewrite import unless_in_use
from tblog._files.stores import is_remote
from tblog._files.walk import walk
from tblog._reports import logger
from tblog._wire import events
from tblog._wire.event_heads import event_head
from tblog._wire.framing import frame

_SESSION_START = b"\x08\x01"  # SessionLog(status=START), tensorflow/core/util/event.proto


@dataclass
class Resume:
    """How a writer resumes runs that are on disk.

    Attributes:
        step: the step to go on from; what lies at it and beyond is cut off. None keeps all.
        when: identifies what is cut off and kept, in all its runs.
    """

    step: int | None = None
    when: str = field(default_factory=stamp)
    _logdir: str = ""
    _told: bool = False

    def prepare(self, logdir: str) -> None:
        """Make a run's earlier files end whole, and before the step; the writer's own run is the first."""
        if is_remote(logdir):
            return
        patience = (
            0.0 if self._logdir else WATCH_SECS
        )  # whoever writes to runs below writes to the own one, too
        self._logdir = self._logdir or logdir
        if self.step is not None:
            self._tell(cut_from(logdir, self.step, self.when, patience))
        else:
            cut_torn_tails(logdir, patience)

    def first_events(self) -> bytes:
        """Return how a new file of a run begins that is gone on with from a step: framed events.

        A loader that has read the earlier files forgets their points from the step on: TensorBoard's
        Python loader does so at a START that is not the run's first, hence two.
        """
        if self.step is None:
            return b""
        version = events.event(time.time(), self.step, events.FILE_VERSION, events.VERSION)
        start = events.event(time.time(), self.step, events.SESSION_LOG, _SESSION_START)
        return b"".join(map(frame, (version, start, start)))

    def _tell(self, taken: list[TakenOut]) -> None:
        """Log once where the cut-off part is kept."""
        kept = [each.kept for each in taken if each.kept]
        if not kept or self._told:
            return
        self._told = True
        extent = together(each.extent for each in taken)
        logger.warning(
            "tblog goes on from step %s in %s: %s %s cut off, and kept in %s%s. "
            "If that was the wrong step: python -m tblog.check %s --restore --cut %s",
            self.step,
            self._logdir,
            in_words(extent),
            "was" if extent.records == 1 else "were",
            kept[0],
            f" and {len(kept) - 1} more" if len(kept) > 1 else "",
            shlex.quote(self._logdir),
            self.when,
        )


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
    return with_handles(partial(_last_step, logdir))


def _last_step(logdir: str) -> int | None:
    largest: int | None = None
    for path in event_paths(logdir):
        with open(path, "rb") as file:
            for piece in walk(file):
                head = event_head(piece.data) if piece.data is not None else None
                if head is not None and head.has_summary and (largest is None or head.step > largest):
                    largest = head.step
    return largest


def cut_from(logdir: str, step: int, when: str, patience: float = WATCH_SECS) -> list[TakenOut]:
    """Take a run's summaries from a step on, and the damage, out of its files; return what was taken out of each."""

    def stays(data: bytes) -> bool:
        head = event_head(data)
        return not head.has_summary or head.step < step

    return [take_out(path, stays, "cut", when, patience) for path in event_paths(logdir)]


def cut_torn_tails(logdir: str, patience: float = WATCH_SECS) -> None:
    """Cut off the torn last record that a killed process left in each file of a run."""
    for path in event_paths(logdir):
        with unless_in_use(path) as held:
            if held is None or not held.is_event_file():
                continue
            whole = size = 0
            for piece in walk(held.file):
                whole = piece.end if piece.data is not None else whole
                size = piece.end
            if whole < size and held.may_change(patience):
                held.cut_back(whole)
