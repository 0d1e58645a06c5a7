"""Runs the trials of the questions, each in a process of its own and in alternation, then reads back what they wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tqdm import tqdm

from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import environment_of

ROOT = Path(__file__).resolve().parents[1]
_LIMIT_SECS = 600
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class TrialError(Exception):
    """A trial's process failed, or what it wrote was not what it logged."""


@dataclass
class Answer:
    """The findings on one question; `failures` are (trial, message)."""

    question: Question
    prepared: Sample
    trials: Sequence[Trial] = ()
    rounds: dict[str, list[Sample | None]] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    read_back: int = 0

    @property
    def results(self) -> Results:
        """Return the samples in the form that rows and pictures use."""
        return Results(self.rounds, self.prepared)

    @property
    def rows(self) -> Sequence[Row]:
        """Return the question's lines of the table."""
        return self.question.rows(self.results)


def run(questions: Iterable[Question], *, repeats: int, quick: bool) -> Iterator[Answer]:
    """Answer the questions in turn, with a progress bar; failures are recorded, not raised."""
    for question in questions:
        answer = Answer(question, {})
        try:
            answer.prepared = _in_a_process(question, None, None)
        except TrialError as error:
            answer.failures.append(("preparation", str(error)))
        else:
            answer.trials = question.trials(Plan(quick, answer.prepared))
        _take_all(answer, repeats)
        yield answer


def _take_all(answer: Answer, repeats: int) -> None:
    answer.rounds.update({trial.key: [] for trial in answer.trials})
    label = f"{answer.question.number:2d} {answer.question.name}"
    with tqdm(total=len(answer.trials) * repeats, desc=label, unit="trial") as bar:
        for turn in range(repeats):
            for trial in _rotated(answer.trials, turn):
                bar.set_postfix_str(trial.key)
                _take(answer, trial)
                bar.update()


def _rotated(trials: Sequence[Trial], turn: int) -> Sequence[Trial]:
    """Start each round with another trial, so that no trial always follows the same one."""
    at = turn % max(1, len(trials))
    return [*trials[at:], *trials[:at]]


def _take(answer: Answer, trial: Trial) -> None:
    logdir = Path(tempfile.mkdtemp(prefix="tblog-benchmark-"))
    sample = None
    try:
        measured = _in_a_process(answer.question, trial, logdir)
        answer.read_back += answer.question.check(trial, logdir)
        sample = measured
    except TrialError as error:
        answer.failures.append((trial.key, str(error)))
    except Exception as error:  # a reader may raise anything on a broken file
        answer.failures.append((trial.key, f"read back: {type(error).__name__}: {error}"))
    finally:
        shutil.rmtree(logdir)
    answer.rounds[trial.key].append(sample)


def _in_a_process(question: Question, trial: Trial | None, logdir: Path | None) -> Sample:
    order = {
        "question": question.number,
        "trial": asdict(trial) if trial else None,
        "logdir": str(logdir) if logdir else None,
    }
    with tempfile.TemporaryDirectory(prefix="tblog-benchmark-order-") as folder:
        asked, told = Path(folder) / "order.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(order))
        command = [sys.executable, "-m", "benchmarks._child", str(asked), str(told)]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, **_ONE_THREAD, **(environment_of(trial.writer) if trial else {})},
                capture_output=True,
                text=True,
                timeout=_LIMIT_SECS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TrialError(f"the process took longer than {_LIMIT_SECS} s") from error
        if done.returncode or not told.exists():
            tqdm.write(done.stderr, file=sys.stderr)
            raise TrialError(
                f"the process ended with {done.returncode}: {(done.stderr.splitlines() or [''])[-1]}"
            )
        sample: Sample = json.loads(told.read_text())
        return sample
