"""`FileWriter`: one log directory with its queue, and the runs below it."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

from tblog._delivery import fork, mirrors, worker
from tblog._delivery.channel import Channel
from tblog._delivery.entries import record_entry
from tblog._delivery.queue import ClosedQueueError
from tblog._files.logdirs import address_of, explained, name_of, suffix_of
from tblog._locks import ForkSafeLock
from tblog._message_writer import MessageWriter
from tblog._past import Past
from tblog._reports import Reports
from tblog._values.checks import plain_text
from tblog.options import WriterOptions
from tblog.stats import Stats

if TYPE_CHECKING:
    from tblog._files.resume import Resume
    from tblog.records import Record

fork.arm()


class FileWriter(MessageWriter):
    """Write protocol buffers to an event file, as both originals' `FileWriter` do.

    A message may come from any package (`tensorboard.compat.proto`, `tensorboardX.proto`, TensorFlow).
    Only its `SerializeToString()` is called.

    Args:
        log_dir: directory of the event file, or a URL; created if missing. A relative path is resolved now, so a
            later `os.chdir` has no effect. `logdir` is the same.
        max_queue: readable, but without effect; `WriterOptions.max_queue_records` is the bound.
        flush_secs: maximum seconds between syncs to stable storage.
        filename_suffix: appended to the event file's name.
        options: further options.
        resume: what to do with earlier files of the directory.
        patient: if the file cannot be created, keep what is logged and try again.
        address: the absolute path of `log_dir`, if that was resolved in another current directory.
        made_in: id of the process in which the `SummaryWriter` was made whose file this is, if it may be a parent.

    Raises:
        InvalidTypeError: `log_dir` is not a path.
        InvalidValueError: it is a URL that nothing can write to, or `filename_suffix` has a slash in it.
        OSError: the directory or the file cannot be created.

    Example:
        >>> from tensorboardX.proto.summary_pb2 import Summary
        >>> from tblog import FileWriter
        >>> writer = FileWriter("runs/messages")
        >>> writer.add_summary(Summary(value=[Summary.Value(tag="loss", simple_value=0.5)]), 1)
        >>> writer.close()
        >>> writer.stats.written
        1
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        *,
        logdir: str | os.PathLike[str] | None = None,
        options: WriterOptions | None = None,
        resume: Resume | None = None,
        patient: bool = False,
        address: str | None = None,
        made_in: int | None = None,
    ) -> None:
        super().__init__(name_of(log_dir if log_dir is not None else logdir, "log_dir"))
        self._address = address_of(self._logdir, "log_dir") if address is None else address
        self._max_queue = max_queue
        self._flush_secs = float(flush_secs)
        self._suffix = suffix_of(plain_text(filename_suffix or ""))
        self._options = WriterOptions.of(options)
        self._resume = resume
        self._pid = os.getpid() if made_in is None else made_in
        self._past = Past()
        self._opening = ForkSafeLock()
        self._channel: Channel | None = None
        self._channels: list[Channel] = []  # the open one, and others that are not yet closed
        self._finalizer: Any = None
        self.left = False
        """Whether the `SummaryWriter` that made this one has closed it, and opens another."""
        self._patient = patient
        with explained(self._logdir):
            self.channel()
        self._patient = True  # from now on, training goes on

    def channel(self, *, reopen: bool = True) -> Channel:
        """Return the way to the files, opened anew after a `close` or in a forked child.

        Raises:
            ClosedQueueError: it is closed, `reopen` is false, and the `SummaryWriter` has left this one.
        """
        channel = self._channel
        if channel is not None and channel.is_open:
            return channel
        with self._opening:
            channel = self._channel
            if channel is None or channel.is_closing:
                if self.left and not reopen:
                    raise ClosedQueueError
                channel = self._new_channel(channel)
            if not channel.served:
                worker.serve(channel, patient=self._patient)
                self._resume = None
                channel.mirror = self._find_mirror(channel)
            return channel

    @property
    def reports(self) -> Reports:
        """Return the counters and reports of failures."""
        return self.channel().reports

    def _new_channel(self, before: Channel | None) -> Channel:
        channel = self._make_channel(None if self._is_inherited else self._resume)
        if self._is_inherited:
            channel.log_beside_parent(before)
        if self._channel is not before and self._channel is not None:  # a signal handler was quicker
            return self._channel
        self._channel = channel
        self._channels.append(channel)
        self._forget_closed_channels()
        self._finalizer = weakref.finalize(self, type(channel).let_go, channel)
        self._finalizer.atexit = False
        return channel

    @property
    def _is_inherited(self) -> bool:
        """Return whether this is a forked child, whose parent has made this writer, and has resumed the run."""
        return os.getpid() != self._pid

    def _make_channel(self, resume: Resume | None) -> Channel:
        return Channel(self._address, self._suffix, self._flush_secs, self._options, resume)

    def _forget_closed_channels(self) -> None:
        for channel in tuple(self._channels):
            if channel.closed and channel in self._channels:  # a signal handler may have been quicker
                self._channels.remove(channel)
                self._past.add(channel.stats)
        if self._finalizer is not None and not self._channels:
            self._finalizer.detach()

    def _find_mirror(self, channel: Channel) -> mirrors.Mirror | None:
        return mirrors.find_mirror(self._options.flavor, self._address, self._options, channel.reports)

    @property
    def stats(self) -> Stats:
        """Return the counters since this writer was made."""
        return sum((channel.stats for channel in tuple(self._channels)), self._past.stats)

    def put(self, record: Record, step: int, wall_time: float, run: str = "") -> None:
        """Queue a record for this directory, or a run below it."""
        entry = record_entry(record, step, wall_time, run)
        while True:
            try:
                return self.channel().put(entry)
            except ClosedQueueError:  # another thread closed the channel just now: there is a new one
                continue

    def flush(self) -> None:
        """Return when every record queued so far is with the operating system.

        After a `close`, returns at once.

        Raises:
            WriteError: a record was lost, and the options say strict.
        """
        for channel in tuple(self._channels):  # one that another thread closes just now, too
            if channel.served:
                channel.flush()
                self._raise_if_strict(channel)

    def close(self) -> None:
        """Write and sync everything, then close the files. The next `add_*` opens a new one.

        Raises:
            WriteError: a record was lost, and the options say strict.
        """
        channel = self._channel
        if channel is None:
            return
        if channel.served:
            channel.close()
        with self._opening:
            if self._channel is channel:
                self._channel = None
            self._forget_closed_channels()
        self._raise_if_strict(channel)

    def _raise_if_strict(self, channel: Channel) -> None:
        if self._options.strict:
            channel.reports.raise_first()
