"""2: What does an event cost in all: the process's CPU from the first call to the end of `close()`?

Threads and helper processes count. torch is imported first, as in a training program.
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


def _trials(plan: Plan) -> list[Trial]:
    swift, slow = (100_000, 5_000) if plan.quick else (1_000_000, 30_000)
    chosen = peers_of(2, quick=plan.quick)
    return [Trial(p.name, sizes={"events": swift if p.swift else slow}) for p in chosen]


def _measure(trial: Trial, logdir: Path) -> Sample:
    import torch  # noqa: F401  (a training program has it)

    values = _data.floats(trial.sizes["events"])
    writer = peer(trial.writer).open(str(logdir))
    add = writer.add_scalar
    _clock.settle()
    started, start = _clock.cpu_secs(), time.perf_counter()
    for step, value in enumerate(values):
        add(_data.TAG, value, step)
    writer.close()
    elapsed, used = time.perf_counter() - start, _clock.cpu_secs() - started
    return {"cpu": used / len(values), "wall": elapsed / len(values)}


def _check_files(trial: Trial, logdir: Path) -> int:
    return _check.scalars(logdir, {_data.TAG: _data.array(trial.sizes["events"])})


def _rows(results: Results) -> list[Row]:
    rows = []
    for name in results.rounds:
        if name == "tblog":
            continue
        judged, label = name == "torch", peer(name).label
        rows.append(
            Row(
                f"CPU of an event, against {label}",
                "at most 1/130" if judged else "-",
                results.ratio("tblog", "cpu", name),
                1 / 130 if judged else None,
                2.0 if name == "tblog-pure" else 1 / 5,
                "fraction",
                f"{results.value('tblog', 'cpu', 1e6, 'us')}; {label} {results.value(name, 'cpu', 1e6, 'us')}",
            )
        )
    return sorted(rows, key=lambda row: row.target, reverse=True)


def _draw(results: Results, axes: Axes) -> None:
    order = sorted(results.rounds, key=lambda name: name != "tblog")
    _picture.bars(axes, [(peer(n).label, results.figure(n, "cpu", 1e6)) for n in order], "us")


QUESTION = Question(
    number=2,
    name="event_cpu",
    asks="What does an event cost in all, in CPU of the process?",
    trials=_trials,
    measure=_measure,
    check=_check_files,
    rows=_rows,
    draw=_draw,
)
