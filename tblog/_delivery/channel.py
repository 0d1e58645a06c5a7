"""One writer's way to its event files, as seen by the threads that log.

Each record takes one of two lanes. The light lane takes numbers and what is ready as bytes; only the disk can
delay it. The heavy lane takes what must be encoded, such as pictures and histograms; a thread of its own
encodes one record after the other. Both lanes write to the same files.

Lives here: what the two lanes share, opening, closing, waiting for the worker, the counters.
Must not: start threads, encode, write.
Clock: passed in, and handed to the queue, the lanes and the files.

The contract, with tests in tests/test_contract.py:

Flush, Shutdown: a flush or close waits as long as a thread or the storage makes progress, encoding included,
however long that takes. After `SILENCE_SECS` without any progress it gives up, and reports what was not written.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, ClassVar, Protocol

from tblog._delivery.drain import Drain
from tblog._delivery.entries import Close, Flush
from tblog._delivery.event_encoder import EventEncoder
from tblog._delivery.heavy_lane import HeavyLane
from tblog._delivery.light_lane import LightLane
from tblog._delivery.queue import ClosedQueueError, RecordQueue
from tblog._files import sinks
from tblog._files.run_files import RunFiles
from tblog._files.stores import has_factory, is_remote
from tblog._locks import ForkSafeLock, on_worker
from tblog._reports import Reports
from tblog._wire.framing import crc32c
from tblog.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._delivery.entries import Entry
    from tblog._delivery.light_lane import Reducer
    from tblog._delivery.mirrors import Mirror
    from tblog._files.event_file import EventFile
    from tblog._files.resume import Resume
    from tblog._files.sinks import OpenSink
    from tblog._files.stored_runs import StoredRuns
    from tblog.options import WriterOptions

SILENCE_SECS = 60.0
"""Maximum time that `flush` and `close` wait without any progress."""
NAMES_TOLD = 3


class FastPath(Protocol):
    """A writer that appends to the queue without calling `put`."""

    def forget_channel(self) -> None:
        """Stop appending: the channel was closed, belongs to the parent process, or must be asked for room again."""
        ...


channels: weakref.WeakSet[Channel] = weakref.WeakSet()
"""All channels of the process, for its exit and for its forked children."""


class Channel:
    """One writer's way to its event files.

    Args:
        logdir: directory of the writer's own run; other runs lie below it.
        suffix: appended to the names of its event files.
        flush_secs: bound on the time to a sync, in seconds.
        options: the writer's options.
        resume: what to do with earlier files of each run, before this channel's are created.
        clock: monotonic seconds.
        open_sink: opens what takes the bytes of a file.
    """

    _TAKES_BLOCKS: ClassVar[bool] = True
    """Whether the files take the numbers as they are in the compiled lane."""

    def __init__(
        self,
        logdir: str,
        suffix: str,
        flush_secs: float,
        options: WriterOptions,
        resume: Resume | None = None,
        clock: Callable[[], float] = time.monotonic,
        open_sink: OpenSink = sinks.open_sink,
    ) -> None:
        self.logdir = logdir
        self.options = options
        self.queue = RecordQueue(
            options.max_queue_records,
            options.max_queue_bytes,
            options.overflow,
            clock,
            takes_blocks=self._TAKES_BLOCKS,
        )
        self.reports = Reports(logdir)
        self._suffix = suffix
        self._flush_secs = flush_secs
        self._clock = clock
        self._open_sink = open_sink
        self._resume = resume
        crc32c()  # slow to import, and the threads that write must import nothing
        self.tags: dict[str, str] = {}
        self.served = False
        self.is_inherited = False
        """Whether this is the copy of its parent's channel that a forked child has."""
        self.draining = ForkSafeLock()
        """Held by a thread that writes in its own call, because no worker can be started."""
        self.must_drain = False
        self.mirror: Mirror | None = None
        self.busy_secs: Callable[[], float] = float
        """Returns the CPU seconds of the thread that encodes."""
        self._fast_path: Callable[[], FastPath | None] = _no_fast_path
        # At most one command: `setdefault` is atomic, so two threads get the same.
        self._closing: dict[str, Close] = {}
        self._files = self._new_files()
        events = EventEncoder(self.logdir, self.options, self.reports.values_left_out)
        self.queue.progress = self._progress
        self.queue.on_crowd = self._detach
        self.heavy = HeavyLane(self.queue, events, self.reports, self._clock)
        self.drain = Drain(
            self.queue,
            LightLane(self._files, events, self.reports, self._new_reducer()),
            self.heavy,
            self._files,
            self.reports,
            flush_secs=self._flush_secs,
            max_records=self.options.max_queue_records,
            clock=self._clock,
        )
        channels.add(self)

    def leave_to_parent(self) -> None:
        """Be closed in a forked child: what waits here, and the files, are the parent's.

        Nothing else is changed, because a signal handler may have forked inside a call, which goes on here. It finds
        the channel closed.
        """
        self.is_inherited = self.drain.closed = True
        self.closing.queued = True
        self._detach()
        self.queue.leave_to_parent()
        self.reports.leave_to_parent()
        self._files.forget_in_child()
        self.closing.done.set()

    def log_beside_parent(self, inherited: Channel | None) -> None:
        """Be a forked child's: do not warn of other writers in the directory, nor again of what the parent has told."""
        self._files.ignore_neighbours()
        if inherited is not None:
            self.reports.assume_told(inherited.reports)

    def _new_files(self) -> RunFiles | StoredRuns:
        if is_remote(self.logdir) and not has_factory(self.logdir):
            from tblog._files.stored_runs import StoredRuns  # which no local run needs

            return StoredRuns(
                self.logdir,
                self._suffix,
                self._resume,
                self.reports,
                self.options,
                self._flush_secs,
                self._clock,
            )
        return RunFiles(self.logdir, self._suffix, self._resume, self.reports, self._clock, self._open_sink)

    def _new_reducer(self) -> Reducer | None:
        return None

    @property
    def main_file(self) -> EventFile:
        """Return the event file of the writer's own run, which is not in a store."""
        assert isinstance(self._files, RunFiles)
        return self._files.own

    @property
    def sending(self) -> RunFiles | StoredRuns:
        """Return the files, for the thread that sends what a store is to have."""
        return self._files

    def send_now(self) -> bool:
        """Send what a store is to have, in this call, because no thread will; return False if there is nothing."""
        self._files.end_segments()
        return self._files.send_next()

    @property
    def closed(self) -> bool:
        """Return whether the files are closed for good."""
        return self.drain.closed

    @property
    def is_open(self) -> bool:
        """Return whether a worker serves it, and nobody has closed it."""
        return self.served and not self._closing

    @property
    def is_closing(self) -> bool:
        """Return whether somebody has closed it."""
        return bool(self._closing)

    @property
    def closing(self) -> Close:
        """Return the command that closes it, whether or not it was given."""
        return self._closing.setdefault("", Close())

    def open(self, *, patient: bool) -> None:
        """Create the event file, on the caller's thread.

        Args:
            patient: if that fails, go on and let the worker try again.

        Raises:
            OSError: the file cannot be created, and the caller is not patient.
        """
        self.queue.on_drop = self._tell_drop
        if patient and is_remote(self.logdir):  # a store may be slow: the worker asks it
            return
        try:
            self._files.open()
        except OSError as error:
            if not patient:
                raise
            self.drain.fail(error)

    def attach(self, fast_path: FastPath) -> None:
        """Let a fast path append to `queue.pending`, until its `forget_channel` is called."""
        self._fast_path = weakref.ref(fast_path)
        self.queue.let_learn_tags(as_given=self.options.flavor != "tensorboardX")

    def put(self, entry: Entry) -> None:
        """Queue an entry. Tools that mirror the run see it first.

        Raises:
            ClosedQueueError: the channel was closed.
        """
        for each in (entry,) if self.mirror is None else self.mirror.show(entry):
            self.queue.put(each)

    def flush(self) -> bool:
        """Return when everything queued before is with the operating system; False if it gave up waiting."""
        try:
            flush = self.start_flush()
        except ClosedQueueError:
            flush = self.start_closing()
        return self._wait_for(flush)

    def start_flush(self) -> Flush:
        """Ask the worker to flush; return the command, which says when that is done.

        Raises:
            ClosedQueueError: the channel was closed.
        """
        flush = Flush()
        self.queue.command(flush)
        return flush

    def close(self) -> bool:
        """Return when everything is written, synced and closed; False if it gave up waiting."""
        return self._wait_for(self.start_closing())

    def start_closing(self) -> Close:
        """Ask the worker to flush, sync and close; return the command, which says when that is done. Idempotent."""
        closing = self.closing
        self.queue.refuse_more()
        try:
            self._detach()
            self._files.leave()
        finally:
            self.queue.end_with(closing)
        return closing

    def let_go(self) -> None:
        """Close without waiting: the writer was dropped."""
        self.start_closing()

    def cut_off(self, grace_secs: float) -> None:
        """Give up, count and name everything that is not written: the process is ending.

        The worker does this itself, because it knows what it has written. If it is stuck, it has `grace_secs`.
        """
        names, dropped = self.queue.names(NAMES_TOLD), self.queue.dropped
        self.queue.cut_off = True
        self.queue.wake()
        if self.closing.done.wait(grace_secs):
            lost = self.queue.dropped - dropped
            if lost:
                self.reports.cut_off(self.options.exit_timeout_secs, lost, names)
            return
        lost = self.drain.unwritten()
        waited = self.queue.give_up()
        self.queue.count_dropped(lost - waited)  # these are with a thread that is stuck
        self.heavy.let_go()
        self.reports.cut_off(self.options.exit_timeout_secs, lost, names)

    def fail_unforeseen(self, error: BaseException) -> None:
        """Go on after an error in tblog itself, or one that was raised in its worker from outside."""
        self.tell_unforeseen(error)
        self.drain.fail_unforeseen(error)

    def tell_unforeseen(self, error: BaseException) -> None:
        """Report an error in tblog itself, or one that was raised in one of its threads from outside."""
        self.reports.once(
            ("unforeseen", type(error)),
            f"tblog met an unforeseen error in its worker, and goes on; please report it: {error!r}",
        )

    def _detach(self) -> None:
        fast_path = self._fast_path()
        if fast_path is not None:
            fast_path.forget_channel()

    def _wait_for(self, command: Flush) -> bool:
        """Wait as long as there is progress. Never wait on a thread of tblog's own, where a finaliser may log."""
        if on_worker():
            return False
        progress, deadline = self._progress(), self._clock() + SILENCE_SECS
        while not command.done.wait(1.0):
            if self.is_inherited:  # the parent waits for it
                return True
            self.queue.wake()
            now = self._progress()
            if progress != now:
                progress, deadline = now, self._clock() + SILENCE_SECS
            elif self._clock() > deadline:
                waiting = self.drain.unwritten()
                self.reports.silence(SILENCE_SECS, waiting, self.queue.names(NAMES_TOLD))
                return False
        return True

    def _progress(self) -> tuple[float, ...]:
        """Return a value that changes whenever a thread or the storage makes progress."""
        return (
            self.queue.taken,
            self.queue.heavy_done,
            self.reports.failed,
            self._files.bytes_written,
            self._files.moves,
            self.busy_secs() if self.heavy.gets_on else 0.0,
        )

    def _tell_drop(self) -> None:
        by_wish = self.options.overflow == "drop" and not self.queue.failing
        self.reports.dropping(self.queue.waiting, self.queue.pending_bytes, by_wish=by_wish)

    def path(self, run: str) -> str:
        """Return the event file of a run, "" before it has one."""
        return self._files.path(run)

    @property
    def stats(self) -> Stats:
        """Return the counters of this channel."""
        if self.is_inherited:
            return Stats()
        return Stats(
            queued=self.queue.queued,
            written=self._files.written,
            dropped=self.queue.dropped + self.reports.lost_between_ranks,
            failed=self.reports.failed,
            bytes=self._files.bytes_written,
            worker_secs=self.drain.secs + self.heavy.secs,
            values_left_out=self.reports.left_out,
            spilled=self._files.spilled,
            incomplete=self.reports.incomplete,
        )


def _no_fast_path() -> None:
    """Return None: no fast path is attached."""
