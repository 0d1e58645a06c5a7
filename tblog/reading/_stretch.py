"""A stretch of an event file in memory -> its events: scalars in columns, the others one by one.

Lives here: which record is read how, and the verification of every checksum. Must not: know files, or what tags mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES, masked_crc
from tblog._wire.parsing import MalformedError
from tblog.reading import _events
from tblog.reading._columns import Column, by_length, columns
from tblog.reading._events import Event
from tblog.reading._frames import Bytes, Frames, Int64s
from tblog.reading._tags import Tags


class Single(NamedTuple):
    """A single event, with its bytes."""

    row: int
    data: bytes
    event: Event


class Stretch(NamedTuple):
    """The content of a stretch; rows count its records.

    `broken` are records with a wrong checksum, `strange` those that are not an event.
    """

    columns: list[Column]
    singles: list[Single]
    broken: list[int]
    strange: list[int]


def take_apart(buffer: Bytes, found: Frames, tags: Tags) -> Stretch:
    """Read the records of a stretch."""
    taken = Stretch([], [], [], [])
    one_by_one: list[Int64s] = []
    for rows in by_length(found.lengths):
        length = int(found.lengths[rows[0]]) if len(rows) else 0
        alike = columns(buffer, found.starts, rows, length, tags.numbers)
        taken.columns.extend(alike.columns)
        taken.broken.extend(int(row) for damaged in alike.damaged for row in damaged)
        one_by_one.extend(alike.others)
    for row in np.sort(np.concatenate(one_by_one)).tolist() if one_by_one else ():
        read_single(buffer, found, row, taken)
    return taken


def read_single(buffer: Bytes, found: Frames, row: int, into: Stretch) -> None:
    """Read a single record."""
    start = int(found.starts[row]) + HEADER_BYTES
    end = start + int(found.lengths[row])
    data = buffer[start:end].tobytes()
    if masked_crc(data) != int.from_bytes(buffer[end : end + FOOTER_BYTES].tobytes(), "little"):
        into.broken.append(row)
        return
    try:
        into.singles.append(Single(row, data, _events.parse(data)))
    except MalformedError:
        into.strange.append(row)
