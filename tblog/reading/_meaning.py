"""What the events of a run mean: which values are scalars, and of what kind the others are.

Kinds are TensorBoard's: the first metadata of a tag decides about all of its tensors.
https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/dataclass_compat.py

Lives here: tags, their metadata, and scalars in the order of the file. Must not: know files, decode other kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._wire import parsing as wire
from tblog._wire.events import GRAPH_DEF, META_GRAPH_DEF, TAGGED_RUN_METADATA
from tblog._wire.parsing import MalformedError
from tblog.reading import _events, _tensors
from tblog.reading._columns import Column
from tblog.reading._events import Metadata, Value
from tblog.reading._frames import Bytes, Frames, Int64s
from tblog.reading._scalar_parts import Columns
from tblog.reading._stretch import Single, Stretch, read_single
from tblog.reading._tags import Tags

SCALARS = "scalars"

_OF_FORM = {_events.HISTOGRAM: "histograms", _events.IMAGE: "images", _events.AUDIO: "audio"}
_OF_PLUGIN = {
    "scalars": SCALARS,
    "histograms": "histograms",
    "images": "images",
    "audio": "audio",
    "text": "texts",
    "pr_curves": "pr_curves",
    "mesh": "meshes",
    "hparams": "hparams",
    "custom_scalars": "layouts",
}
_OF_EVENT = {
    GRAPH_DEF: "graphs",
    META_GRAPH_DEF: "meta_graphs",
    TAGGED_RUN_METADATA: "run_metadata",
}
_WITHOUT_FILTER = {"hparams", "layouts"}
"""Kinds of a run, not of a tag."""


class Entry(NamedTuple):
    """One value that is not a scalar: its kind, and where it stands.

    `position` is where its record starts in the file, `number` which value of the event it is (-1: the event itself),
    `scalars` how many scalars of the file stand before it.
    """

    kind: str
    tag: str
    step: int
    wall_time: float
    number: int
    row: int
    position: int = 0
    scalars: int = 0

    def placed(self, position: int, scalars: int) -> Entry:
        """Return the entry with its place in the file; `scalars` are those before its stretch."""
        return self._replace(position=position, scalars=scalars + self.scalars)


class Values(NamedTuple):
    """What stands in a stretch: scalars in their order, and entries; `before` is the scalars before each record."""

    scalars: Columns
    entries: list[Entry]
    before: Int64s


class Meaning:
    """The tags of a run, and what they are said to mean.

    Args:
        wanted: says whether the values of a tag are kept.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self.tags = Tags(wanted)
        self.metadata: dict[str, Metadata] = {}
        self._unexplained: set[str] = set()
        self._was_late = False

    def was_late(self) -> bool:
        """Return, once, whether metadata came behind tensors that it explains: what was read of them is wrong."""
        was_late, self._was_late = self._was_late, False
        if was_late:
            self._unexplained.clear()
        return was_late

    def kind(self, tag: str, form: int) -> str:
        """Return the kind of a value by its form and its tag."""
        if form == _events.SIMPLE:
            return SCALARS
        return _OF_FORM.get(form) or _OF_PLUGIN.get(self.metadata.get(tag, Metadata()).plugin, "tensors")

    def understand(
        self, buffer: Bytes, found: Frames, columns: list[Column], singles: list[Single], cut: int
    ) -> Values:
        """Return the values of the records before `cut`, in order."""
        columns = [column if column.rows[-1] < cut else column.at(column.rows < cut) for column in columns]
        self._learn(columns, singles)
        clear = []
        for column in columns:
            is_scalar = self._is_scalar(column)
            if not is_scalar.all():
                again = Stretch([], [], [], [])
                for row in column.rows[~is_scalar].tolist():
                    read_single(buffer, found, row, again)
                singles = sorted([*singles, *again.singles])
                column = column.at(is_scalar)  # noqa: PLW2901 # what is left of it
            clear.append(column)
        numbers, entries = self._one_by_one(singles)
        return self._in_order(clear, numbers, entries, cut)

    def _learn(self, columns: list[Column], singles: list[Single]) -> None:
        """Keep the first metadata of each tag."""
        told: list[tuple[int, str, bytes]] = []
        for single in singles:
            for value in single.event.values:
                if value.metadata is not None and value.tag not in self.metadata:
                    told += [(single.row, value.tag, single.data[slice(*value.metadata)])]
        for column in columns:
            metadata = [slot.metadata for slot in column.layout.slots]
            telling = [number for number, raw in enumerate(metadata) if raw is not None]
            if not telling:
                continue
            numbers, first = np.unique(column.tags[:, telling], return_index=True)
            for number, at in zip(numbers.tolist(), first.tolist(), strict=True):
                row, raw = int(column.rows[at // len(telling)]), metadata[telling[at % len(telling)]]
                told += [(row, self.tags.names[number], raw or b"")]
        for _, tag, raw in sorted(told, key=lambda one: one[0]):
            if tag not in self.metadata:
                try:
                    self.metadata[tag] = _events.metadata(raw)
                except MalformedError:
                    self.metadata[tag] = Metadata()
                self._was_late |= tag in self._unexplained

    def _is_scalar(self, column: Column) -> NDArray[np.bool_]:
        """Return which events of a column hold only scalars, now that the tags are known."""
        if not any(slot.is_tensor for slot in column.layout.slots):
            return np.ones(len(column.rows), bool)
        tensors = column.tags[:, [slot.is_tensor for slot in column.layout.slots]]
        others = [n for n in np.unique(tensors) if self.kind(self.tags.names[n], _events.TENSOR) != SCALARS]
        is_scalar: NDArray[np.bool_] = ~np.logical_or.reduce(np.isin(tensors, others), axis=1)
        return is_scalar

    def _one_by_one(
        self, singles: list[Single]
    ) -> tuple[list[tuple[int, int, int, float, float]], list[Entry]]:
        """Return (row, tag's number, step, time, value) of scalars, and the entries, in order."""
        numbers: list[tuple[int, int, int, float, float]] = []
        entries: list[Entry] = []
        for row, data, event in singles:
            if event.what in _OF_EVENT:
                kind, tag = _OF_EVENT[event.what], ""
                entries.append(Entry(kind, tag, event.step, event.wall_time, -1, row, scalars=len(numbers)))
            for value in event.values:
                if value.form == _events.TENSOR and value.tag not in self.metadata:
                    self._unexplained.add(value.tag)
                kind = self.kind(value.tag, value.form)
                number = _number(data, value) if kind == SCALARS else None
                if number is not None:
                    numbers.append((row, self.tags.number(value.tag), event.step, event.wall_time, number))
                    continue
                if value.form == _events.NOTHING and kind != "hparams":
                    continue
                if kind in _WITHOUT_FILTER or self.tags.is_wanted(value.tag):
                    kind = "tensors" if kind == SCALARS else kind
                    entries.append(Entry(kind, value.tag, event.step, event.wall_time, value.number, row))
        return numbers, entries

    def _in_order(
        self,
        columns: list[Column],
        numbers: list[tuple[int, int, int, float, float]],
        entries: list[Entry],
        cut: int,
    ) -> Values:
        """Put scalars into the order of the file."""
        counts = np.zeros(cut + 1, np.int64)
        for column in columns:
            counts[column.rows + 1] = len(column.layout.slots)
        rows = np.array([one[0] for one in numbers], np.int64)
        np.add.at(counts, rows + 1, 1)
        places = np.cumsum(counts)
        total = int(places[-1])
        if len(columns) == 1 and not numbers:
            tags, steps, walls, values = _flat(columns[0])
        else:
            tags, steps = np.empty(total, np.int32), np.empty(total, np.int64)
            walls, values = np.empty(total), np.empty(total)
            for column in columns:
                at = places[column.rows]
                if column.tags.shape[1] > 1:
                    at = (at[:, None] + np.arange(column.tags.shape[1])).reshape(-1)
                tags[at], steps[at], walls[at], values[at] = _flat(column)
        if numbers:
            _, ids_, steps_, walls_, values_ = zip(*numbers, strict=True)
            at = places[rows] + np.arange(len(rows)) - np.searchsorted(rows, rows)
            tags[at], steps[at], walls[at], values[at] = ids_, steps_, walls_, values_
        if not (wanted := self.tags.wanted()).all():
            kept = wanted[tags]
            places = np.concatenate([[0], np.cumsum(kept)])[places]
            tags, steps, walls, values = tags[kept], steps[kept], walls[kept], values[kept]
        entries = [entry._replace(scalars=int(places[entry.row])) for entry in entries]
        return Values(Columns(tags, steps, walls, values), entries, places)


def _flat(column: Column) -> Columns:
    """Return the scalars of events one after the other."""
    count = column.tags.shape[1]
    steps, walls = column.steps, column.wall_times
    if count > 1:
        steps, walls = np.repeat(steps, count), np.repeat(walls, count)
    return Columns(column.tags.reshape(-1), steps, walls, column.values.reshape(-1))


def _number(data: bytes, value: Value) -> float | None:
    """Return the number that a value holds, or None if it holds none, or many."""
    if value.form == _events.SIMPLE:
        return wire.single(data, value.start)
    if value.form != _events.TENSOR:
        return None
    try:
        array = _tensors.array(data[value.start : value.end])
    except MalformedError:
        return None
    if array.size != 1 or array.dtype.kind not in "fiub":
        return None
    return float(array.reshape(())[()])
