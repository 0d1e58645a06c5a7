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
    rows = []
    for name in ("tblog", "tblog-pure"):
        if name != "tblog" and name not in results.rounds:
            continue
        for metric, what, share, gross in (
            ("mean", "mean step", 1.04, 2.5),
            ("p99", "p99 of a step", 1.20, 20.0),
        ):
            judged = name == "tblog"
            shown = (
                f"{peer(each).label} {results.value(each, metric, 1e3, 'ms')}"
                for each in sorted(results.rounds, key=lambda each: (each != name, each != _BASE))
            )
            rows.append(
                Row(
                    f"training loop with 50 calls a step, {peer(name).label}, {what}, against no logging",
                    f"at most x{share:.2f}" if judged else "-",
                    results.ratio(name, metric, _BASE),
                    share if judged else None,
                    gross,
                    "factor",
                    ", ".join(shown),
                )
            )
    return rows


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
