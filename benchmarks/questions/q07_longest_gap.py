"""7: How long does the worker hold up the training thread while it encodes images and histograms?

The training thread logs one image and one histogram, then spins for as long as their encoding
takes, and so on. Every gap in its spinning is a time in which it was held up: it waited for the
interpreter lock, or the machine preempted it; the two are told apart. The same loop without logging
shows the machine's own gaps. The first image and histogram do not count: with them the worker
imports what it needs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import _check, _clock, _data, _picture
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_BASE = "none"
_SPIN_SECS = 0.05
_FIRST_SPIN_SECS = 1.0


def _trials(plan: Plan) -> list[Trial]:
    sizes = {"rounds": 6 if plan.quick else 40}
    return [Trial(p.name, sizes=sizes) for p in peers_of(7, quick=plan.quick)]


def _measure(trial: Trial, logdir: Path) -> Sample:
    import numpy as np
    import torch  # noqa: F401  (a training program has it)

    picture, weights = _data.photograph(), _data.array(1_000_000).astype(np.float32)
    writer = peer(trial.writer).open(str(logdir))
    nothing = _clock.Gap(0.0, waited=True)
    calls, gaps, first = [0.0], [nothing], [nothing]
    for step in range(trial.sizes["rounds"] + 1):
        start = time.perf_counter()
        if writer is not None:
            writer.add_image("sample", picture, step)
            writer.add_histogram("weights", weights, step)
        if step == 0:  # includes the worker's imports
            first.extend(_clock.gaps(_FIRST_SPIN_SECS))
            continue
        calls.append(time.perf_counter() - start)
        gaps.extend(_clock.gaps(_SPIN_SECS))
    if writer is not None:
        writer.close()
    return {
        "longest": max(gap.secs for gap in gaps),
        "longest wait": max(gap.secs for gap in gaps if gap.waited),
        "waited": sum(gap.secs for gap in gaps if gap.waited) / (trial.sizes["rounds"] * _SPIN_SECS),
        "call": max(calls),
        "first": max(gap.secs for gap in first),
    }


def _check_files(trial: Trial, logdir: Path) -> int:
    if trial.writer == _BASE:
        return 0
    images, histograms = _check.values(logdir, "image"), _check.histograms(logdir)
    rounds = trial.sizes["rounds"] + 1
    assert len(images) == len(histograms) == rounds, f"{len(images)} images, {len(histograms)} histograms"
    picture, weights = _data.photograph(), _data.array(1_000_000).astype("float32")
    _check.image(images[-1].image.encoded_image_string, picture)
    _check.counts(histograms[-1][1], weights)
    return 2 * rounds


def _rows(results: Results) -> list[Row]:
    wait, waited = (
        results.value("tblog", "longest wait", 1e3, "ms"),
        results.value("tblog", "waited", 100, "%"),
    )
    parts = [
        f"no logging {results.value(_BASE, 'longest', 1e3, 'ms')}",
        f"waiting for the interpreter lock {wait} at the longest and {waited} of the time",
        f"{results.value('tblog', 'first', 1e3, 'ms')} once, with the first records' imports",
    ]
    if "torch" in results.rounds:
        parts.append(
            f"torch does the work in its calls, {results.value('torch', 'call', 1e3, 'ms')} at the longest"
        )
    return [
        Row(
            "longest gap in a spinning thread while images and histograms are encoded",
            "at most 2 ms",
            results.figure("tblog", "longest", 1e3),
            2.0,
            200.0,
            "ms",
            "; ".join(parts),
        )
    ]


def _draw(results: Results, axes: Axes) -> None:
    entries = [("no logging: longest gap", results.figure(_BASE, "longest", 1e3))]
    for name in ("tblog", "torch"):
        entries += [
            (f"{name}: longest gap", results.figure(name, "longest", 1e3)),
            (f"{name}: longest wait for the lock", results.figure(name, "longest wait", 1e3)),
            (f"{name}: longest calls", results.figure(name, "call", 1e3)),
        ]
    _picture.bars(axes, entries, "ms", limit=(2.0, "target of the gap"))


QUESTION = Question(
    number=7,
    name="longest_gap",
    asks="How long is the training thread held while images and histograms are encoded?",
    trials=_trials,
    measure=_measure,
    check=_check_files,
    rows=_rows,
    draw=_draw,
)
