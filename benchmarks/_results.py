"""The result file: samples, rows, machine, versions and date, as JSON; written once, read by `benchmarks.report`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks._question import Figure, Results, Row
from benchmarks._runner import Answer


@dataclass(frozen=True)
class Stored:
    """One question in a result file."""

    number: int
    name: str
    asks: str
    sizes: Mapping[str, Mapping[str, int]]
    results: Results
    rows: Sequence[Row]
    failures: Sequence[tuple[str, str]]
    read_back: int


@dataclass(frozen=True)
class ResultFile:
    """A run of the benchmarks, as stored in the file."""

    machine: Mapping[str, str]
    repeats: int
    quick: bool
    questions: Sequence[Stored]

    @classmethod
    def of(
        cls, machine: Mapping[str, str], answers: Sequence[Answer], *, repeats: int, quick: bool
    ) -> ResultFile:
        """Return the run with these answers."""
        return cls(machine, repeats, quick, [_stored(answer) for answer in answers])

    @property
    def rows(self) -> list[tuple[Stored, Row]]:
        """Return the lines of the table with their questions."""
        return [(question, row) for question in self.questions for row in question.rows]

    def bad_rows(self) -> list[Row]:
        """Return the rows that miss their target, or in the quick mode their wide limit."""
        return [row for _, row in self.rows if row.met(quick=self.quick) is False]

    def write(self, path: Path) -> None:
        """Write the run as JSON."""
        questions = []
        for stored in self.questions:
            plain = {**vars(stored), "rows": [asdict(row) for row in stored.rows]}
            plain["results"] = {"rounds": stored.results.rounds, "prepared": stored.results.prepared}
            questions.append(plain)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**vars(self), "questions": questions}, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> ResultFile:
        """Read a run that `write` wrote."""
        plain = json.loads(path.read_text())
        questions = [_read(question) for question in plain.pop("questions")]
        return cls(**plain, questions=questions)


def _stored(answer: Answer) -> Stored:
    question = answer.question
    return Stored(
        question.number,
        question.name,
        question.asks,
        {trial.key: trial.sizes for trial in answer.trials},
        answer.results,
        answer.rows,
        answer.failures,
        answer.read_back,
    )


def _read(plain: dict[str, Any]) -> Stored:
    results = Results(**plain.pop("results"))
    rows = [Row(**{**row, "figure": row["figure"] and Figure(**row["figure"])}) for row in plain.pop("rows")]
    return Stored(**plain, results=results, rows=rows)
