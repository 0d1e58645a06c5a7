"""The worker's side of one writer: its queue, its event files, and the way from entries to bytes.

Lives here: which encoder takes an entry, which file its bytes go to, when files are written,
synced and closed, what happens when one of these fails.
Must not: start threads, wait for callers. Everything but `__init__` and the two commands at the end
runs on the worker thread. Clock: `time.monotonic`, passed in for tests.

The contract, each heading with a test of its name in tests/test_contract.py:

Visibility: `step` hands all that it took to the operating system before it returns, so another
process reads a record one round of the worker after its call. `flush_secs` bounds the time to a sync.
Flush: a flush command is answered after everything before it is with the operating system.
Errors: an entry that cannot be encoded is counted and told once per cause; the others are written.
Storage that refuses is tried again; meanwhile the queue keeps what its bound allows.
"""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from tblog import _framing
from tblog._entries import Close, Flush, RecordEntry, RunScalar, ScalarDict
from tblog._eventfile import EventFile
from tblog._events import EventEncoder
from tblog._queue import RecordQueue
from tblog._reports import Reports, logger
from tblog._resume import Resume
from tblog._scalars import ScalarEncoder
from tblog.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tblog._mirrors import Mirror
    from tblog.options import WriterOptions

_Command = TypeVar("_Command", bound=Flush)

