"""One run in a store: appended records become segments, each an event file of its own.

Objects in a store cannot be appended to. So a run is a series of event files. TensorBoard's loaders read them in the
order of their names. Each begins with a version event, holds whole records, is sent once and never changes. A file that
changed would be sent again and again. A store without atomic replacement could show it half-written. And a loader that
has moved on to the next file would not look at it again.

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
    """A complete event file on its way to the store.

    Attributes:
        url: its name in the store.
        content: its bytes; empty if they are in a file of the spill directory.
        nbytes: its size.
        records: the number of the caller's records in it.
        spilled: the path of its file in the spill directory, or "".
        number: its place among all segments of the writer.
        confirmed: whether the store has it.
    """

    url: str
    content: bytes
    nbytes: int
    records: int
    spilled: str = ""
    number: int = 0
    confirmed: bool = False


class SegmentedRun:
    """A run that is cut into segments.

    Args:
        logdir: the run's URL.
        suffix: appended to the segments' names.
        resume: supplies the first events of the first segment.
        clock: monotonic seconds.
        depth: how many levels the run lies below the writer's own.

    Attributes:
        path: the newest segment, "" before there is one.
        records: number of records in the open segment.
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
        """Return the size of the open segment in bytes."""
        return len(self._frames)

    def append(self, frames: bytes | bytearray | memoryview, records: int) -> None:
        """Append whole framed records."""
        if not self._frames:
            self._began_at = self._clock()
        self._frames += frames
        self.records += records

    def is_due(self, max_bytes: int, max_secs: float) -> bool:
        """Return whether the open segment has reached its maximum size or age."""
        return bool(self._frames) and (
            len(self._frames) >= max_bytes or self._clock() - self._began_at >= max_secs
        )

    def first(self) -> Segment:
        """Return a segment without records, to test whether the store accepts writes."""
        return self._segment()

    def cut_off(self) -> Segment | None:
        """Return the open segment and begin a new one; None if it has no records."""
        return self._segment() if self._frames else None

    def _segment(self) -> Segment:
        self.path = f"{self._logdir.rstrip('/')}/{new_name(self._suffix, self._depth)}"
        content = b"".join((events.first_event(time.time()), self._start, self._frames))
        segment = Segment(self.path, content, len(content), self.records)
        self._start, self._frames, self.records = b"", bytearray(), 0
        return segment
