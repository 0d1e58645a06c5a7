"""3: How much slower is a training loop that logs 50 floats a step, by 50 calls?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import _picture, _training
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_BASE = "none"


def _trials(plan: Plan) -> list[Trial]:
    swift, slow = (200, 100) if plan.quick else (3_000, 1_000)
    operations = int(plan.prepared["operations"])
    return [
        Trial(
            p.name, sizes={"operations": operations, "steps": swift if p.swift or p.name == _BASE else slow}
        )
        for p in peers_of(3, quick=plan.quick)
    ]


def _measure(trial: Trial, logdir: Path) -> Sample:
    return _training.measure(trial, logdir, _training.one_call_each)


def _rows(results: Results) -> list[Row]:
    others = [name for name in results.rounds if name not in {"tblog", _BASE}]
    beside = ", ".join(f"{peer(n).label} {results.value(n, 'mean', 1e3, 'ms')}" for n in others)
    mean = (
        f"{results.value('tblog', 'mean', 1e3, 'ms')}, no logging {results.value(_BASE, 'mean', 1e3, 'ms')}"
    )
    p99 = f"{results.value('tblog', 'p99', 1e3, 'ms')}, no logging {results.value(_BASE, 'p99', 1e3, 'ms')}"
    return [
        Row(
            "training loop with 50 calls a step, mean step, against no logging",
            "at most x1.05",
            results.ratio("tblog", "mean", _BASE),
            1.05,
            2.5,
            "factor",
            f"{mean}; {beside}",
        ),
        Row(
            "the same, p99 of a step",
            "at most x1.25",
            results.ratio("tblog", "p99", _BASE),
            1.25,
            20.0,
            "factor",
            p99,
        ),
    ]


def _draw(results: Results, axes: Axes) -> None:
    order = sorted(results.rounds, key=lambda name: (name != _BASE, name != "tblog"))
    _picture.bars(axes, [(peer(n).label, results.figure(n, "mean", 1e3)) for n in order], "ms")


QUESTION = Question(
    number=3,
    name="training_loop",
    asks="How long is a training step that logs 50 floats?",
    trials=_trials,
    measure=_measure,
    check=_training.check,
    rows=_rows,
    draw=_draw,
    prepare=_training.calibrate,
)
