"""Reads the scalars of an event file back in whole columns: a million events in about a second.

Lives here: the framing (lengths and both checksums of every record are verified) and the events
that hold plain scalars, read by layout: records of one length whose fixed bytes agree are taken
apart together. Everything else is parsed by tensorboard's own message. tests/test_benchmarks.py
and `_check.head_agrees` compare this reader with tensorboard's.

Format: https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/compat/proto/event.proto
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_HEADER, _FOOTER = 12, 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_STRETCH = 250_000  # records taken apart at once: bounds the memory


class BrokenFileError(AssertionError):
    """A record's length or checksum is wrong, or the file ends inside a record."""


@dataclass(frozen=True)
class ScalarColumns:
    """Scalars in the order of the file, one entry for each value of each event."""

    tags: list[str]
    tag_index: NDArray[np.int64]
    steps: NDArray[np.int64]
    values: NDArray[np.float32]
    wall_times: NDArray[np.float64]
    others: list[bytes]

    def of_tag(self, tag: str) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
        """Return steps, values and times of one tag, in the order of the file."""
        rows = np.flatnonzero(self.tag_index == self.tags.index(tag))
        return self.steps[rows], self.values[rows], self.wall_times[rows]


class _Field(NamedTuple):
    number: int
    start: int
    end: int


class _Layout(NamedTuple):
    wall: slice
    step: slice | None
    slots: list[tuple[slice, slice]]
    fixed: NDArray[np.int64]


def event_files(logdir: Path) -> list[Path]:
    """Return the event files of one run, in the order in which TensorBoard reads them."""
    return sorted(path for path in logdir.iterdir() if "tfevents" in path.name)


def read_scalars(path: Path) -> ScalarColumns:
    """Read an event file whole; raises `BrokenFileError` unless every record is intact."""
    data = np.fromfile(path, dtype=np.uint8)
    starts, lengths = _frames(data)
    tags: dict[str, int] = {}
    parts: list[tuple[Any, ...]] = []
    others: list[tuple[int, bytes]] = []
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for low in range(0, len(rows), _STRETCH):
            stretch = rows[low : low + _STRETCH]
            matrix = _payloads(data, starts[stretch], int(length))
            parts.extend(_columns(matrix, stretch, tags, others))
    return _joined(parts, tags, [raw for _, raw in sorted(others)])


def _frames(data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    unpack, buffer, size = struct.Struct("<Q").unpack_from, data.data, len(data)
    starts, lengths, at = [], [], 0
    while at < size:
        if at + _HEADER + _FOOTER > size:
            raise BrokenFileError(f"the file ends inside a record's frame, at byte {at} of {size}")
        (length,) = unpack(buffer, at)
        starts.append(at)
        lengths.append(length)
        at += _HEADER + length + _FOOTER
    if at != size:
        raise BrokenFileError(f"the last record should end at byte {at}, the file at {size}")
    return np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64)


