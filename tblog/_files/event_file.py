"""One event file: its first event, and the promise that nothing follows a torn record.

Lives here: opening, appending whole records, finishing or cutting back one that the storage took
in part, syncing, writing again what the storage took and lost, leaving a file that takes no more for a new one,
giving the handle back.
Must not: encode records, report errors. Owned by the worker thread once it is open; other threads
close its handle if the process runs out of handles, and it reopens the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import deque
from typing import TYPE_CHECKING

from tblog._files import handles, in_use, sinks
from tblog._files.names import new_name
from tblog._files.sinks import Identity, OpenSink, Sink, make_directory
from tblog._files.unsynced import Unsynced
from tblog._wire import events, framing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tblog._files.resume import Resume

LOOK_SECS = 1.0
"""Interval at which a file is checked, because someone may have removed or changed it."""

MAX_FACTORY_BYTES = 8 << 20
"""Size at which a factory's file is closed and a new one begins: many send the whole file at each flush."""

PIECE_BYTES = 8 << 20
"""Maximum size of one write."""

FULL = {errno.ENOSPC, errno.EDQUOT}
"""Error codes of a full disk. The same file is continued when there is room again."""

STALE_TRIES = 8
"""Number of tries, one after the other, if a network file system says ESTALE: the next one asks the server anew.
To open a file takes several calls, and each may be the first to hear it."""