MAX_OPEN_FILES = 64
ENTRIES_A_STEP = 2_000  # four chunks of the scalar encoder
RETRY_SECS = 0.5


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
        self.closed = False
        self.tags: dict[str, str] = {}
        self.written = 0
        self.bytes_written = 0
        self.worker_secs = 0.0
        self._suffix = suffix
        self._flush_secs = flush_secs
        self._clock = clock
        self._resume = resume
        self._files: dict[str, EventFile] = {}
        self._start_anew()

    def start_anew_in_child(self) -> None:
        """Begin anew in a forked child: the parent has resumed the run, and has the files."""
        self._resume = None
        self._start_anew()

    def _start_anew(self) -> None:
        for file in self._files.values():
            file.release()
        self.tags.clear()  # the writer's quick path knows no tag, so its next call looks around
        self.queue.reset()
        self.served = False
        self.mirror: Mirror | None = None
        self.main_file = EventFile(self.logdir, self._suffix, self._resume)
        self._files = {"": self.main_file}
        self._dirty: set[str] = set()
        self._open_runs: dict[str, None] = {}  # the least recently written first
        self._scalars = ScalarEncoder()
        self._events = EventEncoder(self.logdir, self.options, self.reports.values_left_out)
        self._in_hand: list[Any] = []
        self._next_sync = self._clock() + self._flush_secs
        self._retry_at = 0.0

    def step(self) -> int:
        """Take some entries to the operating system; return how many."""
        started = time.thread_time()
        try:
            if self.queue.failing and not self._recovers():
                self._refuse_commands()
                return 0
            entries = self._in_hand = self.queue.take(ENTRIES_A_STEP)
            if entries:
                self._encode(entries)
                self._write()
                self.queue.done(0)
            self._sync_if_due()
            return len(entries)
        finally:
            self.worker_secs += time.thread_time() - started

    def _encode(self, entries: list[Any]) -> None:
        if set(map(type, entries)) == {tuple}:
            self._encode_scalars("", entries)
            return
        for kind, group in groupby(entries, type):
            if kind is tuple:
                self._encode_scalars("", list(group))
            elif kind is RunScalar:
                self._encode_run_scalars(group)
            elif kind is ScalarDict:
                self._encode_dicts(list(group))
            elif kind is RecordEntry:
                self._encode_records(group)
            else:
                self._obey(group)

    def _encode_run_scalars(self, entries: Iterable[RunScalar]) -> None:
        by_run: dict[str, list[tuple[Any, ...]]] = {}
        for run, scalar in entries:
            by_run.setdefault(run, []).append(scalar)
        for run, scalars in by_run.items():
            self._encode_scalars(run, scalars)

    def _encode_scalars(self, run: str, entries: list[Any]) -> None:
        try:
            frames = self._scalars.encode(entries)
        except Exception as error:
            if len(entries) == 1:
                tag, _, step, _ = entries[0]
                self.reports.failure(error, tag=tag, step=step, kind="scalar")
                return
            for entry in entries:
                self._encode_scalars(run, [entry])
            return
        self._append(run, frames, len(entries))

    def _encode_dicts(self, entries: list[ScalarDict]) -> None:
        try:
            frames = self._scalars.encode_dicts(entries)
        except Exception as error:
            if len(entries) == 1:
                tag = ", ".join(entries[0].tags[:3])
                self.reports.failure(error, tag=tag, step=entries[0].step, kind="scalar dict")
                return
            for entry in entries:
                self._encode_dicts([entry])
            return
        self._append("", frames, len(entries))

    def _encode_records(self, entries: Iterable[RecordEntry]) -> None:
        for entry in entries:
            try:
                for event in self._events.encode(entry):
                    self._append(entry.run, _framing.frame(event), 0)
                self.written += 1
            except Exception as error:
                kind = type(entry.record).__name__.removesuffix("Record").lower()
                self.reports.failure(error, tag=entry.record.tag, step=entry.step, kind=kind)
            self._write()
            self.queue.done(entry.nbytes)

    def _append(self, run: str, frames: bytes | bytearray | memoryview, records: int) -> None:
        file = self._files.get(run)
        if file is None:
            file = self._files[run] = EventFile(f"{self.logdir}/{run}", self._suffix, self._resume)
        file.append(frames)
        self.written += records
        self._dirty.add(run)

    def _write(self) -> None:
        while self._dirty:
            run = self._dirty.pop()
            try:
                self.bytes_written += self._files[run].write()
            except OSError as error:
                self._dirty.add(run)
                self._fail(error)
                return
            if run:
                self._keep_open(run)

    def _keep_open(self, run: str) -> None:
        self._open_runs.pop(run, None)
        self._open_runs[run] = None
        if len(self._open_runs) > MAX_OPEN_FILES:
            oldest = next(iter(self._open_runs))
            del self._open_runs[oldest]
            self._files[oldest].release()

    def _sync_if_due(self) -> None:
        if self._clock() >= self._next_sync:
            self._next_sync = self._clock() + self._flush_secs
            self._sync()

    def _sync(self) -> None:
        for file in self._files.values():
            try:
                file.sync()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.queue.failing = True
        self._retry_at = self._clock() + RETRY_SECS
        self.reports.first_error = self.reports.first_error or error
        self.reports.once(
            "storage",
            f"tblog cannot write to {self.logdir}: {error}. Training goes on; {len(self.queue.pending)} records "
            "wait, more are kept until the queue is full, and writing is tried again",
        )

    def _recovers(self) -> bool:
        if self._clock() < self._retry_at and not self.queue.asked:
            return False
        self.queue.failing = False
        self._write()
        if self.queue.failing:
            return False
        self.reports.forget("storage")
        logger.warning("tblog writes to %s again; %d records were dropped", self.logdir, self.queue.dropped)
        return True

    def _refuse_commands(self) -> bool:
        """Answer those who wait for a flush that cannot be had now; a close gives up what waits."""
        if not self.queue.asked:
            return False
        self.queue.asked = False
        entries = self.queue.take(len(self.queue.pending))
        commands = [entry for entry in entries if isinstance(entry, Flush)]
        if any(isinstance(command, Close) for command in commands):
            self.queue.dropped += len(entries) - len(commands)
            self._close_files()
        else:
            self.queue.put_back(entries, commands)
        for command in commands:
            command.done.set()
        return False

    def _obey(self, commands: Iterable[Flush]) -> None:
        self.queue.asked = False
        for command in commands:
            self.queue.taken -= 1  # a command is no record
            self._write()
            if isinstance(command, Close):
                self._close_files()
            command.done.set()

    def _close_files(self) -> None:
        self._sync()
        for file in self._files.values():
            lost = file.give_up()
            self.queue.dropped += lost
            self.written -= lost
            file.release()
        self.closed = True

    def fail_unforeseen(self, error: Exception) -> None:
        """Count what an error of tblog's own took with it, and let those who wait for it go on."""
        lost = [entry for entry in self._in_hand if not isinstance(entry, Flush)]
        self.reports.failure(error, tag="?", step=0, kind="step", records=len(lost))
        for entry in self._in_hand:
            if isinstance(entry, Close):
                self.closed = True
            if isinstance(entry, Flush):
                entry.done.set()
        self._in_hand = []

    # Called by the writer, on the caller's side.

    def put(self, entry: Any) -> None:
        """Queue an entry; tools that mirror the run see it first."""
        for each in (entry,) if self.mirror is None else self.mirror.show(entry):
            self.queue.put(each)

    def flush(self, timeout: float | None = None) -> bool:
        """Return when everything queued before is with the operating system; False after `timeout`."""
        return self._order(Flush()).done.wait(timeout)

    def path(self, run: str) -> str:
        """Return the event file of a run, "" before it has one."""
        file = self._files.get(run)
        return "" if file is None else file.path

    @property
    def stats(self) -> Stats:
        """Return the counters of this channel."""
        return Stats(
            queued=self.queue.queued,
            written=self.written,
            dropped=self.queue.dropped,
            failed=self.reports.failed,
            bytes=self.bytes_written,
            worker_secs=self.worker_secs,
        )

    def start_closing(self) -> Close:
        """Ask for a flush, a sync and the end; the command says when that is done."""
        self.tags.clear()
        return self._order(Close())

    def _order(self, command: _Command) -> _Command:
        self.queue.command(command)
        return command
