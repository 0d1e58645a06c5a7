"""4: The same training loop with one call for the 50 values of a step (the peers offer none)."""

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
    sizes = {"operations": int(plan.prepared["operations"]), "steps": 200 if plan.quick else 3_000}
    return [Trial(p.name, sizes=sizes) for p in peers_of(4, quick=plan.quick)]


def _measure(trial: Trial, logdir: Path) -> Sample:
    return _training.measure(trial, logdir, _training.one_call_for_all)


def _rows(results: Results) -> list[Row]:
    base = results.value(_BASE, "mean", 1e3, "ms")
    return [
        Row(
            f"training loop with one call for 50 values, {peer(name).label}, mean step, against no logging",
            "at most x1.02" if name == "tblog" else "-",
            results.ratio(name, "mean", _BASE),
            1.02 if name == "tblog" else None,
            2.5,
            "factor",
            f"{results.value(name, 'mean', 1e3, 'ms')}, no logging {base}",
        )
        for name in ("tblog", "tblog-pure")
        if name == "tblog" or name in results.rounds
    ]


def _draw(results: Results, axes: Axes) -> None:
    order = sorted(results.rounds, key=lambda name: name != _BASE)
    _picture.bars(axes, [(peer(n).label, results.figure(n, "mean", 1e3)) for n in order], "ms")


QUESTION = Question(
    number=4,
    name="training_loop_dict",
    asks="How long is a training step that logs 50 floats by one call?",
    trials=_trials,
    measure=_measure,
    check=_training.check,
    rows=_rows,
    draw=_draw,
    prepare=_training.calibrate,
)
