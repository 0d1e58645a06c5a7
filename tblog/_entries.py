"""What crosses the queue from the caller to the worker: records with their step and time, and commands.

The hot kind, one number for the writer's own run, is a plain tuple `(tag, value, step, wall_time)`:
nothing is cheaper to make. Every other kind has a type of its own, and no payload can be mistaken
for a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tblog._locks import Answer

if TYPE_CHECKING:
    from tblog.records import Record

SCALAR_BYTES = 150
"""Bytes of memory that a waiting scalar takes: a tuple, a float, an int and a time."""


class ScalarDict(NamedTuple):
    """Many numbers of one step, written as one event."""

    tags: tuple[str, ...]
    values: tuple[Any, ...]
    step: int
    wall_time: float


class RunScalar(NamedTuple):
    """One number for a run below the writer's own (`add_scalars`)."""

    run: str
    scalar: tuple[str, Any, int, float]


class RecordEntry(NamedTuple):
    """A record of any other kind; `run` is "" for the writer's own run."""

    record: Record
    step: int
    wall_time: float
    run: str
    nbytes: int


class Flush:
    """The command to hand everything queued so far to the operating system, and to say when."""

    def __init__(self) -> None:
        self.done = Answer()


class Close(Flush):
    """The command to flush, sync and close every file, and to forget the channel."""

    def __init__(self) -> None:
        super().__init__()
        self.queued = False
