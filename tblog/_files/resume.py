"""Resumes a run on disk: finds where it ended, and cuts off what will be logged again.

TensorBoard's Rust loader ignores a `purge_step`, and shows points of tags that are not logged again.
Only shortening the old files removes them for both loaders. A file that a living writer of tblog holds is
not changed. A file changes in one step: before the new file replaces the old one, it is complete and the
part cut off is kept, under names that no loader reads.
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
        step: the step to continue from; this step and later ones are cut off. None keeps all.
        when: identifies the kept parts of all runs.
    """

    step: int | None = None
    when: str = field(default_factory=stamp)
    _logdir: str = ""
    _told: bool = False

    def prepare(self, logdir: str) -> None:
        """Make a run's earlier files end with a whole record before the step. The writer's own run is the first."""
        if is_remote(logdir):
            return
        patience = 0.0 if self._logdir else WATCH_SECS  # a writer to runs below also writes to its own
        self._logdir = self._logdir or logdir
        if self.step is not None:
            self._tell(cut_from(logdir, self.step, self.when, patience))
        else:
            cut_torn_tails(logdir, patience)

    def first_events(self) -> bytes:
        """Return the first events, framed, of a new file of a run that continues from a step.

        A loader that has read the earlier files drops their points from the step on. TensorBoard's Python
        loader does so at a START that is not the run's first, hence two.
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
    """Cut a run's summaries from a step on, and the damage, out of its files; return the part cut out of each."""

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