class EventFile:
    """An event file, created at the first write.

    Args:
        logdir: the run's directory, or a URL for which there is a factory.
        suffix: appended to the file's name.
        resume: what to do with earlier files of the directory, before this one is created.
        clock: monotonic seconds.
        depth: how many directories the writer's own file is further up.
        open_sink: opens what takes the bytes.

    Attributes:
        path: the file's name, "" before it has one. It changes if the file had to be left.
        size: bytes in the file.
        handed_records: records handed to the operating system, or confirmed by a factory's file.
        handed_bytes: bytes of these.
    """

    def __init__(
        self,
        logdir: str,
        suffix: str = "",
        resume: Resume | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        depth: int = 0,
        open_sink: OpenSink = sinks.open_sink,
    ) -> None:
        self.logdir = logdir
        self.is_spare = depth > 0
        self._depth = depth
        self.path = ""
        self.size = 0
        self.handed_records = 0
        self.handed_bytes = 0
        self._resume = resume
        self._start = b""  # what follows the first event at the start of the file
        self._suffix = suffix
        self._clock = clock
        self._open_sink = open_sink
        self._look_at = 0.0
        self._sink: Sink | None = None
        self._identity: Identity | None = None
        self._is_at_hand = False
        self._waiting = bytearray()  # whole records; the first `_torn` bytes are written but not confirmed
        self._torn = 0
        self._appended: deque[tuple[int, int]] = (
            deque()
        )  # bytes and records of each waiting frame, oldest first
        self._has_news = False  # for the next sync
        self._unsynced = Unsynced()
        self._synced_records = 0  # of those handed
        self._is_doubtful = False  # whether the storage may have lost what was written since the last sync
        self._lost_records = 0
        # To the parent, in a forked child: a signal handler may fork inside any method here.
        self._is_left = False

    @property
    def is_open(self) -> bool:
        """Return whether the file holds a handle of the operating system."""
        return self._sink is not None

    @property
    def buffers(self) -> bool:
        """Return whether written bytes are still in this process, and would be lost with it before a sync."""
        return self._sink is not None and self._sink.buffers and self._has_news

    @contextlib.contextmanager
    def _use(self) -> Iterator[None]:
        """Take the handle from the pool, unless it was closed to free handles, and return it afterwards."""
        if self._is_at_hand:
            yield
            return
        self._is_at_hand = True
        if self._sink is not None and not self._sink.buffers and not handles.take_up(self):
            self._sink = None
        try:
            yield
        finally:
            self._is_at_hand = False
            if self._sink is not None and not self._sink.buffers:
                handles.lay_down(self, self._sink)

    def open(self) -> None:
        """Create the directory and the file, or open the file again to append; `write` begins with its first event.

        Raises:
            OSError: when that cannot be done.
        """
        with self._use():
            if self._sink is None:
                self._again_if_stale(lambda: handles.with_handles(self._open))

    def _again_if_stale(self, work: Callable[[], None]) -> None:
        """Do something, again by new handles if the server does not know the old ones."""
        for _ in range(STALE_TRIES - 1):
            try:
                work()
            except OSError as error:
                if error.errno != errno.ESTALE:
                    raise
                self.release()
            else:
                return
        work()

    def _open(self) -> None:
        if self._is_left:
            return
        if self.path and self._reopen():
            return
        if self.path:
            self._leave()
        self._create()

    def _create(self) -> None:
        before = self.path
        make_directory(self.logdir)
        if self._resume is not None:
            self._resume.prepare(self.logdir)
            self._start, self._resume = self._resume.first_events(), None
        path, sink = self._new_sink()
        first, look_at = events.first_event(time.time()) + self._start, self._clock() + LOOK_SECS
        if sink.buffers:  # a factory's: the first event shows whether it accepts any
            sink.write(bytearray(first))
            sink.sync()
        if self._is_left:
            sink.forget_in_child()
            return
        if self._sink is not None or self.path != before:  # a signal handler opened one during this call
            sink.close()
            if not sink.buffers:
                os.unlink(path)
            return
        self._sink, self.path, self.size, self._torn, self._look_at = sink, path, 0, 0, look_at
        self._all_is_synced()
        self._be_at(sink.identity)
        if sink.buffers:
            self._start = b""
            self.size = len(first)
            self.handed_bytes += len(first)
        else:
            self._waiting[:0] = first
            self._appended.appendleft((len(first), 0))

    def _new_sink(self) -> tuple[str, Sink]:
        while True:
            path = os.path.join(self.logdir, new_name(self._suffix, self._depth))
            try:
                return path, self._open_sink(path, create=True)
            except FileExistsError:
                continue

    def _reopen(self) -> bool:
        """Open the same file again; return False if it has changed."""
        try:
            sink = self._open_sink(self.path, create=False)
        except FileNotFoundError:
            return False
        if not self._is_as_left(sink):  # someone else changed it: never append to that
            sink.close()
            return False
        if self._is_left:
            sink.forget_in_child()
        else:
            self._sink = sink
        return True

    def _is_as_left(self, sink: Sink) -> bool:
        size = sink.size()
        return size == self.size or (self._is_doubtful and self._unsynced.fits(size, self.size))

    def leave(self) -> None:
        """Note that the waiting records are the last ones. A writer that continues has another file."""
        if self._identity is not None:
            in_use.leave(self._identity)

    def _be_at(self, identity: Identity | None) -> None:
        """Register the file as in use, whether or not it is open."""
        if self._identity is not None:
            in_use.end(self._identity)
        if identity is not None:
            in_use.begin(identity)
        self._identity = identity

    @property
    def waiting_records(self) -> int:
        """Return the number of appended records that the storage has not confirmed."""
        return sum(records for _, records in tuple(self._appended))

    def append(self, frames: bytes | bytearray | memoryview, records: int) -> None:
        """Append whole framed records, which the next `write` hands over.

        Args:
            frames: one frame for each record, or those of one record; none for one that has files of its own.
                A bytearray belongs to the file from now on.
            records: how many.
        """
        if self._torn and self._torn == len(self._waiting) and not self.buffers:
            self._forget_all()  # a signal handler raised before `write` could: what is kept must not be appended to
        if frames:
            if self._waiting or type(frames) is not bytearray:
                self._waiting += frames
            else:  # not copied: it may be large, and a copy holds the interpreter lock
                self._waiting = frames
            self._appended.append((len(frames), records))
        else:
            self.handed_records += records

    def write(self) -> None:
        """Hand everything that waits to the operating system, or to a factory's file, which confirms it at a `sync`.

        Raises:
            OSError: when the storage refuses. The rest waits for the next call, which continues in the
                middle of a record if necessary. Nothing is ever written between.
        """
        with self._use():
            self._again_if_stale(self._write)

    def _write(self) -> None:
        try:
            self._write_doubtful()
            self._leave_if_changed()
            while self._torn < len(self._waiting):
                self.open()
                piece, sink = self._next_piece(), self._own_sink()
                taken = sink.write(piece)
                self._torn += taken
                self.size += taken
                self._has_news = True
                if not sink.buffers:
                    self._unsynced.add(piece, taken)
                    self.handed_bytes += taken
        except OSError as error:
            if not self.buffers:
                self._forget_whole_records()
                self._is_doubtful = self._is_doubtful or self._unsynced.is_whole
            if not self._leave_after(error):
                raise
            self._write()
        if not self.buffers:
            self._forget_all()
        elif self.size > MAX_FACTORY_BYTES:
            self._confirm()

    def _own_sink(self) -> Sink:
        if self._sink is None:  # it was left to the parent
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), self.path)
        return self._sink

    def _next_piece(self) -> bytearray:
        """Return the next bytes to write, few enough to show progress even in a large record."""
        if not self._torn and len(self._waiting) <= PIECE_BYTES:
            return self._waiting
        return self._waiting[self._torn : self._torn + PIECE_BYTES]

    def _forget_all(self) -> None:
        self.handed_records += sum(records for _, records in self._appended)
        self._appended.clear()
        self._waiting = bytearray()  # what was written may be kept until the next sync
        self._torn = 0

    def _forget_whole_records(self) -> None:
        if self._torn == len(self._waiting):
            self._forget_all()
            return
        whole = 0
        while (end := framing.record_end(self._waiting, whole)) is not None and end <= self._torn:
            self._count(end - whole)
            whole = end
        del self._waiting[:whole]
        self._torn -= whole

    def _count(self, frame_bytes: int) -> None:
        """Count one frame that the file has."""
        nbytes, records = self._appended.popleft()
        if nbytes == frame_bytes:
            self.handed_records += records
        elif records > 1:
            self.handed_records += 1
            self._appended.appendleft((nbytes - frame_bytes, records - 1))
        else:
            self._appended.appendleft((nbytes - frame_bytes, records))

    def _leave_if_changed(self) -> None:
        """Leave a file that someone removed, replaced or changed: nobody could read what is written to it."""
        now = self._clock()
        if self._sink is None or not self._waiting or now < self._look_at:
            return
        self._look_at = now + LOOK_SECS
        if not self._sink.is_intact(self.path, self.size):
            self._leave()

    def _write_doubtful(self) -> None:
        """Write again, to the same place, what the storage may have lost. A reader sees no change."""
        if self._is_doubtful and not self._unsynced.is_whole:
            self._leave()  # it may have a gap, or end early: nothing behind that could be read
        if not self._is_doubtful or not self._unsynced.size:
            self._is_doubtful = False
            return
        self.open()
        assert self._sink is not None
        if not self._is_doubtful:  # the file was not as it was left, and this is a new one
            return
        if not self._is_as_left(self._sink):
            self._leave()
            return
        self._sink.write_again(self._unsynced.content(), self._unsynced.start)
        self._all_is_synced()

    def _all_is_synced(self) -> None:
        self._unsynced.restart(self.size)
        self._synced_records = self.handed_records
        self._is_doubtful = self._has_news = False

    def _take_back_unsynced(self) -> int:
        records = self.handed_records - self._synced_records
        self.handed_records = self._synced_records
        return records

    def take_lost(self) -> int:
        """Return how many records the storage took and lost, for good, since the last call."""
        lost, self._lost_records = self._lost_records, 0
        return lost

    def _leave_after(self, error: OSError) -> bool:
        """Leave a file that refused, if that helps; return whether a new file may take what waits."""
        if self._sink is not None and self._sink.buffers:
            self._leave()  # its content is unknown: unconfirmed records go to a new file
            return False
        if error.errno == errno.EFBIG:
            has_records = self.size - self._torn > events.FIRST_EVENT_BYTES
            self._cut_torn()
            if has_records:
                self._leave_confirmed()
            return has_records
        if error.errno not in FULL:
            self.release()  # the next `write` opens it again by its name
        return False

    def _leave_confirmed(self) -> None:
        """Leave a file whose records can be read, once these are on stable storage."""
        try:
            self._confirm_local()
        except OSError:
            self._is_doubtful = True
        if self.path:
            self._leave()

    def _confirm_local(self) -> None:
        """Have stable storage confirm what it took, and nothing else."""
        self._write_doubtful()
        if self._sink is not None and not self._sink.buffers and self._has_news:
            self._sink.sync()
            self._all_is_synced()

    def _leave(self) -> None:
        """Close the file for good. Whatever the storage may have lost of it is lost."""
        if (
            self._appended and not self._appended[0][1]
        ):  # its first events, or some of them: the next one has its own
            del self._waiting[: self._appended.popleft()[0]]
        else:
            self._start = b""
        self.abandon()
        self.path = ""
        self._torn = 0
        if self._is_doubtful:
            self._lost_records += self._take_back_unsynced()
        self._synced_records = self.handed_records
        self._is_doubtful = self._has_news = False

    def _cut_torn(self) -> None:
        torn, self._torn = self._torn, 0
        if torn and self._sink is not None:
            try:
                self._sink.cut(self.size - torn)
                self.size -= torn
                self._unsynced.cut(self.size)
            except OSError:  # nothing may follow the torn record
                self._leave_confirmed()

    def give_up(self) -> int:
        """Drop what waits, cut off a torn record, and return the number of records dropped."""
        dropped = sum(records for _, records in self._appended)
        with self._use():
            self._cut_torn()
        self._waiting = bytearray()
        self._appended.clear()
        return dropped

    def give_up_unconfirmed(self) -> int:
        """Try twice to have what the storage took confirmed; return the number of records that it took and lost."""
        for _ in range(2):
            try:
                with self._use():
                    self._confirm_local()
                return self.take_lost()
            except OSError:
                self._is_doubtful = True
        return self._take_back_unsynced() + self.take_lost()

    def give_up_first(self) -> int:
        """Drop the oldest frame that waits, and return the number of its records."""
        end = framing.record_end(self._waiting)
        assert end is not None
        with self._use():
            self._cut_torn()
        handed = self.handed_records
        self._count(end)
        del self._waiting[:end]
        dropped, self.handed_records = self.handed_records - handed, handed
        return dropped

    def sync(self) -> None:
        """Write what waits, and wait until it is on stable storage. Does nothing if nothing is new.

        Raises:
            OSError: when the storage refuses.
        """
        with self._use():
            self._again_if_stale(self._sync)

    def _sync(self) -> None:
        self._write()
        if not self._has_news:
            return
        self.open()
        assert self._sink is not None
        if self._sink.buffers:
            self._confirm()
            return
        try:
            self._sink.sync()
        except OSError:
            self._is_doubtful = True
            raise
        self._all_is_synced()

    def _confirm(self) -> None:
        """Have the file confirm what was written, and begin a new one if this one is large."""
        assert self._sink is not None
        try:
            if self.size > MAX_FACTORY_BYTES:
                self._close_sink()
                self.path = ""
            else:
                self._sink.sync()
                self._forget_confirmed()
                self._has_news = False
        except OSError as error:
            self._leave_after(error)
            raise

    def _forget_confirmed(self) -> None:
        self.handed_bytes += self._torn
        self._forget_all()
        self._synced_records = self.handed_records

    def close(self) -> None:
        """Sync and close the handle.

        Raises:
            OSError: when the storage refuses.
        """
        with self._use():
            try:
                self._write_and_sync()
            except OSError:
                if not self._is_doubtful:
                    raise
                self._write_and_sync()
            try:
                if self._sink is not None:
                    self._close_sink()
            finally:
                self._sink = None  # not tried again after a failure: what it did not confirm is lost
        self._be_at(None)

    def _write_and_sync(self) -> None:
        self.write()
        if not self.buffers:
            self.sync()

    def _close_sink(self) -> None:
        assert self._sink is not None
        self._sink.close()
        if self._sink.buffers:
            self._forget_confirmed()
        self._sink = None
        self._has_news = False

    def release(self) -> None:
        """Close the handle. A later `write` opens the file again and appends. A factory's file stays open."""
        with self._use():
            if self._sink is not None and not self._sink.buffers:
                self._give_back()

    def _give_back(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.close()
            except OSError:
                if not sink.buffers:
                    self.closing_failed()

    def closing_failed(self) -> None:
        """Note that the storage refused something as the handle was closed. Any thread may do so that has the handle."""
        self._is_doubtful = self._is_doubtful or self._has_news

    def abandon(self) -> None:
        """Close the handle for good."""
        with self._use():
            self._give_back()
        self._be_at(None)
        self._unsynced.restart(self.size)

    def forget_in_child(self) -> None:
        """Close a forked child's copy of the handle, and write nothing more."""
        self._is_left = True
        handles.take_up(self)
        self._be_at(None)
        self._unsynced.restart(self.size)
        if self._sink is not None:
            self._sink.forget_in_child()
            self._sink = None
