"""The writer of events below `SummaryWriter`: one log directory, its queue, and runs inside it."""

from __future__ import annotations

import os
import time
import weakref
from typing import TYPE_CHECKING, Any

from tblog._delivery import fork, mirrors, worker
from tblog._delivery.channel import Channel
from tblog._delivery.entries import LightRecord, record_entry
from tblog._delivery.queue import ClosedQueueError
from tblog._files.logdirs import address_of, explained, name_of
from tblog._files.resume import Resume
from tblog._locks import ForkSafeLock
from tblog._reports import Reports
from tblog._values.arguments import check_run, to_step, to_wall_time
from tblog._values.checks import plain_text
from tblog._wire import events
from tblog.errors import InvalidTypeError, shortened
from tblog.options import WriterOptions
from tblog.records import EventRecord, GraphRecord, SummaryRecord
from tblog.stats import Stats

if TYPE_CHECKING:
    from tblog.records import Record

fork.arm()

_SESSION_START = b"\x08\x01"  # SessionLog(status=START), tensorflow/core/util/event.proto


class FileWriter:
    """Write protocol buffers to an event file, as both originals' `FileWriter` do.

    A message may be of any package (`tensorboard.compat.proto`, `tensorboardX.proto`, TensorFlow):
    what counts is its `SerializeToString()`.

    Args:
        log_dir: directory for the event file, or a URL; created if missing. A relative one stays where it is
            now, whatever directory becomes current. `logdir` is the same.
        max_queue: kept for others to read; `WriterOptions.max_queue_records` is the bound.
        flush_secs: seconds, at most, between syncs to stable storage.
        filename_suffix: appended to the event file's name.
        options: what else there is to choose.
        resume: what to do with earlier files of the directory.
        patient: keep what is logged where the file cannot be created yet, and try again.
        address: where `log_dir` is, if it became known in another current directory.

    Raises:
        InvalidTypeError: `log_dir` is no path.
        InvalidValueError: it is a URL that nothing can write to.
        OSError: the directory or the file cannot be created.
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
    ) -> None:
        self._logdir = name_of(log_dir if log_dir is not None else logdir, "log_dir")
        self._address = address_of(self._logdir, "log_dir") if address is None else address
        self._max_queue = max_queue
        self._flush_secs = float(flush_secs)
        self._suffix = plain_text(filename_suffix or "")
        self._options = WriterOptions.of(options)
        self._resume = resume
        self._past = Stats()
        self._opening = ForkSafeLock()
        self._channel: Channel | None = None
        self._channels: list[Channel] = []  # the open one, and others that are not yet closed
        self._finalizer: Any = None
        self.left = False
        """Whether the writer above has closed this one, and takes another."""
        self._patient = patient
        self.event_writer = EventWriter(self)
        with explained(self._logdir):
            self.channel()
        self._patient = True  # from now on, training goes on

    def channel(self, *, reopen: bool = True) -> Channel:
        """Return the way to the files, opened anew after a `close` or in a forked child.

        Raises:
            ClosedQueueError: it would be opened anew, `reopen` is false, and the writer above has left this one.
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
                self._mark_start(channel)
                channel.mirror = self._find_mirror(channel)
            return channel

    @property
    def reports(self) -> Reports:
        """Return where what went wrong is counted and told."""
        return self.channel().reports

    def _new_channel(self, before: Channel | None) -> Channel:
        channel = Channel(self._address, self._suffix, self._flush_secs, self._options, self._resume)
        if self._channel is not before and self._channel is not None:  # a signal handler was quicker
            return self._channel
        self._channel = channel
        self._channels.append(channel)
        self._forget_closed_channels()
        self._finalizer = weakref.finalize(self, Channel.start_closing, channel)
        self._finalizer.atexit = False
        return channel

    def _forget_closed_channels(self) -> None:
        for channel in tuple(self._channels):
            if channel.closed:
                self._channels.remove(channel)
                self._past += channel.stats
        if self._finalizer is not None and not self._channels:
            self._finalizer.detach()

    def _find_mirror(self, channel: Channel) -> mirrors.Mirror | None:
        return mirrors.find_mirror(self._options.flavor, self._address, self._options, channel.reports)

    def _mark_start(self, channel: Channel) -> None:
        """Tell a loader that has read the earlier files to forget their points from the step on.

        TensorBoard's Python loader does so at a START that is not the run's first: hence two.
        """
        resume, self._resume = self._resume, None
        if resume is None or resume.step is None:
            return
        for field, payload in (
            (events.FILE_VERSION, events.VERSION),
            *[(events.SESSION_LOG, _SESSION_START)] * 2,
        ):
            event = events.event(time.time(), resume.step, field, payload)
            channel.queue.put(LightRecord(EventRecord(event=event), 0, 0.0, "", len(event)))

    @property
    def stats(self) -> Stats:
        """Return what was logged since this writer was made."""
        return sum((channel.stats for channel in tuple(self._channels)), self._past)

    def get_logdir(self) -> str:
        """Return the directory of the event file, as it was given."""
        return self._logdir

    def put(self, record: Record, step: int, wall_time: float, run: str = "", nbytes: int = 0) -> None:
        """Queue a record whose arrays take `nbytes`, for this directory or a run below it."""
        self.put_entry(record_entry(record, step, wall_time, run, nbytes))

    def put_entry(self, entry: Any) -> None:
        """Queue an entry."""
        while True:
            try:
                return self.channel().put(entry)
            except ClosedQueueError:  # another thread closed the channel just now: there is a new one
                continue

    def add_event(self, event: Any, step: Any = None, walltime: Any = None) -> None:
        """Queue an Event message of any package; `step` and `walltime` are set in it where given.

        Raises:
            InvalidTypeError: it is no message.
        """
        _require_message(event, "an Event")
        event.wall_time = time.time() if walltime is None else to_wall_time(walltime)
        if step is not None:
            event.step = to_step(step)
        self._put_bytes(EventRecord(event=event.SerializeToString()), 0, 0.0)

    def add_summary(self, summary: Any, global_step: Any = None, walltime: Any = None) -> None:
        """Queue a Summary message of any package.

        Raises:
            InvalidTypeError: it is no message.
        """
        _require_message(summary, "a Summary")
        record = SummaryRecord(summary=summary.SerializeToString())
        step = 0 if global_step is None else to_step(global_step)
        self._put_bytes(record, step, time.time() if walltime is None else to_wall_time(walltime))

    def add_graph(self, graph_profile: Any, walltime: Any = None) -> None:
        """Queue a pair of GraphDef and RunMetadata messages."""
        graph, run_metadata = graph_profile
        record = GraphRecord(
            tag="step1", graph_def=graph.SerializeToString(), run_metadata=run_metadata.SerializeToString()
        )
        self._put_bytes(record, 0, time.time() if walltime is None else to_wall_time(walltime))

    def add_onnx_graph(self, graph: Any, walltime: Any = None) -> None:
        """Queue a GraphDef message."""
        _require_message(graph, "a GraphDef")
        record = GraphRecord(graph_def=graph.SerializeToString())
        self._put_bytes(record, 0, time.time() if walltime is None else to_wall_time(walltime))

    add_openvino_graph = add_onnx_graph

    def _put_bytes(self, record: EventRecord | SummaryRecord | GraphRecord, step: int, wall: float) -> None:
        payload = {EventRecord: "event", SummaryRecord: "summary", GraphRecord: "graph_def"}[type(record)]
        self.put(record, step, wall, nbytes=len(getattr(record, payload)))

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

    def reopen(self) -> None:
        """Open a new event file after a `close`; does nothing before."""
        self.channel()

    def _raise_if_strict(self, channel: Channel) -> None:
        if self._options.strict:
            channel.reports.raise_first()


