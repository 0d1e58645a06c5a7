"""The numbers of one rank as bytes for rank 0: a line of JSON with the names, followed by columns.

Lives here: packing and unpacking, without running anything that was sent. Used on the courier's thread.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tblog._delivery.entries import NumberOfRun


class Batch(NamedTuple):
    """Numbers that one rank logged, in the order of its calls.

    Attributes:
        rank: the rank that logged them.
        numbers: the numbers that it logged.
        is_last: whether that rank has closed its writer.
        opening: how often that rank has opened this writer, including this time.
    """

    rank: int
    numbers: Sequence[NumberOfRun]
    is_last: bool
    opening: int = 1


class Parcel(NamedTuple):
    """A batch as it came, of which only the head is read.

    Attributes:
        rank, is_last, opening: those of the batch.
        size: the number of its numbers.
        data: all of it.
    """

    rank: int
    is_last: bool
    opening: int
    size: int
    data: bytes


def pack(batch: Batch) -> bytes:
    """Return a batch as bytes."""
    names: dict[tuple[str, str], int] = {}
    which = [names.setdefault((run, tag), len(names)) for run, tag, *_ in batch.numbers]
    _, _, values, steps, times = zip(*batch.numbers, strict=True) if batch.numbers else ((),) * 5
    head = {
        "rank": batch.rank,
        "opening": batch.opening,
        "last": batch.is_last,
        "count": len(which),
        "names": list(names),
    }
    columns = struct.pack(_columns(len(which)), *which, *values, *steps, *times)
    return json.dumps(head).encode() + b"\n" + columns


def receive(data: bytes) -> Parcel:
    """Return the parcel of a packed batch.

    Raises:
        ValueError, KeyError, TypeError: the bytes are not a batch.
    """
    line, _, columns = data.partition(b"\n")
    head = json.loads(line)
    count = int(head["count"])
    if len(columns) != struct.calcsize(_columns(count)) or not isinstance(head["names"], list):
        raise ValueError(f"{len(columns)} bytes for {count} numbers")
    return Parcel(int(head["rank"]), bool(head["last"]), int(head["opening"]), count, data)


def unpack(parcel: Parcel) -> Batch:
    """Return the batch that was packed."""
    line, _, columns = parcel.data.partition(b"\n")
    names = [(str(run), str(tag)) for run, tag in json.loads(line)["names"]]
    count = parcel.size
    numbers = struct.unpack(_columns(count), columns)
    rows = zip(*(numbers[start : start + count] for start in range(0, 4 * count, count or 1)), strict=True)
    return Batch(parcel.rank, [(*names[name], *rest) for name, *rest in rows], parcel.is_last, parcel.opening)


def _columns(count: int) -> str:
    return f"<{count}I{count}d{count}q{count}d"
