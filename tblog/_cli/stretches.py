"""The values of many records at once: an event file as stretches of whole records, and the damage between them.

Lives here: reading, and arrays of values in the order of the file. Must not: decide what becomes of a value, write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from tblog._cli.edits import Found, values_of
from tblog._files.walk import Patience, next_record
from tblog.reading import _events
from tblog.reading._frames import AROUND, Bytes, Frames, Int64s
from tblog.reading._stretch import Stretch, take_apart
from tblog.reading._windows import WINDOW_BYTES, window_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tblog.reading._columns import Column
    from tblog.reading._stretch import Single
    from tblog.reading._tags import Tags

_AFTER_DAMAGE_BYTES = 1 << 12


class Values(NamedTuple):
    """The values of a stretch in the order of the file, all (n,).

    `tags` are numbers of tags, and `forms` those of `tblog.reading._events`. `told` are indices into `metadata`, or -1.
    """

    rows: Int64s
    tags: NDArray[np.int32]
    steps: Int64s
    forms: NDArray[np.int8]
    told: NDArray[np.int32]
    metadata: list[bytes]


class Records(NamedTuple):
    """Whole records and their values, with the places of each column's and each single record's values."""

    buffer: Bytes
    found: Frames
    columns: list[tuple[Column, Int64s]]
    singles: list[tuple[Single, int]]
    values: Values

    @property
    def nbytes(self) -> int:
        """The bytes of the file that the records take."""
        return self.found.end


class Damage(NamedTuple):
    """A stretch of the file that holds no whole record."""

    start: int
    end: int

    @property
    def nbytes(self) -> int:
        """The bytes of the file that it takes."""
        return self.end - self.start


def stretches(file: BinaryIO, tags: Tags) -> Iterator[Records | Damage]:
    """Yield the stretches of an event file from its start to its end, without gaps."""
    size = file.seek(0, 2)
    position, limit, patience = 0, WINDOW_BYTES, Patience(size)
    while position < size:
        window = window_at(file, position, min(limit, size - position), size, patience)
        if window is not None:
            buffer, found = window
            taken = take_apart(buffer, found, tags)
            if whole := min(taken.broken, default=len(found.starts)):
                if whole < len(found.starts):
                    end = int(found.starts[whole])
                    found = Frames(found.starts[:whole], found.lengths[:whole], end, is_torn=False)
                    taken = take_apart(buffer, found, tags)
                yield _records(buffer, found, taken, tags)
                position += found.end
                limit = min(4 * limit, WINDOW_BYTES)
                continue
        # Behind damage, little is read at first, so that a much damaged file is not read again and again.
        end, limit = next_record(file, position + 1, size, patience), _AFTER_DAMAGE_BYTES
        yield Damage(position, end)
        position = end


def _records(buffer: Bytes, found: Frames, taken: Stretch, tags: Tags) -> Records:
    """Put the values of columns and of single records into the order of the file."""
    asked = [(single, values_of(single.data)) for single in taken.singles]
    counts = np.zeros(len(found.starts) + 1, np.int64)
    for column in taken.columns:
        counts[column.rows + 1] = column.tags.shape[1]
    for single, of_it in asked:
        counts[single.row + 1] = len(of_it)
    places = np.cumsum(counts)
    total = int(places[-1])
    values = Values(
        np.repeat(np.arange(len(found.starts)), counts[1:]),
        np.empty(total, np.int32),
        np.empty(total, np.int64),
        np.empty(total, np.int8),
        np.full(total, -1, np.int32),
        [],
    )
    columns, singles = [], []
    for column in taken.columns:
        at = places[column.rows][:, None] + np.arange(column.tags.shape[1])
        values.tags[at], values.steps[at] = column.tags, column.steps[:, None]
        slots = column.layout.slots
        values.forms[at] = [_events.TENSOR if slot.is_tensor else _events.SIMPLE for slot in slots]
        values.told[at] = [_numbered(slot.metadata, values.metadata) for slot in slots]
        columns.append((column, at))
    for single, of_it in asked:
        first = int(places[single.row])
        for place, one in enumerate(of_it, first):
            _fill_in(values, place, one, tags)
        singles.append((single, first))
    return Records(buffer, found, columns, singles, values)


def _fill_in(values: Values, place: int, one: Found, tags: Tags) -> None:
    values.tags[place], values.steps[place] = tags.number(one.tag), one.step
    values.forms[place] = one.form
    values.told[place] = _numbered(one.metadata, values.metadata)


def _numbered(metadata: bytes | None, into: list[bytes]) -> int:
    if not metadata:
        return -1
    into.append(metadata)
    return len(into) - 1


def framed_bytes(found: Frames) -> Int64s:
    """Return how many bytes of the file each record takes."""
    return found.lengths + AROUND
