"""The runs of one writer in a store: its own, and those below it.

Lives here: which run a record belongs to, when segments are cut off, when a flush or close is done.
Must not: send. Runs on the worker thread, with two exceptions: the constructor's caller sends the first segment, and
the uploader's thread calls `send_next`. It replaces `RunFiles`, which needs files that can be appended to.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from tblog._files.file_systems import replaces_in_one_step, store_of
from tblog._files.merging import Part, merge
from tblog._files.outbox import Outbox
from tblog._files.segments import Segment, SegmentedRun
from tblog._files.spill import Spill
from tblog._files.stores import store
from tblog.errors import without_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._files.resume import Resume
    from tblog._reports import Reports
    from tblog.options import WriterOptions

KEPT_BYTES = 32 << 20
"""Maximum bytes of all runs that are kept so that their newest objects may grow."""

CLOSE_PATIENCE_SECS = 30.0
"""Maximum time that a close keeps retrying a store that refuses, unless all segments are in a spill directory."""


class _Wait(NamedTuple):
    """What a flush or close waits for."""

    segments: int
    begun: int
    until: float


class StoredRuns:
    """The runs of a log directory that is a URL.

    Args:
        logdir: the URL of the writer's own run.
        suffix: appended to the segments' names.
        resume: supplies the first events of each run's first segment.
        reports: receives errors of the spill directory and of merging.
        options: the limits of segments, the spill directory, and merging.
        flush_secs: maximum age of a segment, unless the options give one.
        clock: monotonic seconds.
        put: stores bytes under a URL.
    """

    def __init__(
        self,
        logdir: str,
        suffix: str,
        resume: Resume | None,
        reports: Reports,
        options: WriterOptions,
        flush_secs: float,
        clock: Callable[[], float] = time.monotonic,
        put: Callable[[str, bytes], None] = store,
    ) -> None:
        self._logdir = logdir
        self._new = (suffix, resume, clock)
        self._reports = reports
        self._clock = clock
        self._put = put
        self._max_bytes = options.segment_bytes
        self._max_secs = flush_secs if options.segment_secs is None else options.segment_secs
        self._patience_secs = min(CLOSE_PATIENCE_SECS, options.exit_timeout_secs)
        self._backlog_bytes = options.max_queue_bytes
        self._spill = None if options.spill_dir is None else Spill(options.spill_dir, logdir)
        self._outbox = Outbox(put, options.max_queue_bytes, self._spill, clock)
        self._grow = replaces_in_one_step(logdir)
        self._runs = {"": SegmentedRun(logdir, *self._new, grows=self._grow)}
        self._merges = options.merge_segments
        self._parts: dict[str, dict[str, Part]] = {}
        self._waits: dict[object, _Wait] = {}
        self._is_open = False
        self._first_bytes = 0
        self._elsewhere = 0
        self._merged_files = 0
        self.spilled_at_close = 0

    @property
    def written(self) -> int:
        """Return the number of records that the store has confirmed."""
        return self._outbox.written + self._elsewhere

    @property
    def bytes_written(self) -> int:
        """Return the number of bytes that the store has confirmed."""
        return self._outbox.nbytes + self._first_bytes

    @property
    def moves(self) -> int:
        """Return a number that grows with each segment that is sent or refused, and each file that is merged."""
        return self._outbox.begun + self._merged_files

    @property
    def spilled(self) -> int:
        """Return the number of records that are in the spill directory but not in the store."""
        return self._outbox.spilled + self.spilled_at_close

    @property
    def waiting(self) -> int:
        """Return the number of records that the store has not confirmed yet."""
        return self._outbox.waiting + sum(run.records for run in tuple(self._runs.values()))

    @property
    def refusal(self) -> OSError | None:
        """Return the store's last error, if it refuses."""
        return self._outbox.error

    @property
    def has_room(self) -> bool:
        """Return whether more may be appended now."""
        return not self._outbox.is_full

    def path(self, run: str) -> str:
        """Return the newest segment of a run, "" before it has one."""
        found = self._runs.get(run)
        return "" if found is None else found.path

    def open(self) -> None:
        """Send a first segment without records, to test whether the store accepts writes.

        If ended writers left segments in the spill directory, the first of these is sent instead, because a loader that
        has seen a later one would not look at it.

        Raises:
            OSError: the store refuses.
        """
        if self._is_open:
            return
        self._take_over()
        while not self._outbox.begun and self.send_next():  # the first that is whole
            pass
        error = self._outbox.error
        if error is not None:
            self._outbox.give_up()
            self._leave_spill()
            raise error
        if not self._outbox.begun:
            first = self._runs[""].first()
            self._put(first.url, first.content)
            first.confirmed = True
            self._first_bytes = first.nbytes
            self._remember("", first)
        self._is_open = True

    def _take_over(self) -> None:
        """Put the segments that ended writers left in the spill directory."""
        left = [] if self._spill is None else self._spill.left_behind()
        for path, url in left:
            self._outbox.put(Segment(url, b"", 0, 0, spilled=path))
        if left and self._spill is not None:
            self._reports.once(
                "left behind",
                f"tblog sends {len(left)} event files to {without_user(self._logdir)} that an earlier writer left below "
                f"{self._spill.folder}",
            )

    def _leave_spill(self) -> None:
        if self._spill is not None:
            self._spill.leave()

    def append(self, run: str, frames: bytes | bytearray | memoryview, records: int) -> None:
        """Append framed records of a run to its open segment; see `EventFile.append`."""
        if not frames:  # the store has already confirmed these records, in objects of their own
            self._elsewhere += records
            return
        found = self._runs.get(run)
        if found is None:
            depth = 1 + run.count("/")
            below = f"{self._logdir}/{run}"
            found = self._runs[run] = SegmentedRun(below, *self._new, depth=depth, grows=self._grow)
        found.append(frames, records)

    def write(self) -> None:
        """Cut off the segments that are large or old enough, and all if they have as many bytes together as may wait.

        Raises:
            OSError: the store refuses, and no more may wait.
        """
        if not self._is_open:  # a worker opens a writer that is used again, and must not wait
            self._is_open = True
            self._take_over()
        is_much = sum(run.nbytes for run in self._runs.values()) >= self._backlog_bytes
        for name, run in self._runs.items():
            if is_much or run.is_due(self._max_bytes, self._max_secs):
                self._cut_off(name, run, ends=is_much)
        self._bound_kept()
        if self._outbox.spill_error is not None:
            self._reports.once(
                "spill",
                f"tblog cannot write to the spill directory: {self._outbox.spill_error}. Segments wait in memory",
            )
        if self._outbox.is_full and self._outbox.error is not None:
            raise self._outbox.error

    flush = sync = write

    def recover(self) -> None:
        """Go on after the store refused and the backlog was full. Pending flushes now also wait for what follows.

        Raises:
            OSError: the store still refuses, and the backlog is still full.
        """
        self.write()
        self._waits.clear()

    def end_segments(self) -> None:
        """Cut off all open segments so that they can be sent."""
        for name, run in self._runs.items():
            self._cut_off(name, run)
        self._bound_kept()

    def _cut_off(self, name: str, run: SegmentedRun, *, ends: bool = False) -> None:
        segment = run.cut_off(ends=ends or run.nbytes >= self._max_bytes)
        if segment is not None:
            self._remember(name, segment)
            self._outbox.put(segment)

    def _bound_kept(self) -> None:
        if sum(run.kept_bytes for run in self._runs.values()) > KEPT_BYTES:
            for run in self._runs.values():
                run.leave()

    def _remember(self, name: str, segment: Segment) -> None:
        if self._merges:
            self._parts.setdefault(name, {})[segment.url] = Part(segment.url, len(segment.content))

    def has_settled(self, command: object, *, is_last: bool) -> bool:
        """Return whether everything appended before a command is confirmed, or was refused again since.

        Args:
            command: a flush or close; its first call cuts off all segments.
            is_last: whether it is a close, which keeps retrying for a while.
        """
        wait = self._waits.get(command)
        if wait is None:
            self.end_segments()
            until = self._clock() + self._patience_secs
            wait = self._waits[command] = _Wait(self._outbox.put_count, self._outbox.begun, until)
            if is_last and self._merges:
                self._outbox.last_job = self._merge
            self._outbox.hurry()
        if not self._outbox.is_done(wait.segments):
            given_up = not is_last or self._outbox.is_all_spilled or self._clock() >= wait.until
            if not given_up or not self._outbox.is_refused(wait.segments, wait.begun):
                return False
        elif is_last and self._outbox.last_job is not None:
            return False
        del self._waits[command]
        return True

    def _merge(self) -> None:
        try:
            for parts in self._parts.values():
                for _ in merge(store_of(self._logdir), [*parts.values()]):
                    self._merged_files += 1
                    if self._outbox.last_job is None:  # nobody waits for it any more
                        return
        except OSError as error:
            self._reports.once("merging", f"tblog could not merge all segments of {self._logdir}: {error}")

    @property
    def has_to_send(self) -> bool:
        """Return whether `send_next` has something to do now."""
        return self._outbox.is_due

    def send_next(self) -> bool:
        """Send the oldest segment; return False if there is none to send now."""
        has_sent = self._outbox.send_next()
        if self._spill is not None and self._spill.damaged:
            self._reports.once(
                "damaged",
                f"tblog does not send {self._spill.damaged}, which an earlier writer of {without_user(self._logdir)} left: it "
                "is damaged or cannot be read, and the store may have more of it. tblog check --repair mends it, and the next "
                "writer sends it then; or remove it",
            )
        return has_sent

    def leave(self) -> None:
        """Do nothing: no other writer can confuse segments with its own files."""

    ignore_neighbours = leave

    def close(self) -> tuple[int, OSError | None]:
        """Give up unconfirmed records; return how many were lost, and the store's error."""
        self.end_segments()
        self._outbox.keep_aside()
        error = self._outbox.error
        self.spilled_at_close = self._outbox.spilled
        lost = self._outbox.give_up() + self._outbox.lost
        if self._spill is not None and self._spill.has_files:
            rest = (
                f"the last {self.spilled_at_close} records"
                if self.spilled_at_close
                else "what an earlier writer left"
            )
            self._reports.once(
                "spilled",
                f"tblog: {without_user(self._logdir)} did not take {rest}: {error}. All of this is in event files below "
                f"{self._spill.folder}. The next writer with this directory and spill_dir sends it; or copy the files to "
                "the same places in the store",
            )
        self._leave_spill()
        return lost, error if lost else None

    def forget_in_child(self) -> None:
        """Discard the pending segments of a forked child's copy: the parent sends them."""
        self._outbox.give_up()
        self._leave_spill()
