"""What has been read of one event file: its values, its damage, and the position to continue at.

Lives here: reading on after the last record, damage, and tails that are not complete yet.
Must not: know other files of the run, except for the meaning of its tags.
"""

from __future__ import annotations

import bisect
import os
from typing import BinaryIO, NamedTuple

import numpy as np

from tblog._files.walk import Patience, next_record
from tblog._wire.events import FILE_VERSION, SUMMARY
from tblog._wire.parsing import MalformedError
from tblog.reading import _events
from tblog.reading._events import Event
from tblog.reading._frames import AROUND, Bytes, Frames
from tblog.reading._meaning import Entry, Meaning
from tblog.reading._scalar_parts import ScalarParts
from tblog.reading._sources import FileSystem
from tblog.reading._stretch import Stretch, take_apart
from tblog.reading._windows import WINDOW_BYTES, keep_freed_memory, window_at

_SEAL_BYTES = 16


class Damage(NamedTuple):
    """A stretch of an event file that could not be read: `path`, the bytes from `start` to `end`, and why.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/torn") as writer:
        ...     writer.add_scalar("loss", 0.5, 1)
        >>> runs = tblog.read("runs")
        >>> with open(runs["torn"].files[0], "ab") as file:
        ...     _ = file.write(b"half a record")
        >>> [(part.end - part.start, part.reason) for part in runs.refresh().unfinished]
        [(13, 'the file ends inside a record')]
    """

    path: str
    start: int
    end: int
    reason: str


class Mark(NamedTuple):
    """An event without a summary: its step, and how many scalars and other values of the file come before it."""

    scalars: int
    entries: int
    step: int
    is_start: bool


class FileLog:
    """What has been read of one event file.

    Args:
        files: the file system.
        path: its path there.
        meaning: the meaning of the run's tags, one object for all its files.
    """

    def __init__(self, files: FileSystem, path: str, meaning: Meaning) -> None:
        self.path = path
        self._files, self._meaning = files, meaning
        self._forget()

    def _forget(self) -> None:
        self.scalars = ScalarParts()
        self.entries: list[Entry] = []
        self.marks: list[Mark] = []
        self.damage: list[Damage] = []
        self.tail: Damage | None = None
        self.version = 0.0
        self.records = self.position = 0
        self._size, self._identity, self._seal = -1, (0, 0), b""
        self._patience = Patience(0)

    def read_on(self) -> bool:
        """Read what was appended since the last call; return whether there was anything. A replaced file is read anew."""
        try:
            with self._files.open(self.path) as file:
                return self._read_on(file)
        except FileNotFoundError:  # removed meanwhile: what was read of it stays
            return False

    def _read_on(self, file: BinaryIO) -> bool:
        size = file.seek(0, os.SEEK_END)
        before = self.records, len(self.damage)
        identity = _identity(file)
        is_other = identity != self._identity or size < self.position or self._sealed(file) != self._seal
        if size == self._size and not is_other:
            return False
        if is_other:
            self._forget()
        self._size, self._identity = size, identity
        limit, self._patience = WINDOW_BYTES, Patience(size)
        if size - self.position > WINDOW_BYTES:
            keep_freed_memory()
        while self.position < size:
            wanted = min(limit, size - self.position)
            position = self.position
            is_clean = self._read_stretch(file, wanted, size)
            if self.position == position:
                break
            # Behind damage, start with short stretches, so that a much damaged file is not read many times over.
            advanced = self.position - position
            limit = min(4 * limit if is_clean else max(8 * advanced, 256), WINDOW_BYTES)
        self.tail = None
        if self.position < size:
            self.tail = Damage(self.path, self.position, size, "the file ends inside a record")
        self._seal = self._sealed(file)
        return is_other or before != (self.records, len(self.damage))

    def _sealed(self, file: BinaryIO) -> bytes:
        """Return the last bytes before the position. They differ if the file was written anew."""
        start = max(0, self.position - _SEAL_BYTES)
        file.seek(start)
        return file.read(self.position - start)

    def _read_stretch(self, file: BinaryIO, wanted: int, size: int) -> bool:
        """Read the records in the next `wanted` bytes; return whether all of them were intact."""
        window = window_at(file, self.position, wanted, size, self._patience)
        if window is not None:
            return self._take(*window, file, size)
        if file.seek(0, os.SEEK_END) < self.position + wanted:
            return True  # someone shortened the file meanwhile
        return self._skip(file, self.position, size, "no record starts here")

    def _skip(self, file: BinaryIO, start: int, size: int, reason: str) -> bool:
        """Continue at the next intact record. Without one, stay: the last record may still be incomplete."""
        end = next_record(file, start + 1, size, self._patience)
        if end < size:
            self.damage.append(Damage(self.path, start, end, reason))
            self.position = end
        else:
            self.position = start
        return False

    def _take(self, buffer: Bytes, found: Frames, file: BinaryIO, size: int) -> bool:
        taken = take_apart(buffer, found, self._meaning.tags)
        base = self.position
        cut, position = len(found.starts), base + found.end
        skipped, lost = -1, 0
        for row in sorted(taken.broken):
            start = base + int(found.starts[row])
            if row <= skipped:
                continue
            end = next_record(file, start + 1, size, self._patience)
            follower = int(np.searchsorted(found.starts, end - base))
            if end < size:
                self.damage.append(Damage(self.path, start, end, "the record's checksum is wrong"))
            if end >= size or (
                base + found.end != end and (follower == cut or found.starts[follower] != end - base)
            ):
                cut, position = row, end if end < size else start
                break
            skipped = follower - 1
            lost += follower - row
            position = max(position, end)
        self.records += cut - lost
        self._keep(buffer, taken, found, cut)
        self.position = position
        return cut == len(found.starts) and not taken.broken

    def _keep(self, buffer: Bytes, taken: Stretch, found: Frames, cut: int) -> None:
        """Keep the values of the records before `cut`."""
        for row in taken.strange:
            if row < cut:
                start = self.position + int(found.starts[row])
                end = start + int(found.lengths[row]) + AROUND
                self.damage.append(Damage(self.path, start, end, "the record holds no event"))
        singles = [single for single in taken.singles if single.row < cut]
        values = self._meaning.understand(buffer, found, taken.columns, singles, cut)
        scalars_before, entries_before = len(self.scalars), len(self.entries)
        for entry in values.entries:
            position = self.position + int(found.starts[entry.row])
            self.entries.append(entry.placed(position, scalars_before))
        self.scalars.append(values.scalars, self._expected(found.end, len(values.scalars.tags)))
        rows = [entry.row for entry in values.entries]
        for row, data, event in singles:
            if event.what != SUMMARY:
                entries = entries_before + bisect.bisect_left(rows, row)
                scalars = scalars_before + int(values.before[row])
                self.marks.append(Mark(scalars, entries, event.step, _starts_session(data, event)))
            if event.what == FILE_VERSION:
                self.version = _events.version(data, event) or self.version

    def _expected(self, size: int, count: int) -> int:
        """Return how many scalars are likely to follow some that took `size` bytes: a sixteenth more than at this rate."""
        left = self._size - self.position - size
        return max(left, 0) * count // size * 17 // 16


def _starts_session(data: bytes, event: Event) -> bool:
    try:
        return _events.starts_session(data, event)
    except MalformedError:
        return False


def _identity(file: BinaryIO) -> tuple[int, int]:
    """Return what distinguishes a local file from another one of the same name."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, AttributeError):
        return (0, 0)
    return found.st_dev, found.st_ino
