"""What crosses the queue from the caller to the worker: a closed set of entries and commands.

The light lane takes numbers, and records whose events cost next to nothing to make. The hot kind, one number for
the writer's own run, is a plain tuple `(tag, value, step, wall_time)`, because nothing is cheaper to make;
in the compiled lane, such numbers and dicts of them are not objects. The heavy
lane takes records that must be encoded. No payload can be mistaken for a command.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from tblog._locks import Answer
from tblog._native import compiled
from tblog._wire.event_heads import event_head, event_tags
from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES, record_end
from tblog.records import (
    DescribedScalarRecord,
    EventRecord,
    Record,
    ScalarRecord,
    SummaryRecord,
    TensorScalarRecord,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tblog._native._compiled import Numbers

Scalar: TypeAlias = "tuple[str, Any, int, float]"
NumberOfRun: TypeAlias = tuple[str, str, float, int, float]
"""A run, "" for the own one, a tag, a value, a step and a time: a scalar in whatever form, as the ranks exchange it."""

# All scalars of a tag are on one lane, in whatever form, so that they stay in order.
_LIGHT_RECORDS = (EventRecord, SummaryRecord, ScalarRecord, TensorScalarRecord, DescribedScalarRecord)


class ScalarDict(NamedTuple):
    """Many numbers of one step, written as one event."""

    tags: tuple[str, ...]
    values: tuple[Any, ...]
    step: int
    wall_time: float


class RunScalar(NamedTuple):
    """One number for a run below the writer's own (`add_scalars`)."""

    run: str
    scalar: Scalar


class LightRecord(NamedTuple):
    """A record that is ready as bytes, or a scalar with more than a number; `run` is "" for the own run."""

    record: Record
    step: int
    wall_time: float
    run: str
    nbytes: int


class HeavyRecord(NamedTuple):
    """A record that must be encoded; `run` is "" for the own run."""

    record: Record
    step: int
    wall_time: float
    run: str
    nbytes: int


class Flush:
    """The command to hand everything queued so far to the operating system.

    Attributes:
        done: set when that has happened, or was given up.
        heavy_before: number of heavy records queued before it.
        tries_before: number of refused tries before a worker took it; None until then.
    """

    def __init__(self) -> None:
        self.done = Answer()
        self.heavy_before = 0
        self.tries_before: int | None = None


class Close(Flush):
    """The command to flush, sync and close every file, and to forget the channel."""

    def __init__(self) -> None:
        super().__init__()
        self.queued = False


LightEntry: TypeAlias = "Scalar | ScalarDict | RunScalar | LightRecord | Flush"
Entry: TypeAlias = "LightEntry | HeavyRecord"
TakenEntry: TypeAlias = "LightEntry | Numbers"
"""What is taken from the light lane: the compiled one gives numbers in larger pieces."""


def end_piece(entry: TakenEntry) -> int:
    """Let numbers of the compiled lane grow no more; return how many they are in all events, and 0 for another entry."""
    return cast("Numbers", entry).end() if compiled is not None and type(entry) is compiled.Numbers else 0


def entries_of(piece: TakenEntry, most: int) -> list[LightEntry]:
    """Return up to `most` of the entries in a piece, for messages: numbers without their values."""
    if compiled is None or type(piece) is not compiled.Numbers:
        return [cast("LightEntry", piece)]
    frames = bytes(compiled.encode(piece))
    entries: list[LightEntry] = []
    start = 0
    while len(entries) < most and (end := record_end(frames, start)) is not None:
        event = frames[start + HEADER_BYTES : end - FOOTER_BYTES]
        tags, step = event_tags(event), event_head(event).step
        entries.append(
            (tags[0], 0.0, step, 0.0) if len(tags) == 1 else ScalarDict(tuple(tags), (), step, 0.0)
        )
        start = end
    return entries


def records_in(entries: Sequence[Any]) -> int:
    """Return how many entries were put on the light lane for these."""
    if compiled is None:
        return len(entries)
    return sum(len(entry) if type(entry) is compiled.Numbers else 1 for entry in entries)


def record_entry(record: Record, step: int, wall_time: float, run: str) -> LightRecord | HeavyRecord:
    """Wrap a record as an entry of the lane that it takes."""
    lane = LightRecord if isinstance(record, _LIGHT_RECORDS) else HeavyRecord
    return lane(record, step, wall_time, run, _nbytes(record))


def _nbytes(record: Record) -> int:
    """Return the bytes of a record's arrays, texts and messages."""
    total = 0
    for field in fields(record):
        value = getattr(record, field.name)
        total += len(value) if isinstance(value, (str, bytes)) else getattr(value, "nbytes", 0)
    return total


def kind_of(record: Record) -> str:
    """Return the name of a record's kind for messages: "histogram"."""
    return type(record).__name__.removesuffix("Record").lower()


def named(entry: LightEntry | HeavyRecord) -> str:
    """Return an entry's kind, tag and step for messages."""
    if isinstance(entry, (LightRecord, HeavyRecord)):
        return f"{kind_of(entry.record)} {entry.record.tag!r} at step {entry.step}"
    if isinstance(entry, ScalarDict):
        return f"scalar dict of {entry.tags[0]!r} and others at step {entry.step}"
    if isinstance(entry, Flush):
        return type(entry).__name__.lower()
    tag, _, step, _ = entry.scalar if isinstance(entry, RunScalar) else entry
    return f"scalar {tag!r} at step {step}"
