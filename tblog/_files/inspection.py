"""Finds what TensorBoard's two loaders cannot handle in the event files of a run.

Lives here: looking at each record, and the order of each tag's points over all files of a run.
Must not: change files, import tensorboard. The requirements are those of TensorBoard's Rust loader, the default:
https://github.com/tensorflow/tensorboard/blob/da1944c21c9cc83b0d7e10dbe1b39bc2357cd87e/tensorboard/data/server/run.rs
"""

from __future__ import annotations

import math
import os
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tblog._files import in_use
from tblog._files.walk import Piece, walk
from tblog._wire.event_heads import event_head, event_tags
from tblog._wire.event_messages import TENSOR, Value, readable
from tblog._wire.events import VERSION
from tblog._wire.framing import FOOTER_BYTES, HEADER_BYTES
from tblog.errors import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 1 << 20
_POINTS_SHOWN = 3
_DT_DOUBLE = 2


class Finding(NamedTuple):
    """Something that is wrong; `is_repairable` says whether rewriting the file corrects it."""

    text: str
    is_repairable: bool


@dataclass
class FileReport:
    """What one file holds.

    `in_use` says who may be writing to it, and `lost` what can no longer be read, as far as that is known.
    """

    path: str
    size: int = 0
    records: int = 0
    in_use: str = ""
    findings: list[Finding] = field(default_factory=list)
    lost: str = ""

    @property
    def needs_repair(self) -> bool:
        """Return whether rewriting the file would correct something."""
        return any(finding.is_repairable for finding in self.findings)


class RunInspection:
    """Looks at the files of one run, in the order of their names."""

    def __init__(self) -> None:
        self._steps: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._without_metadata: set[str] = set()

    def inspect(self, path: str) -> FileReport:
        """Read a file to its end.

        Raises:
            OSError: it cannot be read.
        """
        report = FileReport(path, os.path.getsize(path))
        with open(path, "rb") as file:
            report.in_use = in_use.by_tblog(path, file) or in_use.by_others(path, file, patience=0.0)
            look = _FileLook(self, file)
            for piece in walk(file):
                look.take(piece)
            report.findings = list(look.findings(in_use=bool(report.in_use)))
            report.lost = look.lost
        report.records = look.records
        return report

    def offer(self, tag: str, step: int) -> int:
        """Add a point, and return how many earlier ones of its tag the Rust loader drops for it."""
        steps = self._steps[tag]
        if not steps or step > steps[-1]:
            steps.append(step)
            return 0
        keep = bisect_left(steps, step)
        dropped = len(steps) - keep
        del steps[keep:]
        steps.append(step)
        return dropped

    def is_hidden(self, value: Value) -> bool:
        """Return whether a value starts a tag that the Rust loader never shows."""
        first = value.tag not in self._steps
        if not (first and value.form == TENSOR and not value.plugin):
            return False
        self._without_metadata.add(value.tag)
        return True