class RunFileWriter(FileWriter):
    """A `FileWriter` for a run below another's directory, which shares its queue and thread."""

    def __init__(self, parent: FileWriter, run: str) -> None:
        self._parent = parent
        self.run = check_run(run)
        self._logdir = f"{parent.get_logdir()}/{self.run}"
        self.event_writer = EventWriter(self)

    def channel(self, *, reopen: bool = True) -> Channel:
        """Return the parent's."""
        return self._parent.channel(reopen=reopen)

    @property
    def stats(self) -> Stats:
        """Return the parent's, which counts this run too."""
        return self._parent.stats

    def put_entry(self, entry: Any) -> None:
        """Queue an entry, which names its run."""
        self._parent.put_entry(entry)

    def put(self, record: Record, step: int, wall_time: float, run: str = "", nbytes: int = 0) -> None:
        """Queue a record for this run."""
        self._parent.put(record, step, wall_time, run or self.run, nbytes)

    def flush(self) -> None:
        """Flush the parent."""
        self._parent.flush()

    def close(self) -> None:
        """Leave the files to the parent, which closes them with its own."""
        self._parent.flush()


class EventWriter:
    """What `FileWriter.event_writer` is to those who look into it: the file's name, and the writer."""

    def __init__(self, file_writer: FileWriter) -> None:
        self._file_writer = weakref.proxy(file_writer)
        self._logdir = file_writer.get_logdir()

    @property
    def _file_name(self) -> str:
        channel = self._file_writer.channel()
        run = getattr(self._file_writer, "run", "")
        return str(channel.path(run))

    @property
    def _ev_writer(self) -> EventWriter:
        return self

    def get_logdir(self) -> str:
        """Return the directory of the event file."""
        return self._logdir

    def add_event(self, event: Any) -> None:
        """Queue an Event message as it is."""
        _require_message(event, "an Event")
        serialized = event.SerializeToString()
        self._file_writer.put(EventRecord(event=serialized), 0, 0.0, nbytes=len(serialized))

    def flush(self) -> None:
        """Flush the file writer."""
        self._file_writer.flush()

    def close(self) -> None:
        """Close the file writer."""
        self._file_writer.close()

    def reopen(self) -> None:
        """Open the file writer again."""
        self._file_writer.reopen()


class DiscardingFileWriter:
    """What stands in for a `FileWriter` where `write_to_disk=False`: takes everything, keeps nothing."""

    def __init__(self, logdir: str) -> None:
        self._logdir = logdir
        self.reports = Reports(logdir)

    def get_logdir(self) -> str:
        """Return the directory that is not written to."""
        return self._logdir

    def add_event(self, event: Any, step: Any = None, walltime: Any = None) -> None:
        """Do nothing."""

    def add_summary(self, summary: Any, global_step: Any = None, walltime: Any = None) -> None:
        """Do nothing."""

    def add_graph(self, graph_profile: Any, walltime: Any = None) -> None:
        """Do nothing."""

    add_onnx_graph = add_openvino_graph = add_graph

    def flush(self) -> None:
        """Do nothing."""

    close = reopen = flush


def _require_message(message: Any, wanted: str) -> None:
    if not callable(getattr(message, "SerializeToString", None)):
        raise InvalidTypeError(
            f"got {shortened(message)} of type {type(message).__name__}; give {wanted} message"
        )
