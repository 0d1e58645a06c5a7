"""Many scalar records become framed event bytes in one go: the hot kind.

An entry `(tag, value, step, wall_time)` becomes the message
Event(wall_time=, step=, summary=Summary(value=[Summary.Value(tag=, simple_value=)])), byte for byte
as protobuf writes it (https://protobuf.dev/programming-guides/encoding):

    09 wall_time:8                    left out if it is +0.0
    10 step:varint                    left out if it is 0
    2a size 0a size 0a size tag 15    without the last `0a size tag` if the tag is empty
    value:4

A batch is encoded in columns: its records are laid out from templates, one for each tag and width
of the step, and numpy writes the three fields that vary, and the checksum.

Lives here: the layout of scalar events. Must not: know queues or files, import protobuf.
An encoder belongs to one thread, the worker.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeAlias

import numpy as np

from tblog._checksums import Contributions, masked
from tblog._framing import FOOTER_BYTES, HEADER_BYTES, frame, header

if TYPE_CHECKING:
    from numpy.typing import NDArray

ScalarEntry: TypeAlias = "tuple[str, SupportsFloat, int, float]"
DictEntry: TypeAlias = "tuple[tuple[str, ...], Sequence[SupportsFloat], int, float]"

# Records that are encoded at once: few enough for the arrays to stay in the processor's cache.
CHUNK = 1024
# Below this many records the fixed cost of the columns is more than they save.
MIN_COLUMNS = 16
# Bounds of what is remembered; what is full is dropped and built anew.
MAX_TAGS = 32_768
MAX_TEMPLATES = 65_536
MAX_LAYOUTS = 256

# What the columns take: steps whose varint has 7 bytes at most, and summaries of this many bytes.
_STEP_LIMIT = 1 << 49
_SUMMARY_LIMIT = 1000

_TIME_BYTES = 9
_VALUE_BYTES = 4


class ScalarEncoder:
    """Turns scalar entries into framed records; remembers the tags it has seen.

    If one value's `__float__` raises, so do `encode` and `encode_dicts`, and nothing is lost: call
    them again with one entry at a time.
    """

    def __init__(self) -> None:
        self._contributions = Contributions(_TIME_BYTES + 8 + _SUMMARY_LIMIT + _VALUE_BYTES)
        self._ids: dict[str, int] = {}
        # A template's key is its tag's id * 16 + the width of the step.
        self._templates: dict[int, bytes] = {}
        self._prefixes: list[bytes] = []
        self._prefix_bytes = np.empty(MAX_TAGS, np.int64)
        self._prefix_words = np.empty(MAX_TAGS, np.uint64)
        self._prefix_crcs = np.empty(MAX_TAGS, np.uint32)
        self._layouts: dict[tuple[str, ...], tuple[bytes, NDArray[np.int64]]] = {}

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
            return b"".join(map(_encode_row, entries))
        flat: list[Any] = list(chain.from_iterable(entries))
        # struct's native codes convert as C does: by __float__, and to infinity what is too large.
        values = np.frombuffer(struct.pack(f"{n}f", *flat[1::4]), np.uint32)
        steps = np.frombuffer(struct.pack(f"{n}q", *flat[2::4]), np.uint64)
        wall_times = np.frombuffer(struct.pack(f"{n}d", *flat[3::4]), np.uint64)
        ids = self._ids_of(flat[0::4])
        prefix_bytes = self._prefix_bytes[ids]
        if steps.max() >= _STEP_LIMIT or prefix_bytes.max() > _SUMMARY_LIMIT or not wall_times.all():
            return b"".join(map(_encode_row, entries))

        step_fields, widths = _step_fields(steps)
        event_bytes = prefix_bytes + widths
        event_bytes += _TIME_BYTES + _VALUE_BYTES
        crcs = self._crcs(event_bytes, wall_times, step_fields, int(widths.max()), values)
        crcs ^= self._prefix_crcs[ids]

        out = self._lay_out(ids, widths)
        ends = (event_bytes + (HEADER_BYTES + FOOTER_BYTES)).cumsum()
        wall_time_at = ends - event_bytes
        wall_time_at -= FOOTER_BYTES - 1
        # Words of 8 bytes at any offset. A step's runs on into the prefix behind it, and may run
        # on into the value, which is written after it.
        words: NDArray[np.uint64] = np.ndarray((len(out) - 7,), "<u8", out, 0, (1,))
        step_fields |= self._prefix_words[ids] << (widths << 3).view(np.uint64)
        words[wall_time_at + 8] = step_fields
        words[wall_time_at] = wall_times
        words[ends - 8] = masked(crcs).astype(np.uint64) << np.uint64(32) | values
        return out

    def _ids_of(self, tags: list[str]) -> NDArray[np.int64]:
        try:
            ids = itemgetter(*tags)(self._ids)
        except KeyError:
            new = set(tags).difference(self._ids)
            if len(self._ids) + len(new) > MAX_TAGS:
                self._ids.clear()
                self._prefixes.clear()
                self._templates.clear()
                new = set(tags)
            for tag in new:
                self._remember(tag)
            ids = itemgetter(*tags)(self._ids)
        return np.frombuffer(struct.pack(f"{len(tags)}q", *ids), np.int64)

    def _remember(self, tag: str) -> None:
        from crc32c import crc32c

        prefix = _summary((tag,))[0][:-_VALUE_BYTES]
        i = len(self._prefixes)
        self._prefixes.append(prefix)
        self._prefix_bytes[i] = len(prefix)
        self._prefix_words[i] = int.from_bytes(prefix[:8], "little")
        crc = crc32c(prefix + bytes(_VALUE_BYTES))
        self._prefix_crcs[i] = crc ^ crc32c(bytes(len(prefix) + _VALUE_BYTES))
        self._ids[tag] = i

    def _lay_out(self, ids: NDArray[np.int64], widths: NDArray[np.int64]) -> bytearray:
        keys = (ids << 4 | widths).tolist()
        try:
            records = itemgetter(*keys)(self._templates)
        except KeyError:
            new = set(keys).difference(self._templates)
            if len(self._templates) + len(new) > MAX_TEMPLATES:
                self._templates.clear()
                new = set(keys)
            for key in new:
                prefix, width = self._prefixes[key >> 4], key & 15
                event_bytes = _TIME_BYTES + width + len(prefix) + _VALUE_BYTES
                zeros = bytes(_TIME_BYTES - 1 + width)
                self._templates[key] = b"".join((header(event_bytes), b"\x09", zeros, prefix, bytes(8)))
            records = itemgetter(*keys)(self._templates)
        return bytearray().join(records)

    def _crcs(self, event_bytes, wall_times, step_fields, step_bytes, values):
        n = len(values)
        table = self._contributions
        words = np.empty((n, 2), "<u8")
        words[:, 0] = wall_times
        words[:, 1] = step_fields
        rows = 8 + step_bytes
        index = np.empty((rows + 4, n), np.int64)
        index[:rows] = words.view(np.uint8).T[:rows]
        index[:rows] += (event_bytes - 2) << 8
        index[:rows] -= (np.arange(rows) << 8)[:, None]
        index[rows:] = values.view(np.uint8).reshape(n, 4).T
        index[rows:] += np.array([[3], [2], [1], [0]]) << 8
        crcs = np.bitwise_xor.reduce(table.flat.take(index), axis=0)
        crcs ^= table.zeros[event_bytes]
        crcs ^= table.flat[(event_bytes - 1 << 8) + 9]
        return crcs

    def _encode_group(self, tags: tuple[str, ...], entries: list[DictEntry]) -> Iterator[bytes]:
        if tags not in self._layouts:
            if len(self._layouts) >= MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[tags] = _summary(tags)
        summary, value_at = self._layouts[tags]
        n, size = len(entries), len(summary)
        values = chain.from_iterable(map(itemgetter(1), entries))
        columns = np.frombuffer(struct.pack(f"{n * len(tags)}f", *values), np.uint32)
        rows = bytearray(summary * n)
        if tags:
            words = np.ndarray((n, size - 3), "<u4", rows, 0, (size, 1))
            words[:, value_at] = columns.reshape(n, -1)
        view = memoryview(rows)
        for i, (_, _, step, wall_time) in enumerate(entries):
            yield frame(_head(wall_time, step) + view[i * size : (i + 1) * size])


def _encode_row(entry: ScalarEntry) -> bytes:
    tag, value, step, wall_time = entry
    prefix = _summary((tag,))[0][:-_VALUE_BYTES]
    return frame(_head(wall_time, step) + prefix + struct.pack("f", value))


def _head(wall_time: float, step: int) -> bytes:
    packed = struct.pack("<d", wall_time)
    head = b"\x09" + packed if packed != bytes(8) else b""
    return head + b"\x10" + _varint(step & 0xFFFFFFFFFFFFFFFF) if step else head


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _sized(field: bytes, content: bytes) -> bytes:
    return field + _varint(len(content)) + content


def _summary(tags: tuple[str, ...]) -> tuple[bytes, NDArray[np.int64]]:
    """Return the summary field with zeros as values, and where they stand."""
    contents = []
    for tag in tags:
        tag_field = _sized(b"\x0a", tag.encode()) if tag else b""
        contents.append(_sized(b"\x0a", tag_field + b"\x15" + bytes(_VALUE_BYTES)))
    summary = _sized(b"\x2a", b"".join(contents))
    lengths = np.array([len(content) for content in contents], np.int64)
    start = len(summary) - int(lengths.sum())
    return summary, start + lengths.cumsum() - _VALUE_BYTES


def _step_fields(steps: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return each step's field, key included, as little-endian words, and their widths in bytes."""
    fields = steps & np.uint64(0x7F)
    there = steps != 0
    widths = there.astype(np.int64) << 1
    for i in range(1, (int(steps.max()).bit_length() + 6) // 7):
        rest = steps >> np.uint64(7 * i)
        more = rest != 0
        fields |= (rest & np.uint64(0x7F)) << np.uint64(8 * i)
        fields |= more.astype(np.uint64) << np.uint64(8 * i - 1)
        widths += more
    fields <<= np.uint64(8)
    fields |= there.astype(np.uint64) << np.uint64(4)
    return fields, widths
