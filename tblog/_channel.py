"""The worker's side of one writer: its queue, its event files, and the way from entries to bytes.

Lives here: which encoder takes an entry, which run its bytes go to, when files are written,
synced and closed, what happens when one of these fails.
Must not: start threads. Everything but opening and the commands at the end runs on the worker thread.
Clock: `time.monotonic`, passed in for tests.

The contract, each heading with a test of its name in tests/test_contract.py:

Visibility: `step` hands all that it took to the operating system before it returns, so another
process reads a record one round of the worker after its call. `flush_secs` bounds the time to a sync.
Flush: a flush command is answered after everything before it is with the operating system.
Errors: an entry that cannot be encoded is counted and told once per cause; the others are written.
Storage that refuses is tried again; meanwhile the queue keeps what its bound allows.
"""

from __future__ import annotations

import time
import weakref
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from tblog import _framing
from tblog._entries import Close, Flush, RecordEntry, RunScalar, ScalarDict
from tblog._eventfile import FULL
from tblog._events import EventEncoder
from tblog._locks import importing, on_worker
from tblog._queue import ClosedQueueError, RecordQueue
from tblog._reports import Reports, logger
from tblog._resume import Resume
from tblog._run_files import RunFiles
from tblog._scalars import ScalarEncoder
from tblog.records import EmbeddingRecord
from tblog.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tblog._eventfile import EventFile
    from tblog._mirrors import Mirror
    from tblog.options import WriterOptions

ENTRIES_A_STEP = 500  # a chunk of the scalar encoder
ENTRIES_IN_HASTE = 2_000
HASTE_AT = 16_384
"""So many waiting entries, or a quarter of a small queue, make the steps larger: the queue must not fill up."""
RETRY_SECS = 0.5
SILENCE_SECS = 60.0
"""`flush` and `close` wait for storage that does not react at all no longer than this."""

_TOGETHER = {tuple, RunScalar, ScalarDict}


