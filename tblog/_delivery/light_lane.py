"""The light lane of one writer: it turns numbers, and records that are ready as bytes, into framed events.

Lives here: which encoder takes an entry, and to which run its bytes go. If an entry cannot be encoded, only that
entry is lost.
Must not: touch the storage, wait, import modules. Runs on the worker thread. Nothing here takes long, so a number
never waits for a picture.
"""

from __future__ import annotations

from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tblog._delivery.entries import LightRecord, RunScalar, ScalarDict, kind_of, records_in
from tblog._native import compiled
from tblog._wire import framing
from tblog._wire.scalar_columns import ScalarEncoder
from tblog.records import DescribedScalarRecord, TensorScalarRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tblog._delivery.entries import Entry, NumberOfRun, Scalar, TakenEntry
    from tblog._delivery.event_encoder import EventEncoder
    from tblog._files.run_files import RunFiles
    from tblog._files.stored_runs import StoredRuns
    from tblog._native._compiled import Numbers as TakenNumbers
    from tblog._reports import Reports

Numbers = TypeVar("Numbers", "Scalar", ScalarDict)

_SCALARS = {tuple, RunScalar, ScalarDict}
_TOGETHER = {*_SCALARS, *(() if compiled is None else (compiled.Numbers,))}


class Reducer(Protocol):
    """Takes the scalars of a writer in place of its files, and gives what is to be written instead."""

    @property
    def has_more(self) -> bool:
        """Return whether `collect` would have something to do."""
        ...

    def take(self, numbers: Sequence[NumberOfRun]) -> None:
        """Take scalars, in the order of their calls."""
        ...

    def collect(self, *, is_last: bool) -> tuple[int, dict[str, list[Scalar]]]:
        """Do a stretch of work; return how many numbers it was, and what is to be written, by run."""
        ...

    def end(self) -> None:
        """Stop: the writer is closed. Idempotent."""
        ...


class LightLane:
    """Encodes light entries into what the files write next.

    Args:
        files: receive the frames.
        events: encodes single records.
        reports: receives what cannot be encoded.
        reducer: takes scalars in place of the files, if there is one.
    """

    def __init__(
        self, files: RunFiles | StoredRuns, events: EventEncoder, reports: Reports, reducer: Reducer | None
    ) -> None:
        self._files = files
        self._events = events
        self._reports = reports
        self._scalars = ScalarEncoder()
        self._reducer = reducer

    @property
    def has_more(self) -> bool:
        """Return whether numbers of other ranks wait to be joined."""
        return self._reducer is not None and self._reducer.has_more

    def collect(self, *, is_last: bool = False) -> int:
        """Encode what a reducer has made of scalars; return how many numbers it has joined."""
        if self._reducer is None:
            return 0
        joined, points = self._reducer.collect(is_last=is_last)
        for run, scalars in points.items():
            self._encode_numbers(run, scalars, self._scalars.encode)
        return joined

    def end(self) -> None:
        """Let a reducer stop."""
        if self._reducer is not None:
            self._reducer.end()

    def encode(self, kind: type, entries: list[Any]) -> None:
        """Encode one of the `stretches`."""
        if self._reducer is not None and is_scalar(entries[0]):
            self._reducer.take(list(self._floats(entries)))
        elif kind is tuple:
            self._encode_numbers("", entries, self._scalars.encode)
        elif kind is ScalarDict:
            self._encode_numbers("", entries, self._scalars.encode_dicts)
        elif kind is RunScalar:
            by_run: dict[str, list[Scalar]] = {}
            for run, scalar in entries:
                by_run.setdefault(run, []).append(scalar)
            for run, scalars in by_run.items():
                self._encode_numbers(run, scalars, self._scalars.encode)
        elif compiled is not None and kind is compiled.Numbers:
            self._encode_pieces(entries)
        else:
            self._encode_record(*entries)

    def _floats(self, entries: list[Any]) -> Iterator[NumberOfRun]:
        """Yield each number of scalars in any form."""
        for run, tag, value, step, wall_time in chain.from_iterable(map(_numbers, entries)):
            try:
                yield run, tag, float(value), step, wall_time
            except Exception as error:  # of the device that has it
                self._reports.failure(error, tag=tag, step=step, kind="scalar")

    def _encode_numbers(
        self, run: str, entries: list[Numbers], encode: Callable[[list[Numbers]], bytes]
    ) -> None:
        """Encode numbers together. If that raises, encode each by itself, so that only the bad one is lost."""
        try:
            frames = encode(entries)
        except BaseException as error:
            if len(entries) == 1:
                tag, _, step, _ = entries[0]
                kind, name = ("scalar", tag) if isinstance(tag, str) else ("scalar dict", ", ".join(tag[:3]))
                self._reports.failure(error, tag=name, step=step, kind=kind)
                return
            for entry in entries:
                self._encode_numbers(run, [entry], encode)
            return
        self._files.append(run, frames, len(entries))

    def _encode_pieces(self, pieces: list[TakenNumbers]) -> None:
        """Encode what comes from the compiled lane; the interpreter lock is let go."""
        assert compiled is not None
        try:
            frames = compiled.encode(*pieces)
        except MemoryError as error:
            if len(pieces) == 1:
                self._reports.failure(error, tag="?", step=0, kind="scalar", records=len(pieces[0]))
                return
            for piece in pieces:
                self._encode_pieces([piece])
            return
        self._files.append("", frames, records_in(pieces))

    def _encode_record(self, entry: LightRecord) -> None:
        try:
            frames = b"".join(map(framing.frame, self._events.encode(entry)))
        except BaseException as error:
            self._reports.failure(error, tag=entry.record.tag, step=entry.step, kind=kind_of(entry.record))
            return
        self._files.append(entry.run, frames, 1)


def is_scalar(entry: Entry | TakenEntry) -> bool:
    """Return whether an entry is one or several scalars, in a form that a `Reducer` takes."""
    if isinstance(entry, LightRecord):
        return isinstance(entry.record, (TensorScalarRecord, DescribedScalarRecord))
    return type(entry) in _SCALARS


def _numbers(entry: Any) -> Iterable[tuple[str, str, Any, int, float]]:
    """Return run, tag, value, step and time of each number of an entry that `is_scalar`."""
    if isinstance(entry, LightRecord):
        record: Any = entry.record
        return [(entry.run, record.tag, record.value, entry.step, entry.wall_time)]
    if isinstance(entry, RunScalar):
        return [(entry.run, *entry.scalar)]
    if isinstance(entry, ScalarDict):
        pairs = zip(entry.tags, entry.values, strict=True)
        return [("", tag, value, entry.step, entry.wall_time) for tag, value in pairs]
    return [("", *entry)]


def stretches(entries: list[TakenEntry]) -> Iterator[tuple[type, int, int]]:
    """Yield kind, start and end of each stretch: consecutive numbers of one form, or one other entry."""
    kinds = set(map(type, entries))
    if len(kinds) == 1 and kinds <= _TOGETHER:
        yield kinds.pop(), 0, len(entries)
        return
    start = 0
    for kind, group in groupby(entries, type):
        count = len(list(group))
        width = count if kind in _TOGETHER else 1
        for each in range(start, start + count, width):
            yield kind, each, each + width
        start += count
