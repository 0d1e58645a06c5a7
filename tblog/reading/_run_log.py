"""What has been read of one run: its files, and which of their values count.

Lives here: files of a run in TensorBoard's order, and restarts across them. Must not: decode values.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog.reading import _restarts
from tblog.reading._events import Metadata
from tblog.reading._file_log import Damage, FileLog
from tblog.reading._meaning import Entry, Meaning
from tblog.reading._restarts import Part
from tblog.reading._scalar_parts import Columns, joined
from tblog.reading._selection import within
from tblog.reading._sources import FileSystem


class RunScalars(NamedTuple):
    """Scalars of a run in the order of its files; tags are numbers of `names`."""

    names: list[str]
    columns: Columns


class Options(NamedTuple):
    """How to read runs: which tags and steps to keep, and how to treat restarts."""

    wanted: Callable[[str], bool]
    steps: range | None
    restarts: str


class RunLog:
    """What has been read of one run. The first question reads it."""

    def __init__(self, files: FileSystem, options: Options) -> None:
        self.files, self._options = files, options
        self._meaning = Meaning(options.wanted)
        self._logs: dict[str, FileLog] = {}
        self._paths: list[str] = []
        self._is_read = False
        self._scalars: RunScalars | None = None
        self._entries: list[tuple[FileLog, Entry]] | None = None

    @property
    def paths(self) -> list[str]:
        """The run's event files, in the order in which they are read."""
        return self._paths

    def set_paths(self, paths: list[str]) -> None:
        """Set the files that the run has now."""
        if paths != self._paths:
            self._paths, self._scalars, self._entries = paths, None, None

    def read_on(self) -> bool:
        """Read what was appended, if the run has been read at all; return whether there was anything."""
        return self._is_read and self._read()

    def logs(self) -> list[FileLog]:
        """Return the files, read."""
        if not self._is_read:
            self._is_read = True
            self._read()
        return [self._logs[path] for path in self._paths if path in self._logs]

    def _read(self) -> bool:
        is_new = False
        for path in self._paths:
            if path not in self._logs:
                self._logs[path] = FileLog(self.files, path, self._meaning)
            is_new |= self._logs[path].read_on()
        if is_new:
            self._scalars = self._entries = None
        if self._meaning.was_late():
            self._read_anew()
        return is_new

    def _read_anew(self) -> None:
        """Read the files once more, now that all their metadata is known. What was read of a removed file stays."""
        for path in self._paths:
            log = FileLog(self.files, path, self._meaning)
            if log.read_on():
                self._logs[path] = log

    def metadata(self) -> dict[str, Metadata]:
        """Return the first metadata of each tag that has any."""
        self.logs()
        return self._meaning.metadata

    def damage(self) -> list[Damage]:
        """Return the stretches that could not be read."""
        return [damage for log in self.logs() for damage in log.damage]

    def tails(self) -> list[Damage]:
        """Return the incomplete records at the ends of files."""
        return [log.tail for log in self.logs() if log.tail is not None]

    def records(self) -> int:
        """Return how many intact records the run's files hold."""
        return sum(log.records for log in self.logs())

    def scalars(self) -> RunScalars:
        """Return the scalars that count."""
        if self._scalars is None:
            columns = [log.scalars.joined() for log in self.logs()]
            parts = [
                Part(
                    column.tags,
                    column.steps,
                    column.wall_times,
                    [(m.scalars, m.step) for m in log.marks if m.is_start],
                    latest,
                )
                for log, latest, column in zip(self.logs(), self._latest(), columns, strict=True)
            ]
            counts = _restarts.counting(parts, self._options.restarts)
            chosen = [
                _chosen(column, None if counts is None else counts[i], self._options.steps)
                for i, column in enumerate(columns)
            ]
            self._scalars = RunScalars(self._meaning.tags.names, joined(chosen))
        return self._scalars

    def entries(self, kind: str | None = None) -> list[tuple[FileLog, Entry]]:
        """Return the values of a kind that count, or of all kinds but scalars, in the order of the files."""
        if self._entries is None:
            self._entries = self._counting_entries()
        return [one for one in self._entries if kind is None or one[1].kind == kind]

    def _counting_entries(self) -> list[tuple[FileLog, Entry]]:
        number: dict[tuple[str, str], int] = {}
        parts = []
        for log, latest in zip(self.logs(), self._latest(of_entries=True), strict=True):
            entries = log.entries
            tags = [
                number.setdefault(_series(entry, self._options.restarts), len(number)) for entry in entries
            ]
            parts.append(
                Part(
                    np.array(tags, np.int32),
                    np.array([entry.step for entry in entries], np.int64),
                    np.array([entry.wall_time for entry in entries], np.float64),
                    [(m.entries, m.step) for m in log.marks if m.is_start],
                    latest,
                )
            )
        counts = _restarts.counting(parts, self._options.restarts)
        found = []
        for i, (log, part) in enumerate(zip(self.logs(), parts, strict=True)):
            chosen = np.ones(len(part.steps), bool) if counts is None else counts[i].copy()
            if self._options.steps is not None:
                chosen &= within(part.steps, self._options.steps)
            found += [(log, entry) for entry in itertools.compress(log.entries, chosen)]
        return found

    def _latest(self, *, of_entries: bool = False) -> list[NDArray[np.int64] | None]:
        """Return the largest step before each scalar, or entry, for files that state no version."""
        found: list[NDArray[np.int64] | None] = []
        is_new_format, largest = False, -1
        for log in self.logs():
            is_new_format |= log.version >= 2
            if is_new_format or self._options.restarts != "tensorboard":
                found.append(None)
                continue
            before, is_entry, largest = _largest_before(log, largest)
            found.append(before[is_entry if of_entries else ~is_entry])
        return found


def _largest_before(log: FileLog, largest: int) -> tuple[NDArray[np.int64], NDArray[np.bool_], int]:
    """Return the largest step before each value, and which of the values are entries.

    An event without a summary sets it back to its own step, as it does in EventAccumulator.
    """
    steps = log.scalars.joined().steps
    places = np.array([entry.scalars for entry in log.entries], np.int64)
    together = np.insert(steps, places, np.array([entry.step for entry in log.entries], np.int64))
    is_entry = np.zeros(len(together), bool)
    is_entry[places + np.arange(len(places))] = True
    before = np.empty(len(together), np.int64)
    ends = [*(mark.scalars + mark.entries for mark in log.marks), len(together)]
    start = 0
    for end, step in zip(ends, [*(mark.step for mark in log.marks), None], strict=True):
        if end > start:
            sofar = np.maximum.accumulate(np.concatenate([[largest], together[start:end]]))
            before[start:end], largest, start = sofar[:-1], int(sofar[-1]), end
        largest = largest if step is None else step
    return before, is_entry, largest


def _series(entry: Entry, restarts: str) -> tuple[str, str]:
    """Return the series of a value, in which restarts are found: its kind and tag, for RustBoard the tag alone."""
    return ("" if restarts == "rust" and entry.tag else entry.kind, entry.tag)


def _chosen(columns: Columns, counts: NDArray[np.bool_] | None, steps: range | None) -> Columns:
    if steps is not None:
        inside = within(columns.steps, steps)
        counts = inside if counts is None else counts & inside
    return columns if counts is None or counts.all() else columns.at(counts)