class QuickUser(Protocol):
    """A writer that appends to the queue by itself."""

    def forget_channel(self) -> None:
        """Append no more to the queue of a channel that is closed, or that is the parent process's."""
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
    """

    def __init__(
        self,
        logdir: str,
        suffix: str,
        flush_secs: float,
        options: WriterOptions,
        resume: Resume | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.logdir = logdir
        self.options = options
        self.queue = RecordQueue(options.max_queue_records, options.max_queue_bytes, options.overflow)
        self.reports = Reports(logdir)
        self.worker_secs = 0.0
        self._haste_at = min(HASTE_AT, options.max_queue_records // 4)
        self._suffix = suffix
        self._flush_secs = flush_secs
        self._clock = clock
        self._resume = resume
        self._start_anew()
        channels.add(self)

    def start_anew_in_child(self) -> None:
        """Begin anew in a forked child: the parent has resumed the run, and has the files."""
        self._resume = None
        self._files.forget_in_child()
        self._let_go_of_user()
        self.queue.reset()
        self._start_anew()

    def _start_anew(self) -> None:
        self.tags: dict[str, str] = {}
        self.served = False
        self.closed = False
        self.mirror: Mirror | None = None
        self._user: Callable[[], QuickUser | None] = _no_user
        self._closing: dict[str, Close] = {}
        self._files = RunFiles(self.logdir, self._suffix, self._resume, self.reports, self._clock)
        self.queue.storage_took = partial(getattr, self._files, "bytes_written")
        self._scalars = ScalarEncoder()
        self._events = EventEncoder(self.logdir, self.options, self.reports.values_left_out)
        self._in_hand: list[Any] = []
        self._dealt = 0  # how many of those in hand are encoded or counted
        self._appetite = ENTRIES_IN_HASTE
        self._next_sync = self._clock() + self._flush_secs
        self._retry_at = 0.0

    @property
    def main_file(self) -> EventFile:
        """Return the event file of the writer's own run."""
        return self._files.own

    @property
    def is_open(self) -> bool:
        """Return whether a worker takes what is put here, and nobody has closed it."""
        return self.served and not self._closing

    @property
    def is_closing(self) -> bool:
        """Return whether somebody has closed it."""
        return bool(self._closing)

    def open(self, *, patient: bool) -> None:
        """Create the event file, on the caller's thread.

        Args:
            patient: go on where that fails, and leave it to the worker to try again.

        Raises:
            OSError: the file cannot be created, and the caller is not patient.
        """
        self.queue.on_drop = self._tell_drop
        try:
            self._files.open()
        except OSError as error:
            if not patient:
                raise
            self._fail(error)

    @property
    def is_in_haste(self) -> bool:
        """Return whether somebody waits for the worker, or soon would."""
        return self.queue.is_awaited or self.queue.waiting > self._haste_at

    def step(self) -> int:
        """Take some entries to the operating system; return how many."""
        started = time.thread_time()
        try:
            if self.queue.failing and not self._recovers():
                self._answer_while_failing()
                return 0
            dealt = self._take_some()
            if self._clock() >= self._next_sync:
                self._next_sync = self._clock() + self._flush_secs
                self._try(self._files.sync)
            return dealt
        finally:
            self.worker_secs += time.thread_time() - started

    def _take_some(self) -> int:
        self._dealt = 0
        most = ENTRIES_IN_HASTE if self.is_in_haste else ENTRIES_A_STEP
        self._in_hand = self.queue.take(min(self._appetite, most))
        if self._in_hand:
            self._encode(self._in_hand)
        self._try(self._files.write)
        if self._in_hand:
            self._put_back_rest()
            self.queue.done(0)
            if not self.queue.failing:
                self._appetite = min(2 * self._appetite, ENTRIES_IN_HASTE)
        return self._dealt

    def _put_back_rest(self) -> None:
        rest, self._in_hand = self._in_hand[self._dealt :], []
        self.queue.put_back(rest)

    def _encode(self, entries: list[Any]) -> None:
        """Encode what is in hand, until the storage fails."""
        for kind, start, end in _stretches(entries):
            if self.queue.failing:
                return
            stretch = entries if end - start == len(entries) else entries[start:end]
            try:
                if kind in _TOGETHER:
                    self._encode_together(kind, stretch)
                elif kind is RecordEntry:
                    self._encode_record(*stretch)
                else:
                    self._obey(*stretch)
            except OSError as error:  # of an embedding's files: it is encoded again later
                self._fail(error)
                return
            except BaseException as error:
                self.reports.failure(error, tag="?", step=0, kind=kind.__name__, records=len(stretch))
            self._dealt = end

    def _encode_together(self, kind: type, entries: list[Any]) -> None:
        if kind is tuple:
            self._encode_scalars("", entries)
        elif kind is ScalarDict:
            self._encode_dicts(entries)
        else:
            by_run: dict[str, list[tuple[Any, ...]]] = {}
            for run, scalar in entries:
                by_run.setdefault(run, []).append(scalar)
            for run, scalars in by_run.items():
                self._encode_scalars(run, scalars)

    def _encode_scalars(self, run: str, entries: list[Any]) -> None:
        try:
            with importing:
                frames = self._scalars.encode(entries)
        except BaseException as error:
            if len(entries) == 1:
                tag, _, step, _ = entries[0]
                self.reports.failure(error, tag=tag, step=step, kind="scalar")
                return
            for entry in entries:
                self._encode_scalars(run, [entry])
            return
        self._files.append(run, frames, len(entries))

    def _encode_dicts(self, entries: list[ScalarDict]) -> None:
        try:
            with importing:
                frames = self._scalars.encode_dicts(entries)
        except BaseException as error:
            if len(entries) == 1:
                tag = ", ".join(entries[0].tags[:3])
                self.reports.failure(error, tag=tag, step=entries[0].step, kind="scalar dict")
                return
            for entry in entries:
                self._encode_dicts([entry])
            return
        self._files.append("", frames, len(entries))

    def _encode_record(self, entry: RecordEntry) -> None:
        self.queue.encoding = True
        try:
            with importing:
                frames = [_framing.frame(event) for event in self._events.encode(entry)]
        except BaseException as error:
            if (
                isinstance(error, OSError)
                and error.errno in FULL
                and isinstance(entry.record, EmbeddingRecord)
            ):
                raise
            kind = type(entry.record).__name__.removesuffix("Record").lower()
            self.reports.failure(error, tag=entry.record.tag, step=entry.step, kind=kind)
        else:
            self._files.append(entry.run, b"".join(frames), 1)
        finally:
            self.queue.encoding = False
        self._try(self._files.write)
        self.queue.done(entry.nbytes)

    def _try(self, storing: Callable[[], None]) -> None:
        """Do something with the storage, and take note if it refuses."""
        try:
            storing()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.queue.failing = True
        self.queue.asked = True  # those who wait are answered soon
        self._appetite = 1  # so that what goes back to a full queue is little
        self._retry_at = self._clock() + RETRY_SECS
        self.reports.storage(error, self.queue.waiting)

    def _recovers(self) -> bool:
        if self._clock() < self._retry_at and not self.queue.asked:
            return False
        self.queue.failing = False
        self._try(self._files.recover)
        if self.queue.failing:
            return False
        self.queue.recovered()
        self.reports.storage_is_back(self.queue.dropped)
        return True

    def _answer_while_failing(self) -> None:
        """Answer those who wait for a flush that cannot be had now; a close gives up what waits."""
        if self.queue.asked:
            self.queue.asked = False
            for command in self.queue.take_commands():
                if isinstance(command, Close):
                    self.queue.give_up()
                    self._close_files()
                command.done.set()

    def _obey(self, command: Flush) -> None:
        self.queue.taken -= 1  # a command is no record
        try:
            self._try(self._files.write)
            if isinstance(command, Close):
                self._close_files()
            else:
                self._try(self._files.flush)
        finally:
            command.done.set()

    def _close_files(self) -> None:
        try:
            lost, error = self._files.close()
            self.queue.count_dropped(lost)
            self.reports.gave_up(error, self.queue.dropped)
        finally:
            self.closed = True

    def fail_unforeseen(self, error: BaseException) -> None:
        """Go on after an error of tblog's own, or one that was thrown at its thread."""
        self.reports.once(
            ("unforeseen", type(error)),
            f"tblog met an unforeseen error in its worker, and goes on; please report it: {error!r}",
        )
        self._put_back_rest()
        self._fail(OSError(f"unforeseen: {error!r}"))

    # On the caller's side.

    def lend(self, user: QuickUser) -> None:
        """Let a writer append to `queue.pending` by itself, until it is told to forget this channel."""
        self._user = weakref.ref(user)

    def put(self, entry: Any) -> None:
        """Queue an entry; tools that mirror the run see it first.

        Raises:
            ClosedQueueError: the channel was closed.
        """
        for each in (entry,) if self.mirror is None else self.mirror.show(entry):
            self.queue.put(each)

    def flush(self) -> bool:
        """Return when everything queued before is with the operating system; False if that was given up."""
        flush = Flush()
        try:
            self.queue.command(flush)
        except ClosedQueueError:
            flush = self.start_closing()
        return self._wait_for(flush)

    def close(self) -> bool:
        """Return when everything is written, synced and closed; False if waiting for that was given up."""
        return self._wait_for(self.start_closing())

    def start_closing(self) -> Close:
        """Ask for a flush, a sync and the end; the command says when that is done. A second call asks no more."""
        closing = self._closing.setdefault("", Close())
        self.queue.refuse_more()
        self._let_go_of_user()
        self.queue.end_with(closing)
        return closing

    def _let_go_of_user(self) -> None:
        user = self._user()
        if user is not None:
            user.forget_channel()

    def _wait_for(self, command: Flush) -> bool:
        """Wait as long as the worker gets on; never on the worker's own thread, where a finaliser may log."""
        if on_worker():
            return False
        progress, deadline = self._progress(), time.monotonic() + SILENCE_SECS
        while not command.done.wait(1.0):
            self.queue.wake()
            if progress != self._progress():
                progress, deadline = self._progress(), time.monotonic() + SILENCE_SECS
            elif time.monotonic() > deadline:
                logger.error(
                    "tblog: the storage of %s has not reacted for %d s; training goes on, and %d records wait",
                    self.logdir,
                    SILENCE_SECS,
                    self.queue.waiting,
                )
                return False
        return True

    def _progress(self) -> tuple[int, int, int]:
        return self.queue.taken, self.reports.failed, self._files.bytes_written

    def _tell_drop(self) -> None:
        by_wish = self.options.overflow == "drop" and not self.queue.failing
        self.reports.dropping(self.queue.waiting, self.queue.pending_bytes, by_wish=by_wish)

    def path(self, run: str) -> str:
        """Return the event file of a run, "" before it has one."""
        return self._files.path(run)

    @property
    def stats(self) -> Stats:
        """Return the counters of this channel."""
        return Stats(
            queued=self.queue.queued,
            written=self._files.written,
            dropped=self.queue.dropped,
            failed=self.reports.failed,
            bytes=self._files.bytes_written,
            worker_secs=self.worker_secs,
            values_left_out=self.reports.left_out,
        )


def _no_user() -> None:
    """Return None: nobody appends to the queue by itself."""


def _stretches(entries: list[Any]) -> Iterator[tuple[type, int, int]]:
    """Yield kind, start and end of what is encoded at once: scalars that follow each other, or one other entry."""
    kinds = set(map(type, entries))
    if len(kinds) == 1 and kinds <= _TOGETHER:
        yield kinds.pop(), 0, len(entries)
        return
    start = 0
    for kind, group in groupby(entries, type):
        count = len(list(group))
        width = count if kind in _TOGETHER else 1
        for each in range(start, start + count, width):
            yield kind, each, each + width
        start += count
