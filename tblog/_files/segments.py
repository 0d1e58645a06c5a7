"""One run in a store: appended records become segments, each an event file of its own.

Objects in a store cannot be appended to. So a run is a series of event files. TensorBoard's loaders read them in the
order of their names. Each begins with a version event and holds whole records.

Each object costs a loader several requests: TensorBoard took 0.4 s for each on the loopback, and a day has 720 segments
of two minutes. So where a put replaces an object in one step, the newest one may be put again with what has come since,
until it has `GROWN_BYTES`, or was put `MOST_PUTS` times; the first objects of a run fewer times, since a short run has few.
A loader goes on where it was in the newest object. It does not look again at one that it has left, so an object that
has a successor never changes. Nor does one that the store has not confirmed: a retry has the same bytes. Nor one of which
a put failed: the store may do that put late, in place of what was put since.

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


GROWN_BYTES = 1 << 20
"""Size at which an object grows no more: TensorBoard's Python loader takes longer to parse this than to open it."""
MOST_PUTS = 32
"""Number of puts after which an object grows no more. The nth object of a run is put n + 1 times at most."""


@dataclass
class Segment:
    """A complete event file on its way to the store; its object may have the first part of it.

    Attributes:
        url: its name in the store.
        content: its bytes; empty if they are in a file of the spill directory, or if it is confirmed.
        nbytes: how many of them the object did not have before.
        records: the number of the caller's records in it.
        spilled: the path of its file in the spill directory, or "".
        number: its place among all segments of the writer.
        confirmed: whether the store has it.
        refused: whether a put of it has failed.
    """

    url: str
    content: bytes
    nbytes: int
    records: int
    spilled: str = ""
    number: int = 0
    confirmed: bool = False
    refused: bool = False


class SegmentedRun:
    """A run that is cut into segments.

    Args:
        logdir: the run's URL.
        suffix: appended to the segments' names.
        resume: supplies the first events of the first segment.
        clock: monotonic seconds.
        depth: how many levels the run lies below the writer's own.
        grows: whether the newest object may be put again with more in it.

    Attributes:
        path: the newest segment, "" before there is one.
        records: number of records that are in no segment yet.
    """

    def __init__(
        self,
        logdir: str,
        suffix: str,
        resume: Resume | None,
        clock: Callable[[], float],
        *,
        depth: int = 0,
        grows: bool = False,
    ) -> None:
        self.path = ""
        self.records = 0
        self._logdir = logdir
        self._suffix = suffix
        self._depth = depth
        self._clock = clock
        self._grows = grows
        self._start = b"" if resume is None else resume.first_events()
        self._head = b""  # of the newest object
        self._frames = (
            bytearray()
        )  # of the newest object, if it may grow, and those that are in no segment yet
        self._sent_bytes = 0
        self._last: Segment | None = None  # the newest object, if it may grow
        self._puts = 0
        self._objects = 0
        self._began_at = 0.0

    @property
    def nbytes(self) -> int:
        """Return the size in memory, in bytes."""
        return len(self._frames)

    @property
    def kept_bytes(self) -> int:
        """Return how many of them are in a segment, and kept so that its object may grow."""
        return self._sent_bytes

    def append(self, frames: bytes | bytearray | memoryview, records: int) -> None:
        """Append whole framed records."""
        if len(self._frames) == self._sent_bytes:
            self._began_at = self._clock()
        self._frames += frames
        self.records += records

    def is_due(self, max_bytes: int, max_secs: float) -> bool:
        """Return whether what is in no segment yet has reached its maximum age, or the newest object its maximum size."""
        return len(self._frames) > self._sent_bytes and (
            len(self._frames) >= max_bytes or self._clock() - self._began_at >= max_secs
        )

    def first(self) -> Segment:
        """Return a segment without records, to test whether the store accepts writes."""
        self.leave()
        return self._segment()

    def cut_off(self, *, ends: bool = False) -> Segment | None:
        """Return what is in no segment yet, as a segment; None if there is nothing.

        Args:
            ends: whether the object must not grow, so that nothing of it stays in memory.
        """
        if len(self._frames) > self._sent_bytes:
            if self._last is not None and (self._last.refused or not self._last.confirmed):
                self.leave()
            segment = self._segment()
        else:
            segment = None
        if ends:
            self.leave()
        return segment

    def _segment(self) -> Segment:
        """Return the newest object with all frames in it, or a new one."""
        known_bytes = 0 if self._last is None else len(self._head) + self._sent_bytes
        if self._last is None:
            self.path = f"{self._logdir.rstrip('/')}/{new_name(self._suffix, self._depth)}"
            self._head, self._start = events.first_event(time.time()) + self._start, b""
            self._objects += 1
        content = self._head + self._frames
        self._last = Segment(self.path, content, len(content) - known_bytes, self.records)
        self._sent_bytes, self.records = len(self._frames), 0
        self._puts += 1
        segment = self._last
        if (
            not self._grows
            or self._puts > min(self._objects, MOST_PUTS - 1)
            or len(self._frames) >= GROWN_BYTES
        ):
            self.leave()
        return segment

    def leave(self) -> None:
        """Let the newest object be, and keep nothing of it: what comes next goes to another one."""
        del self._frames[: self._sent_bytes]
        self._sent_bytes = self._puts = 0
        self._last = None
