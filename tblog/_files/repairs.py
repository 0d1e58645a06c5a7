"""The records of a damaged event file, corrected where TensorBoard's loaders would stop at them.

All bytes but those of the correction stay as they are, also unknown fields.
Must not: change files, import tensorboard.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, BinaryIO

from tblog._files.walk import walk
from tblog._wire.event_messages import COUNTS, HISTOGRAM, LIMITS, readable, value_message
from tblog._wire.events import SUMMARY, VERSION, first_event_data
from tblog._wire.fields import sized
from tblog._wire.parsing import BYTES, FIXED64, with_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def repaired_records(file: BinaryIO) -> Iterator[bytes]:
    """Yield the data of each record of a file that holds an event, corrected if possible."""
    wall_time, first = 0.0, True
    for piece in walk(file):
        event = readable(piece.data) if piece.data is not None else None
        if piece.data is None or event is None:
            continue
        data, is_timed = piece.data, math.isfinite(event.wall_time)
        if first and event.version != VERSION:
            yield first_event_data(event.wall_time if is_timed else 1.0)
        first = False
        if is_timed:
            wall_time = event.wall_time
        else:
            data = _with_time(data, wall_time)
        yield data if all(value.limits == value.counts for value in event.values) else _evened(data)


def _with_time(data: bytes, wall_time: float) -> bytes:
    """Return an event with the time of the last one."""
    changed = bytearray(data)
    for _, field in with_starts(data):
        if field.key == 1 and field.wire == FIXED64:
            struct.pack_into("<d", changed, field.start, wall_time)
    return bytes(changed)


def _evened(data: bytes) -> bytes:
    """Return an event whose histograms have as many limits as counts."""
    return _edited(data, SUMMARY, lambda summary: _edited(summary, 1, _with_even_histogram))


def _with_even_histogram(value: bytes) -> bytes:
    found = value_message(value)
    lacking = found.counts - found.limits
    if not lacking:
        return value
    limits, counts = struct.pack("<d", found.last_limit) * lacking, bytes(8) * -lacking
    more = sized(LIMITS, limits) if lacking > 0 else sized(COUNTS, counts)
    *_, (start, last) = (
        one for one in with_starts(value) if one[1].key == HISTOGRAM and one[1].wire == BYTES
    )
    return value[:start] + sized(HISTOGRAM, value[last.start : last.end] + more) + value[last.end :]


def _edited(data: bytes, number: int, edit: Callable[[bytes], bytes]) -> bytes:
    """Return a message with the content of each field of this number edited."""
    return b"".join(
        sized(number, edit(data[field.start : field.end]))
        if field.key == number and field.wire == BYTES
        else data[start : field.end]
        for start, field in with_starts(data)
    )
