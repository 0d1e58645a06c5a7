"""Whole records from some position of an open file on, in memory.

Lives here: reading a stretch of a file, or the one record that is larger. Must not: know what follows damage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from tblog._files.walk import record_at
from tblog._wire.framing import frame
from tblog.reading._frames import AROUND, PADDING, Bytes, Frames, frames

if TYPE_CHECKING:
    from tblog._files.walk import Patience

WINDOW_BYTES = 1 << 20


class Window(NamedTuple):
    """Records, one or more, and the bytes that they stand in, with `PADDING` behind them."""

    buffer: Bytes
    found: Frames


def window_at(file: BinaryIO, position: int, wanted: int, size: int, patience: Patience) -> Window | None:
    """Return the records from a position on, or None if none starts there; their data is not verified.

    Args:
        file: an event file.
        position: where to begin.
        wanted: how many bytes to read. A record that is larger is read alone, and is verified.
        size: the bytes of the file.
        patience: see `record_at`.
    """
    buffer = np.zeros(wanted + PADDING, np.uint8)
    file.seek(position)
    found = frames(buffer, _read_into(file, buffer.data[:wanted]))
    if len(found.starts):
        return Window(buffer, found)
    data = record_at(file, position, size, patience)
    if data is None:
        return None
    alone = np.frombuffer(frame(data) + bytes(PADDING), np.uint8)
    zero, length = np.zeros(1, np.int64), np.array([len(data)], np.int64)
    return Window(alone, Frames(zero, length, len(data) + AROUND, is_torn=False))


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the arrays of the next window.

    glibc returns arrays above a limit to the system, and each new one costs a page fault for every 4 kB. Its limit
    follows the largest array that was freed. This one is never touched, so it costs nothing.
    https://man7.org/linux/man-pages/man3/mallopt.3.html (M_MMAP_THRESHOLD)
    """
    np.empty(4 * WINDOW_BYTES, np.uint8)


def _read_into(file: BinaryIO, room: memoryview) -> int:
    """Fill the room from a file; returns how many bytes there were."""
    count = 0
    while count < len(room):
        more = file.readinto(room[count:])  # type: ignore[attr-defined]
        if not more:
            break
        count += more
    return count
