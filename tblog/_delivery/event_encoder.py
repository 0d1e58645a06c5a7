"""Turns a record of any kind except the hot one into serialised Event messages.

Runs on the threads that write and encode. The rare kinds load tensorboardX for its messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog import records, summaries
from tblog._wire import events
from tblog._wire.fields import sized

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._delivery.entries import HeavyRecord, LightRecord
    from tblog.options import WriterOptions


class EventEncoder:
    """Encodes the records of one writer."""

    def __init__(self, logdir: str, options: WriterOptions, report: Callable[[str, str, int], None]) -> None:
        self.logdir = logdir
        self._context = summaries.EncodeContext(options.png_compress_level, report)

    def encode(self, entry: LightRecord | HeavyRecord) -> list[bytes]:
        """Return the serialised events of a record. An embedding is written to files, and has no event."""
        record, when = entry.record, (entry.wall_time, entry.step)
        if isinstance(record, records.EventRecord):
            return [record.event]
        if isinstance(record, records.SummaryRecord):
            return [events.event(*when, events.SUMMARY, record.summary)]
        if isinstance(record, records.GraphRecord):
            return self._graph(record, entry.wall_time)
        if isinstance(record, records.EmbeddingRecord):
            self._embedding(record, entry.step)
            return []
        return [
            events.event(
                *when, events.SUMMARY, summary if isinstance(summary, bytes) else summary.SerializeToString()
            )
            for summary in summaries.encode(record, self._context)
        ]

    def _graph(self, record: records.GraphRecord, wall_time: float) -> list[bytes]:
        graph = record.graph_def
        serialized = graph if isinstance(graph, bytes) else graph.SerializeToString()
        made = [events.event(wall_time, 0, events.GRAPH_DEF, serialized)]
        if record.run_metadata is not None:
            tagged = sized(1, record.tag.encode()) + sized(2, record.run_metadata)
            made.append(events.event(wall_time, 0, events.TAGGED_RUN_METADATA, tagged))
        return made

    def _embedding(self, record: records.EmbeddingRecord, step: int) -> None:
        from tblog.summaries.embedding import write_embedding

        write_embedding(record, self.logdir, step, self._context)
