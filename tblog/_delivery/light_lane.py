"""The light lane of one writer: it turns numbers, and records that are ready as bytes, into framed events.

Lives here: which encoder takes an entry, and to which run its bytes go. If an entry cannot be encoded, only that
entry is lost.
Must not: touch the storage, wait, import modules. Runs on the worker thread. Nothing here takes long, so a number
never waits for a picture.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from tblog._delivery.entries import LightRecord, RunScalar, ScalarDict, kind_of, records_in
from tblog._native import compiled
from tblog._wire import framing
from tblog._wire.scalar_columns import ScalarEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tblog._delivery.entries import Scalar, TakenEntry
    from tblog._delivery.event_encoder import EventEncoder
    from tblog._files.run_files import RunFiles
    from tblog._files.stored_runs import StoredRuns
    from tblog._native._compiled import Numbers as TakenNumbers
    from tblog._reports import Reports

Numbers = TypeVar("Numbers", "Scalar", ScalarDict)

_TOGETHER = {tuple, RunScalar, ScalarDict, *(() if compiled is None else (compiled.Numbers,))}


class LightLane:
    """Encodes light entries into what the files write next.

    Args:
        files: receive the frames.
        events: encodes single records.
        reports: receives what cannot be encoded.
    """

    def __init__(self, files: RunFiles | StoredRuns, events: EventEncoder, reports: Reports) -> None:
        self._files = files
        self._events = events
        self._reports = reports
        self._scalars = ScalarEncoder()

    def encode(self, kind: type, entries: list[Any]) -> None:
        """Encode one of the `stretches`."""
        if kind is tuple:
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