def _payloads(data: NDArray[np.uint8], starts: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
    whole = _HEADER + length + _FOOTER
    frames = np.lib.stride_tricks.sliding_window_view(data, whole)[starts]
    payload = np.ascontiguousarray(frames[:, _HEADER : _HEADER + length])
    for covered, stored in ((frames[:, :8], frames[:, 8:12]), (payload, frames[:, -_FOOTER:])):
        wrong = np.flatnonzero(masked_crc(covered) != np.ascontiguousarray(stored).view("<u4")[:, 0])
        if len(wrong):
            raise BrokenFileError(f"a checksum is wrong in the record at byte {starts[wrong[0]]}")
    return payload


def _crc_table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ np.where(table & np.uint32(1), np.uint32(0x82F63B78), np.uint32(0))
    return table


_TABLE = _crc_table()


def masked_crc(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the masked CRC-32C of each row of bytes (RFC 3720, B.4; mask as TFRecord has it)."""
    crc = np.full(len(rows), 0xFFFFFFFF, dtype=np.uint32)
    for column in rows.T:
        crc = _TABLE[(crc ^ column) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
    crc = ~crc
    masked: NDArray[np.uint32] = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)
    return masked


def _columns(
    matrix: NDArray[np.uint8],
    rows: NDArray[np.int64],
    tags: dict[str, int],
    others: list[tuple[int, bytes]],
) -> Iterator[tuple[Any, ...]]:
    """Take records of one length apart, layout by layout; what is no scalar goes to `others`."""
    while len(matrix):
        layout = _layout(matrix[0].tobytes())
        if layout is None:
            others.append((int(rows[0]), matrix[0].tobytes()))
            matrix, rows = matrix[1:], rows[1:]
            continue
        same = (matrix[:, layout.fixed] == matrix[0, layout.fixed]).all(axis=1)
        if layout.step is not None:
            same &= ((matrix[:, layout.step] ^ matrix[0, layout.step]) < 0x80).all(axis=1)
        part = matrix[same]
        walls = np.ascontiguousarray(part[:, layout.wall]).view("<f8")[:, 0]
        steps = _varints(part[:, layout.step]) if layout.step else np.zeros(len(part), dtype=np.int64)
        for slot, (tag, value) in enumerate(layout.slots):
            values = np.ascontiguousarray(part[:, value]).view("<f4")[:, 0]
            yield rows[same], slot, _tag_indices(part[:, tag], tags), steps, values, walls
        matrix, rows = matrix[~same], rows[~same]


def _varints(columns: NDArray[np.uint8]) -> NDArray[np.int64]:
    value = np.zeros(len(columns), dtype=np.uint64)
    for place, column in enumerate(columns.T):
        value |= (column & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
    return value.view(np.int64)


def _tag_indices(columns: NDArray[np.uint8], tags: dict[str, int]) -> NDArray[np.int64]:
    if columns.shape[1] == 0 or (columns == columns[0]).all():
        return np.full(len(columns), tags.setdefault(columns[0].tobytes().decode(), len(tags)))
    texts = np.ascontiguousarray(columns).view(np.dtype((np.void, columns.shape[1])))[:, 0]
    different, index = np.unique(texts, return_inverse=True)
    known = [tags.setdefault(text.tobytes().decode(), len(tags)) for text in different]
    return np.array(known, dtype=np.int64)[index]


def _joined(parts: list[tuple[Any, ...]], tags: dict[str, int], others: list[bytes]) -> ScalarColumns:
    if not parts:
        empty = np.zeros(0)
        return ScalarColumns(
            [], empty.astype(np.int64), empty.astype(np.int64), empty.astype(np.float32), empty, others
        )
    width = max(part[1] for part in parts) + 1
    order = np.argsort(np.concatenate([part[0] * width + part[1] for part in parts]), kind="stable")
    index, steps, values, walls = (np.concatenate([part[k] for part in parts])[order] for k in (2, 3, 4, 5))
    return ScalarColumns(list(tags), index, steps, values, walls, others)


def _layout(payload: bytes) -> _Layout | None:
    """Say where a scalar event keeps what varies, or None if it is another kind of event."""
    wall = step = None
    slots: list[Any] = []
    for field in _fields(payload, 0, len(payload)):
        if field.number == 1:
            wall = slice(field.start, field.end)
        elif field.number == 2:
            step = slice(field.start, field.end)
        elif field.number == 5:
            slots.extend(_slots(payload, field))
        else:
            return None
    if wall is None or not slots or None in slots:
        return None
    varies = [wall, *([step] if step else []), *(part for slot in slots for part in slot)]
    fixed = np.ones(len(payload), dtype=bool)
    for part in varies:
        fixed[part] = False
    return _Layout(wall, step, slots, np.flatnonzero(fixed))


def _slots(payload: bytes, summary: _Field) -> Iterator[tuple[slice, slice] | None]:
    for value in _fields(payload, summary.start, summary.end):
        places = {f.number: slice(f.start, f.end) for f in _fields(payload, value.start, value.end)}
        yield (places[1], places[2]) if set(places) == {1, 2} else None


def _fields(payload: bytes, start: int, end: int) -> Iterator[_Field]:
    at = start
    while at < end:
        key, at = _varint(payload, at)
        kind = key & 7
        if kind == _VARINT:
            begin, at = at, _varint(payload, at)[1]
        elif kind == _BYTES:
            length, begin = _varint(payload, at)
            at = begin + length
        else:
            begin, at = at, at + {_FIXED64: 8, _FIXED32: 4}[kind]
        yield _Field(key >> 3, begin, at)


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = payload[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at
