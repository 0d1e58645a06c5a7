"""A record of any kind but the hot one becomes serialised Event messages.

Runs on the threads that write and encode. Loads tensorboardX at the first record that needs its messages.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tblog import records, summaries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._delivery.entries import HeavyRecord, LightRecord
    from tblog.options import WriterOptions

# Field numbers of Event, tensorflow/core/util/event.proto.
FILE_VERSION, GRAPH_DEF, SUMMARY, SESSION_LOG, TAGGED_RUN_METADATA = 3, 4, 5, 7, 8


def varint(number: int) -> bytes:
    """Encode an integer of 64 bits as protobuf does: seven bits a byte, the lowest first."""
    number &= (1 << 64) - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def event_bytes(wall_time: float, step: int, field: int, payload: bytes) -> bytes:
    """Serialise an Event that has one message or bytes field beside its time and step."""
    head = b"\x09" + struct.pack("<d", wall_time)
    if step:
        head += b"\x10" + varint(step)
    return head + bytes([field << 3 | 2]) + varint(len(payload)) + payload


class EventEncoder:
    """Encodes the records of one writer, and keeps what some kinds need from one to the next."""

    def __init__(self, logdir: str, options: WriterOptions, report: Callable[[str, str, int], None]) -> None:
        self._logdir = logdir
        self._png_compress_level = options.png_compress_level
        self._report = report

    def encode(self, entry: LightRecord | HeavyRecord) -> list[bytes]:
        """Return the serialised events of a record; an embedding becomes files and no event."""
        record, when = entry.record, (entry.wall_time, entry.step)
        if isinstance(record, records.EventRecord):
            return [record.event]
        if isinstance(record, records.SummaryRecord):
            return [event_bytes(*when, SUMMARY, record.summary)]
        if isinstance(record, records.GraphRecord):
            return self._graph(record, entry.wall_time)
        if isinstance(record, records.EmbeddingRecord):
            self._embedding(record, entry.step)
            return []
        context = summaries.EncodeContext(self._png_compress_level, self._report)
        return [
            event_bytes(
                *when, SUMMARY, summary if isinstance(summary, bytes) else summary.SerializeToString()
            )
            for summary in summaries.encode(record, context)
        ]

    def _graph(self, record: records.GraphRecord, wall_time: float) -> list[bytes]:
        graph = record.graph_def
        serialized = graph if isinstance(graph, bytes) else graph.SerializeToString()
        events = [event_bytes(wall_time, 0, GRAPH_DEF, serialized)]
        if record.run_metadata is not None:
            tag = record.tag.encode()
            tagged = b"\x0a" + varint(len(tag)) + tag
            tagged += b"\x12" + varint(len(record.run_metadata)) + record.run_metadata
            events.append(event_bytes(wall_time, 0, TAGGED_RUN_METADATA, tagged))
        return events

    def _embedding(self, record: records.EmbeddingRecord, step: int) -> None:
        from tblog.summaries.embedding import write_embedding

        write_embedding(record, self._logdir, step, self._png_compress_level)
