"""The event files of one writer: one for its own run, and one for each run below it.

Lives here: which file a run's bytes go to, writing and syncing all of them.
Must not: encode, wait. Runs on the worker thread, but for opening the first file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

from tblog._files import sinks
from tblog._files.event_file import EventFile
from tblog._files.neighbours import Neighbours
from tblog._files.stores import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._files.resume import Resume
    from tblog._files.sinks import OpenSink
    from tblog._reports import Reports

_HOPELESS = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.ELOOP, errno.EILSEQ}
"""Errors that waiting does not cure. Only runs below can have them, because a call opens the writer's own file."""


def is_hopeless(error: OSError, logdir: str) -> bool:
    """Return whether a name below a log directory is unusable, and not the directory itself in trouble."""
    return error.errno in _HOPELESS and os.path.isdir(logdir)


class RunFiles:
    """The files of a log directory and of the runs below it.

    Args:
        logdir: the own run's directory.
        suffix: appended to the files' names.
        resume: what to do with earlier files of each run, before the first is created.
        reports: receives records that no file can take.
        clock: monotonic seconds.
        open_sink: opens what takes the bytes of a file.
    """

    def __init__(
        self,
        logdir: str,
        suffix: str,
        resume: Resume | None,
        reports: Reports,
        clock: Callable[[], float] = time.monotonic,
        open_sink: OpenSink = sinks.open_sink,
    ) -> None:
        self.own = EventFile(logdir, suffix, resume, clock, open_sink=open_sink)
        self._new = (suffix, resume, clock)
        self._open_sink = open_sink
        self._reports = reports
        self._files = {"": self.own}
        self._dirty: dict[str, None] = {}
        self._neighbours = (
            None if is_remote(logdir) else Neighbours(logdir, goes_on=resume is not None, clock=clock)
        )

    @property
    def written(self) -> int:
        """Return the number of records handed to the operating system, or confirmed by a factory's."""
        return sum(file.handed_records for file in tuple(self._files.values()))

    @property
    def bytes_written(self) -> int:
        """Return the number of bytes handed to the operating system, or confirmed by a factory's."""
        return sum(file.handed_bytes for file in tuple(self._files.values()))

    @property
    def waiting(self) -> int:
        """Return the number of records here that the storage has not confirmed."""
        return sum(file.waiting_records for file in tuple(self._files.values()))

    has_room = True
    """Whether more may be appended now: a file takes what is written at once, or raises."""
    has_to_send = False
    moves = 0
    refusal: OSError | None = None
    spilled = 0

    def has_settled(self, command: object, *, is_last: bool) -> bool:  # noqa: ARG002 - see `StoredRuns`
        """Return True: nothing is on its way once it is written."""
        return True

    def end_segments(self) -> None:
        """Do nothing: there are none."""

    def send_next(self) -> bool:
        """Return False: nothing is sent later."""
        return False

    def path(self, run: str) -> str:
        """Return the event file of a run, "" before it has one."""
        file = self._files.get(run)
        return "" if file is None else file.path

    def open(self) -> None:
        """Create the own run's file. The next `write` begins with its first event.

        Raises:
            OSError: when that cannot be done.
        """
        self._dirty[""] = None
        self.own.open()

    def append(self, run: str, frames: bytes | bytearray | memoryview, records: int) -> None:
        """Append framed records of a run, which the next `write` hands over; see `EventFile.append`."""
        file = self._files.get(run)
        if file is None:
            depth = 1 + run.count(os.sep)
            logdir = f"{self.own.logdir}/{run}"
            file = EventFile(logdir, *self._new, depth=depth, open_sink=self._open_sink)
            self._files[run] = file
        file.append(frames, records)
        self._dirty[run] = None

    def write(self) -> None:
        """Hand everything that waits to the operating system.

        Raises:
            OSError: when the storage of a run refuses. Those of the others have been written.
        """
        first_error: OSError | None = None
        if not self._dirty:
            return
        for run in tuple(self._dirty):
            try:
                self._write(run, self._files[run])
                del self._dirty[run]
            except OSError as error:
                first_error = first_error or error
        if first_error is not None:
            raise first_error
        if self._neighbours is not None and self.own.handed_records and self._neighbours.is_due:
            for message in self._neighbours.look(self.own.path):
                self._reports.once(message, message)

    def leave(self) -> None:
        """Note that the writer is closing, so that its next file does not mistake this one for another writer's."""
        self.own.leave()

    def ignore_neighbours(self) -> None:
        """Do not report other writers in the directory: a forked child logs beside its parent."""
        self._neighbours = None

    def _write(self, run: str, file: EventFile) -> None:
        before = file.path
        self._write_what_fits(run, file)
        lost = file.take_lost()
        if lost:
            self._reports.lost(before, lost)
        if before and file.path and file.path != before:
            self._reports.once(
                ("left", run),
                f"tblog: {before} was removed, replaced or changed, or takes no more; logging goes on in {file.path}",
            )

    def _write_what_fits(self, run: str, file: EventFile) -> None:
        while True:
            try:
                return file.write()
            except OSError as error:
                if run and not file.path and is_hopeless(error, self.own.logdir):
                    self._reports.refused(error, run, file.give_up())
                elif error.errno == errno.EFBIG:
                    self._reports.refused(error, run, file.give_up_first())
                else:
                    raise

    def recover(self) -> None:
        """Retry everything that may have failed.

        Raises:
            OSError: when the storage still refuses.
        """
        self.open()
        self.write()
        self.flush()

    def flush(self) -> None:
        """Have a factory's files confirm what they took. `write` is enough for local files.

        Raises:
            OSError: when the storage of a run refuses. Those of the others are flushed.
        """
        first_error: OSError | None = None
        for run, file in self._files.items():
            try:
                if file.buffers:
                    file.sync()
            except OSError as error:
                first_error = first_error or error
                self._dirty[run] = None  # unconfirmed records may have to go to a new file
        if first_error is not None:
            raise first_error

    def sync(self) -> None:
        """Wait until everything is on stable storage.

        Raises:
            OSError: when the storage of a run refuses. Those of the others are synced.
        """
        self.write()
        first_error: OSError | None = None
        for run, file in self._files.items():
            was_open = file.is_open
            try:
                file.sync()
            except OSError as error:
                first_error = first_error or error
                self._dirty[run] = None
            if not was_open:
                file.release()
        if first_error is not None:
            raise first_error

    def close(self) -> tuple[int, OSError | None]:
        """Sync and close all files; return the number of records given up, and the first error."""
        lost, first_error = 0, None
        with contextlib.suppress(OSError):
            self.write()
        for file in self._files.values():
            try:
                file.close()
            except OSError as error:
                first_error = first_error or error
            lost += file.give_up() + file.give_up_unconfirmed()
            file.abandon()
        return lost, first_error

    def forget_in_child(self) -> None:
        """Close a forked child's copies of the handles."""
        for file in self._files.values():
            file.forget_in_child()
