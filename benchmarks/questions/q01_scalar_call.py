"""1: What does one `add_scalar(tag, float, step)` cost the caller, in a tight loop?

Two loops, each with a writer of its own: one without a clock inside, for the mean; one with a clock
around each call, for the slowest calls. Both include the `enumerate` that numbers the steps.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks import _check, _clock, _data, _picture
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_LIMIT, _PURE = "append", "tblog-pure"


def _trials(plan: Plan) -> list[Trial]:
    swift, slow = (100_000, 5_000) if plan.quick else (1_000_000, 30_000)
    chosen = peers_of(1, quick=plan.quick)
    return [Trial(p.name, sizes={"events": swift if p.swift else slow}) for p in chosen]


def _measure(trial: Trial, logdir: Path) -> Sample:
    import numpy as np

    values = _data.floats(trial.sizes["events"])
    opened = peer(trial.writer).open
    mean = _mean(opened(str(logdir / "mean")), values)
    durations = np.array(_durations(opened(str(logdir / "each")), values))
    return {
        "mean": mean,
        "p50": float(np.percentile(durations, 50)) / 1e9,
        "p99.9": float(np.percentile(durations, 99.9)) / 1e9,
        "longest": float(durations.max()) / 1e9,
        "calls": float(len(durations)),
    }


def _mean(writer: Any, values: list[float]) -> float:
    add = writer.add_scalar
    _clock.settle()
    start = time.perf_counter()
    for step, value in enumerate(values):
        add(_data.TAG, value, step)
    elapsed = time.perf_counter() - start
    writer.close()
    return elapsed / len(values)


def _durations(writer: Any, values: list[float]) -> list[int]:
    add, clock, durations = writer.add_scalar, time.perf_counter_ns, [0] * len(values)
    _clock.settle()
    for step, value in enumerate(values):
        start = clock()
        add(_data.TAG, value, step)
        durations[step] = clock() - start
    writer.close()
    return durations


def _check_files(trial: Trial, logdir: Path) -> int:
    if trial.writer == _LIMIT:
        return 0
    expected = {_data.TAG: _data.array(trial.sizes["events"])}
    return sum(_check.scalars(logdir / run, expected) for run in ("mean", "each"))


def _rows(results: Results) -> list[Row]:
    rows = []
    for name in ("torch", "tensorboardX", "tensorboardX-plain", "torch-long-queue", _PURE):
        if name in results.rounds:
            rows += _rows_against(results, name)
    longest = results.figure("tblog", "longest", 1e3)
    calls = f"of {results.value('tblog', 'calls', 1, 'calls')}"
    rows.append(Row("add_scalar, longest call", "at most 2 ms", longest, 2.0, 500.0, "ms", calls))
    return rows


def _rows_against(results: Results, name: str) -> list[Row]:
    label = peer(name).label
    judged = name in {"torch", "tensorboardX"}
    limit = f"; the physical limit {results.value(_LIMIT, 'mean', 1e6, 'us')}" if name == "torch" else ""
    means = f"{results.value('tblog', 'mean', 1e6, 'us')}; {label} {results.value(name, 'mean', 1e6, 'us')}{limit}"
    row = Row(
        f"add_scalar, mean call, against {label}",
        "at most 1/300" if judged else "-",
        results.ratio("tblog", "mean", name),
        1 / 300 if judged else None,
        2.0 if name == _PURE else 1 / 8,
        "fraction",
        means,
    )
    if not judged:
        return [row]
    slowest = (
        f"{results.value('tblog', 'p99.9', 1e6, 'us')}; {label} {results.value(name, 'p99.9', 1e6, 'us')}"
    )
    ratio = results.ratio("tblog", "p99.9", name)
    return [
        row,
        Row(f"add_scalar, p99.9, against {label}", "at most 1/40", ratio, 1 / 40, 2.0, "fraction", slowest),
    ]


def _draw(results: Results, axes: Axes) -> None:
    order = sorted(results.rounds, key=lambda name: (name != "tblog", name != _LIMIT))
    entries = [(peer(name).label, results.figure(name, "mean", 1e6)) for name in order]
    _picture.bars(axes, entries, "us")


QUESTION = Question(
    number=1,
    name="scalar_call",
    asks="What does add_scalar cost the caller, in a tight loop?",
    trials=_trials,
    measure=_measure,
    check=_check_files,
    rows=_rows,
    draw=_draw,
)
