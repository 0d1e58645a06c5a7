"""The outcomes of a run's trials, as rows of a Markdown table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.faults.outcome import Outcome
from tests.faults.trials import FAULTS, WRITERS

HEAD = (
    "fault",
    "writer",
    "rounds",
    "lost after a flush",
    "lost without a flush",
    "torn",
    "hung",
    "beside that, in all rounds",
)


@dataclass
class Run:
    """The results of a run of the command.

    Attributes:
        seed: decides the moments of all trials.
        machine: versions, date and hardware.
        outcomes: {fault: {writer: [rounds, combined outcome]}}.
        skipped: faults that the machine does not allow.
        secs: duration of the run in seconds.
    """

    seed: int
    machine: dict[str, str]
    outcomes: dict[str, dict[str, list[Any]]]
    skipped: list[str]
    secs: float = 0.0

    def add(self, fault: str, writer: str, outcome: Outcome) -> None:
        """Add the outcome of one trial."""
        row = self.outcomes.setdefault(fault, {}).setdefault(writer, [0, Outcome()])
        row[0] += 1
        row[1] = row[1].and_then(outcome)

    def rows(self) -> list[tuple[str, str, int, Outcome]]:
        """Return (fault, writer, rounds, outcome), ordered by fault and writer."""
        return [
            (fault, writer, *self.outcomes[fault][writer])
            for fault in FAULTS
            for writer in WRITERS
            if writer in self.outcomes.get(fault, {})
        ]

    def write(self, path: str | Path) -> None:
        """Write the run to a JSON file."""
        outcomes = {
            fault: {writer: [rounds, asdict(outcome)] for writer, (rounds, outcome) in writers.items()}
            for fault, writers in self.outcomes.items()
        }
        Path(path).write_text(json.dumps({**vars(self), "outcomes": outcomes}, indent=1) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a run back."""
        run = cls(**json.loads(Path(path).read_text()))
        for writers in run.outcomes.values():
            for row in writers.values():
                row[1] = Outcome(**row[1])
        return run


def markdown(run: Run) -> str:
    """Return the table of a run."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(_cells(*row)) + " |" for row in run.rows()]
    return "\n".join(lines)


def _cells(fault: str, writer: str, rounds: int, outcome: Outcome) -> tuple[str, ...]:
    return (
        fault,
        writer,
        str(rounds),
        _of(outcome.lost_flushed, outcome.flushed),
        _of(outcome.lost_unflushed, outcome.unflushed),
        str(outcome.torn),
        str(outcome.hung),
        "; ".join(_remarks(fault, outcome)),
    )


def _of(lost: int, logged: int) -> str:
    return f"{lost:,} of {logged:,}" if logged else "-"


def _remarks(fault: str, outcome: Outcome) -> Iterator[str]:
    if outcome.lost_older or (FAULTS[fault].group == "kills" and outcome.lost_unflushed):
        yield f"{outcome.lost_older:,} of the lost were older than 1 s"
    if outcome.counted:
        yield f"{outcome.counted:,} counted as dropped"
    if outcome.tails:
        yield f"{outcome.tails} files end with a part of a record"
    if outcome.raised:
        yield f"{outcome.raised:,} calls raised"
    if outcome.longest >= 0.1:
        yield f"longest call {outcome.longest:.1f} s"
    if outcome.fork >= 0.1:
        yield f"longest fork {outcome.fork:.1f} s"
    if (
        FAULTS[fault].group in {"disks", "network", "overflow"} and outcome.grown_kb >= 1000
    ):  # elsewhere, imports dominate it
        yield f"memory +{outcome.grown_kb / 1000:.0f} MB"
