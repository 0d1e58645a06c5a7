"""Many scalar records become framed event bytes in one go: the hot kind.

An entry `(tag, value, step, wall_time)` becomes the message
Event(wall_time=, step=, summary=Summary(value=[Summary.Value(tag=, simple_value=)])), byte for byte
as protobuf writes it. A batch is encoded in columns: the records are laid out from templates, and
numpy writes what varies over the zeros in them, time, step, value and checksum.

Lives here: the columns. Must not: know queues or files, import protobuf.
An encoder belongs to one thread, the worker. Assumes a little-endian machine.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat, TypeAlias

import numpy as np

from tblog._wire import events
from tblog._wire.checksums import MAX_BYTES, Checksums
from tblog._wire.events import STEP_KEY, TIME_BYTES, TIME_KEY, VALUE_BYTES
from tblog._wire.fields import float32, float32s
from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES, frame
from tblog._wire.tag_table import TagTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

ScalarEntry: TypeAlias = "tuple[str, SupportsFloat, int, float]"
DictEntry: TypeAlias = "tuple[tuple[str, ...], Sequence[SupportsFloat], int, float]"

# Records that are encoded at once. numpy releases the interpreter lock in operations on more than 500
# elements, and beside a busy thread it then takes up to 5 ms to get the lock back, each time. No operation
# on a chunk is on more.
CHUNK = 500
# Below this many records, the fixed cost of the columns is more than they save.
MIN_COLUMNS = 56
# Number of dict layouts that are cached. If there are more, the cache is cleared.
MAX_LAYOUTS = 256

# Limits of the columns: a step of this many bits has a field of at most 8 bytes. Other records are encoded one by one.
_MAX_STEP_BITS = 49
_MAX_PREFIX_BYTES = MAX_BYTES - TIME_BYTES - 8 - VALUE_BYTES

# By the bits of a step: the width of its field in bytes, and the bits of the field that do not
# depend on the step (the key, and the mark on each byte that another one follows).
_WIDTHS = np.array([0] + [1 + (bits + 6) // 7 for bits in range(1, _MAX_STEP_BITS + 1)])
_FIELD_MARKS = np.array(
    [0] + [STEP_KEY + sum(0x80 << 8 * i for i in range(1, width - 1)) for width in _WIDTHS.tolist()[1:]],
    np.uint64,
)
# By the byte of a field: the bits of the step that it takes, and how far they move.
_DIGIT_MASKS = [np.uint64(0x7F << 7 * i) for i in range(7)]
_DIGIT_SHIFTS = [np.uint64(8 + i) for i in range(7)]


class ScalarEncoder:
    """Turns scalar entries into framed records; caches the tags it has seen.

    If the `__float__` of a value raises, so do `encode` and `encode_dicts`. Nothing is lost: call them again with one
    entry at a time.
    """

    def __init__(self) -> None:
        self._tags = TagTable()
        self._layouts: dict[tuple[str, ...], _DictLayout] = {}

    def encode(self, entries: Sequence[ScalarEntry]) -> bytes:
        """Return one framed event for each `(tag, value, step, wall_time)`, in order.

        Args:
            entries: tags that UTF-8 can encode; anything with `__float__` as value, kept as float32
                (infinite if too large); steps in the range of int64; seconds since the epoch.
        """
        starts = range(0, len(entries), CHUNK)
        return b"".join([self._encode_chunk(entries[start : start + CHUNK]) for start in starts])

    def encode_dicts(self, entries: Sequence[DictEntry]) -> bytes:
        """Return one framed event, of many values, for each `(tags, values, step, wall_time)`."""
        groups = groupby(entries, key=itemgetter(0))
        return b"".join(chain.from_iterable(self._encode_group(tags, list(group)) for tags, group in groups))

    def _encode_chunk(self, entries: Sequence[ScalarEntry]) -> bytes | bytearray:
        n = len(entries)
        if n < MIN_COLUMNS:
            return b"".join(map(self._encode_row, entries))
        tag_column, value_column, step_column, time_column = zip(*entries, strict=True)
        values = np.frombuffer(float32s(value_column), np.uint32)
        steps = np.frombuffer(struct.pack(f"{n}q", *step_column), np.uint64)
        times = np.frombuffer(struct.pack(f"{n}d", *time_column), np.uint64)
        tags = self._tags
        ids = tags.ids(tag_column)
        prefix_bytes = tags.prefix_bytes[ids]
        step_bits = np.frexp(steps)[1].astype(np.int64)
        if _max(step_bits) > _MAX_STEP_BITS or _max(prefix_bytes) > _MAX_PREFIX_BYTES or not times.all():
            return b"".join(map(self._encode_row, entries))

        widths = _WIDTHS[step_bits]
        max_width = _max(widths)
        fields = _step_fields(steps, step_bits, max_width)
        event_bytes = prefix_bytes + widths
        event_bytes += TIME_BYTES + VALUE_BYTES
        # Times in the same quarter of an hour have the upper half of their bits in common.
        varying = 4 if _max(times ^ times[0]) < 1 << 32 else 8
        start = struct.pack("<BQ", TIME_KEY, int(times[0]) >> 32 << 32 if varying == 4 else 0)
        checksums = Checksums(event_bytes, start)
        checksums.add(1, _columns(times)[:varying])
        checksums.add(TIME_BYTES, _columns(fields)[:max_width])
        checksums.add_last(_columns(values))
        checksums.crcs ^= tags.prefix_crcs[ids]

        out = bytearray().join(tags.templates(tag_column, widths))
        ends = (event_bytes + (HEADER_BYTES + FOOTER_BYTES)).cumsum()
        times_at = ends - event_bytes
        times_at -= FOOTER_BYTES - 1
        # Words of 8 bytes at any offset. A step's runs on into the prefix behind it, and may run
        # on into the value, which is written after it.
        words: NDArray[np.uint64] = np.ndarray((len(out) - 7,), "<u8", out, 0, (1,))
        fields |= tags.prefix_words[ids] << (widths << 3).view(np.uint64)
        words[times_at + 8] = fields
        words[times_at] = times
        words[ends - 8] = checksums.masked().astype(np.uint64) << np.uint64(32) | values
        return out

    def _encode_row(self, entry: ScalarEntry) -> bytes:
        tag, value, step, wall_time = entry
        return frame(events.head(wall_time, step) + self._tags.prefix(tag) + float32(value))

    def _encode_group(self, tags: tuple[str, ...], entries: list[DictEntry]) -> Iterator[bytes]:
        if tags not in self._layouts:
            if len(self._layouts) >= MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[tags] = _DictLayout.of(tags)
        layout = self._layouts[tags]
        for start in range(0, len(entries), layout.rows):
            rows = entries[start : start + layout.rows]
            values = list(chain.from_iterable(map(itemgetter(1), rows)))
            for (_, _, step, wall_time), summary in zip(rows, layout.fill(len(rows), values), strict=True):
                yield frame(events.head(wall_time, step) + summary)


class _DictLayout(NamedTuple):
    """Where the values stand in the summaries of events with the same tags.

    Attributes:
        summary: the summary field with zeros as values.
        rows: as many summaries as are filled at once.
        values_at: int64, the offsets of the values in so many summaries, one after the other.
    """

    summary: bytes
    rows: int
    values_at: NDArray[np.int64]

    @classmethod
    def of(cls, tags: tuple[str, ...]) -> _DictLayout:
        """Lay out the summary of these tags."""
        values = [events.value(tag) for tag in tags]
        summary = events.summary(values)
        rows = max(1, CHUNK // max(1, len(tags)))
        ends = np.cumsum([0, *map(len, values)])
        in_one = len(summary) - ends[-1] + ends[1:] - VALUE_BYTES
        return cls(summary, rows, (np.arange(rows)[:, None] * len(summary) + in_one).reshape(-1))

    def fill(self, rows: int, values: list[SupportsFloat]) -> Iterator[memoryview]:
        """Return `rows` summaries with these values, in blocks."""
        size = len(self.summary)
        out = bytearray(self.summary * rows)
        values_at = self.values_at[: len(self.values_at) // self.rows * rows]
        if len(values_at):
            words: NDArray[np.uint32] = np.ndarray((len(out) - 3,), "<u4", out, 0, (1,))
            words[values_at] = np.frombuffer(float32s(values), np.uint32)
        view = memoryview(out)
        return (view[start : start + size] for start in range(0, len(out), size))


def _step_fields(
    steps: NDArray[np.uint64], step_bits: NDArray[np.int64], max_width: int
) -> NDArray[np.uint64]:
    """Return the field of each step, its key included, as a little-endian word."""
    fields = _FIELD_MARKS[step_bits]
    for i in range(max_width - 1):
        fields |= (steps & _DIGIT_MASKS[i]) << _DIGIT_SHIFTS[i]
    return fields


def _columns(words: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the bytes of little-endian words, one column for each byte."""
    columns: NDArray[np.uint8] = words.view(np.uint8).reshape(len(words), -1).T
    return columns


def _max(numbers: NDArray[Any]) -> int:
    return int(np.maximum.reduce(numbers))  # half the time of the method