class _FileLook:
    """Counts what is wrong in one file, record by record."""

    def __init__(self, run: RunInspection, file: BinaryIO) -> None:
        self._run = run
        self._file = file
        self.records = 0
        self.lost = ""
        self._end = 0
        self._damage: list[Piece] = []
        self._wrong: Counter[str] = Counter()
        self._first_at: dict[str, int] = {}
        self._dropped: Counter[str] = Counter()
        self._hidden: set[str] = set()
        self._has_first_event = False

    def take(self, piece: Piece) -> None:
        """Look at the next piece of the file."""
        self._end = piece.end
        if piece.data is None:
            self._damage.append(piece)
            return
        event = readable(piece.data)
        if not self.records:
            self._has_first_event = event is not None and event.version == VERSION
        self.records += 1
        if event is None:
            self._note("no event", piece)
            return
        if math.isnan(event.wall_time):
            self._note("time", piece)
        elif math.isinf(event.wall_time):
            self._note("infinite time", piece)
        for value in event.values:
            self._look_at_value(value, event.step, piece)

    def _look_at_value(self, value: Value, step: int, piece: Piece) -> None:
        if value.limits != value.counts:
            self._note("histogram", piece)
        if value.dtype == _DT_DOUBLE and value.plugin == "scalars":
            self._note("double", piece)
        if self._run.is_hidden(value):
            self._hidden.add(value.tag)
        dropped = self._run.offer(value.tag, step)
        if dropped:
            self._dropped[value.tag] += dropped

    def _note(self, what: str, piece: Piece) -> None:
        self._wrong[what] += 1
        self._first_at.setdefault(what, piece.start)

    def findings(self, *, in_use: bool) -> Iterator[Finding]:
        """Yield what is wrong, in words and numbers. A torn end of a file in use is not wrong: it will be completed."""
        if not self._end:
            yield Finding("the file is empty", is_repairable=False)
            return
        if self.records == self._wrong["no event"]:
            yield Finding(f"no event can be read in its {many(self._end, 'byte')}", is_repairable=False)
            return
        tail = self._damage.pop() if self._damage and self._damage[-1].end == self._end else None
        if self._damage:
            self.lost = _lost(self._file, self._damage)
            yield Finding(
                f"{many(len(self._damage), 'damaged place')} of {_bytes(self._damage)}, the first at byte "
                f"{self._damage[0].start:,}: no loader reads beyond it{self.lost and f'; there was {self.lost}'}",
                is_repairable=True,
            )
        if tail is not None and not in_use:
            what = "zeros" if _is_zero(self._file, tail) else "a torn record"
            yield Finding(f"{what} of {_bytes([tail])} at the end", is_repairable=True)
        if not self._has_first_event:
            yield Finding("the first record is no file version", is_repairable=True)
        for what, text, repairable in _WRONG:
            if self._wrong[what]:
                at = f"{self._first_at[what]:,}"
                yield Finding(f"{many(self._wrong[what], 'record')} {text.format(at=at)}", repairable)
        if self._dropped:
            worst, _ = self._dropped.most_common(1)[0]
            yield Finding(
                f"{many(self._dropped.total(), 'point')} of {many(len(self._dropped), 'tag')} not shown by the default "
                f"loader, for a later record has the same or a lower step (most: {shortened(worst)})",
                is_repairable=False,
            )
        if self._hidden:
            yield Finding(
                f"{many(len(self._hidden), 'tag')} not shown by the default loader, for the first value has no "
                f"metadata ({shortened(min(self._hidden))})",
                is_repairable=False,
            )


_WRONG = [
    ("no event", "that hold no event, the first at byte {at}: both loaders stop there", True),
    (
        "time",
        "with a wall time that is no number, the first at byte {at}: the default loader stops there",
        True,
    ),
    (
        "infinite time",
        "with an infinite wall time, the first at byte {at}, that the default loader leaves out",
        True,
    ),
    (
        "histogram",
        "with a histogram of more limits than counts or fewer, the first at byte {at}: the default loader stops there",
        True,
    ),
    (
        "double",
        "with a scalar of 64 bits, the first at byte {at}, that the default loader does not show",
        False,
    ),
]


def _lost(file: BinaryIO, damage: list[Piece]) -> str:
    """Say what damaged records held, as far as their bytes show it."""
    points = [point for piece in damage for point in _points_in(file, piece)]
    shown = [f"{shortened(tag)} at step {step}" for tag, step in points[:_POINTS_SHOWN]]
    if len(points) > _POINTS_SHOWN:
        shown.append(f"{len(points) - _POINTS_SHOWN:,} more")
    return ", ".join(shown)


def _points_in(file: BinaryIO, piece: Piece) -> Iterator[tuple[str, int]]:
    """Yield the tag and the step of what look like complete events in a damaged stretch."""
    file.seek(piece.start)
    data = file.read(min(piece.end - piece.start, _CHUNK_BYTES))
    while len(data) > HEADER_BYTES + FOOTER_BYTES:
        length, rest = int.from_bytes(data[:8], "little"), len(data) - HEADER_BYTES - FOOTER_BYTES
        body = data[HEADER_BYTES : HEADER_BYTES + min(length, rest)]  # a wrong length: there is one record
        head = event_head(body)
        if not head.is_whole:
            return
        yield from ((tag, head.step) for tag in event_tags(body))
        data = data[HEADER_BYTES + len(body) + FOOTER_BYTES :]


def _is_zero(file: BinaryIO, piece: Piece) -> bool:
    file.seek(piece.start)
    remaining = piece.end - piece.start
    while remaining:
        chunk = file.read(min(remaining, _CHUNK_BYTES))
        if chunk.count(0) != len(chunk) or not chunk:
            return False
        remaining -= len(chunk)
    return True


def many(count: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _bytes(pieces: list[Piece]) -> str:
    return many(sum(piece.end - piece.start for piece in pieces), "byte")
