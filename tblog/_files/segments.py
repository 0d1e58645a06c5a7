"""One run in a store: what is appended becomes segments, each an event file of its own.

A store's objects cannot be appended to. So a run is a row of event files in the order of their names, as TensorBoard's
loaders read them: each begins with an event of the version, holds whole records, is sent once and never changed. One
that was changed would be sent again and again, could be torn while a store without atomic replacement takes it, and a
loader that has moved on to the next file would not look at it again.

Lives here: the open segment, when it ends, and its name. Must not: send anything. Runs on the worker thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tblog._files.names import new_name
from tblog._wire import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._files.resume import Resume


@dataclass
class Segment:
    """An event file that is complete, on its way to the store.

    Attributes:
        url: its name there.
        content: its bytes; none where a file of the spill directory has them.
        nbytes: how many.
        records: how many of the caller's are in it.
        spilled: that file, or "".
    """

    url: str
    content: bytes
    nbytes: int
    records: int
    spilled: str = ""


class SegmentedRun:
    """A run of which segments are cut off.

    Args:
        logdir: the run's URL.
        suffix: appended to the segments' names.
        resume: what the first segment begins with.
        clock: monotonic seconds.
        depth: how many directories further up the writer's own run is.

    Attributes:
        path: the newest segment, "" before there is one.
        records: in the open segment.
    """

    def __init__(
        self,
        logdir: str,
        suffix: str,
        resume: Resume | None,
        clock: Callable[[], float],
        *,
        depth: int = 0,
    ) -> None:
        self.path = ""
        self.records = 0
        self._logdir = logdir
        self._suffix = suffix
        self._depth = depth
        self._clock = clock
        self._start = b"" if resume is None else resume.first_events()
        self._frames = bytearray()
        self._began_at = 0.0

    @property
    def nbytes(self) -> int:
        """Return the bytes of the open segment."""
        return len(self._frames)

    def append(self, frames: bytes | bytearray | memoryview, records: int) -> None:
        """Append whole framed records."""
        if not self._frames:
            self._began_at = self._clock()
        self._frames += frames
        self.records += records

    def is_due(self, max_bytes: int, max_secs: float) -> bool:
        """Return whether the open segment is as large or as old as it may be."""
        return bool(self._frames) and (
            len(self._frames) >= max_bytes or self._clock() - self._began_at >= max_secs
        )

    def first(self) -> Segment:
        """Return a segment without a record, which shows whether the store takes any."""
        return self._segment()

    def cut_off(self) -> Segment | None:
        """Return the open segment, and begin another one; None if it has no record."""
        return self._segment() if self._frames else None

    def _segment(self) -> Segment:
        self.path = f"{self._logdir.rstrip('/')}/{new_name(self._suffix, self._depth)}"
        content = b"".join((events.first_event(time.time()), self._start, self._frames))
        segment = Segment(self.path, content, len(content), self.records)
        self._start, self._frames, self.records = b"", bytearray(), 0
        return segment
