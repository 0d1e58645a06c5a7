"""The calls of both originals' file writers, which take ready-made messages of any package.

Lives here: turning messages into records, and the `event_writer` attribute of a file writer.
Must not: know queues or files. Runs on the caller's thread.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from tblog._values.arguments import time_or_now, to_step
from tblog.errors import InvalidTypeError, shortened
from tblog.records import EventRecord, GraphRecord, SummaryRecord

if TYPE_CHECKING:
    from tblog._delivery.channel import Channel
    from tblog.records import Record
    from tblog.stats import Stats

_TAG_OF_RUN_METADATA = "step1"  # as both originals tag the metadata of the run that they trace


class MessageWriter:
    """Queues messages for the event file of one run.

    Args:
        logdir: the run's directory, as the caller gave it.
        run: the run's name below the directory of the writer that owns the queue, or "" for that directory.
    """

    def __init__(self, logdir: str, run: str = "") -> None:
        self._logdir = logdir
        self.run = run
        self.event_writer = EventWriter(self)

    def channel(self, *, reopen: bool = True) -> Channel:
        """Return the way to the files, opened anew after a `close` or in a forked child.

        Raises:
            ClosedQueueError: it is closed, `reopen` is false, and the `SummaryWriter` has left this one.
        """
        raise NotImplementedError

    def put(self, record: Record, step: int, wall_time: float) -> None:
        """Queue a record for this run."""
        raise NotImplementedError

    @property
    def stats(self) -> Stats:
        """Return the counters since this writer was made."""
        raise NotImplementedError

    def flush(self) -> None:
        """Return when every record queued so far is with the operating system."""
        raise NotImplementedError

    def close(self) -> None:
        """Write and sync everything, then close the files. The next `add_*` opens a new one."""
        raise NotImplementedError

    def get_logdir(self) -> str:
        """Return the directory of the event file, as it was given."""
        return self._logdir

    def reopen(self) -> None:
        """Open a new event file after a `close`; does nothing before."""
        self.channel()

    def add_event(self, event: Any, step: Any = None, walltime: Any = None) -> None:
        """Queue an Event message of any package; `step` and `walltime` are set in it where given.

        Raises:
            InvalidTypeError: it is not a message.
        """
        _require_message("add_event", event, "an Event")
        event.wall_time = time_or_now(walltime)
        if step is not None:
            event.step = to_step(step)
        self.event_writer.add_event(event)

    def add_summary(self, summary: Any, global_step: Any = None, walltime: Any = None) -> None:
        """Queue a Summary message of any package.

        Raises:
            InvalidTypeError: it is not a message.
        """
        _require_message("add_summary", summary, "a Summary")
        step = 0 if global_step is None else to_step(global_step)
        self.put(SummaryRecord(summary=summary.SerializeToString()), step, time_or_now(walltime))

    def add_graph(self, graph_profile: Any, walltime: Any = None) -> None:
        """Queue a pair of GraphDef and RunMetadata messages."""
        graph, run_metadata = graph_profile
        record = GraphRecord(
            tag=_TAG_OF_RUN_METADATA,
            graph_def=graph.SerializeToString(),
            run_metadata=run_metadata.SerializeToString(),
        )
        self.put(record, 0, time_or_now(walltime))

    def add_onnx_graph(self, graph: Any, walltime: Any = None) -> None:
        """Queue a GraphDef message.

        Raises:
            InvalidTypeError: it is not a message.
        """
        _require_message("add_onnx_graph", graph, "a GraphDef")
        self.put(GraphRecord(graph_def=graph.SerializeToString()), 0, time_or_now(walltime))

    add_openvino_graph = add_onnx_graph


class EventWriter:
    """The `event_writer` of a file writer: some programs read the file's name there, or write through it."""

    def __init__(self, file_writer: MessageWriter) -> None:
        self._file_writer: MessageWriter = weakref.proxy(file_writer)
        self._logdir = file_writer.get_logdir()

    @property
    def _file_name(self) -> str:
        return self._file_writer.channel().path(self._file_writer.run)

    @property
    def _ev_writer(self) -> EventWriter:
        return self

    def get_logdir(self) -> str:
        """Return the directory of the event file."""
        return self._logdir

    def add_event(self, event: Any) -> None:
        """Queue an Event message as it is.

        Raises:
            InvalidTypeError: it is not a message.
        """
        _require_message("add_event", event, "an Event")
        self._file_writer.put(EventRecord(event=event.SerializeToString()), 0, 0.0)

    def flush(self) -> None:
        """Flush the file writer."""
        self._file_writer.flush()

    def close(self) -> None:
        """Close the file writer."""
        self._file_writer.close()

    def reopen(self) -> None:
        """Open the file writer again."""
        self._file_writer.reopen()


def _require_message(method: str, message: Any, wanted: str) -> None:
    if not callable(getattr(message, "SerializeToString", None)):
        raise InvalidTypeError(
            f"{method} got {shortened(message)} of type {type(message).__name__}; give {wanted} message"
        )
