"""11: What does the caller notice of storage that takes 20 ms for each write?

tblog logs fewer scalars than its queue holds, on slow and on ordinary storage. The peers' calls wait for
the storage, so they log some hundreds. In a third case tblog's queue is small: the caller must wait, and
nothing may be lost.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks import _check, _clock, _data, _picture, _slow_storage
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_WRITE_SECS = 0.02
_SLOW, _ORDINARY, _FULL = "slow storage", "ordinary storage", "slow storage, small queue"
_SMALL_QUEUE = 500


def _trials(plan: Plan) -> list[Trial]:
    swift, slow = (20_000, 30) if plan.quick else (150_000, 100)  # 7.4 MB: a factory's file takes 8 MiB
    chosen = [p for p in peers_of(11, quick=plan.quick) if p.on_slow_storage]
    return [
        *(Trial(p.name, _SLOW, {"events": swift if p.swift else slow}) for p in chosen),
        Trial("tblog", _ORDINARY, {"events": swift}),
        Trial("tblog", _FULL, {"events": swift // 4}),
    ]


def _open(trial: Trial, logdir: Path) -> Any:
    if trial.case == _ORDINARY:
        return peer(trial.writer).open(str(logdir))
    if trial.case == _FULL:
        import tblog

        path = _slow_storage.by_tensorboardx(str(logdir), _WRITE_SECS)
        return tblog.SummaryWriter(path, options=tblog.WriterOptions(max_queue_records=_SMALL_QUEUE))
    on_slow_storage = peer(trial.writer).on_slow_storage
    assert on_slow_storage is not None
    return on_slow_storage(str(logdir), _WRITE_SECS)


def _measure(trial: Trial, logdir: Path) -> Sample:
    values = _data.floats(trial.sizes["events"])
    writer = _open(trial, logdir)
    add, clock, durations = writer.add_scalar, time.perf_counter, [0.0] * len(values)
    _clock.settle()
    for step, value in enumerate(values):
        start = clock()
        add(_data.TAG, value, step)
        durations[step] = clock() - start
    start = clock()
    writer.close()
    return {"mean": sum(durations) / len(durations), "longest": max(durations), "close": clock() - start}


def _check_files(trial: Trial, logdir: Path) -> int:
    return _check.scalars(logdir, {_data.TAG: _data.array(trial.sizes["events"])})


def _rows(results: Results) -> list[Row]:
    slow, ordinary, full = (f"tblog {case}" for case in (_SLOW, _ORDINARY, _FULL))
    others = [key for key in results.rounds if not key.startswith("tblog")]
    beside = "; ".join(f"{key.split()[0]} {results.value(key, 'mean', 1e6, 'us')}" for key in others)
    means = (
        f"{results.value(slow, 'mean', 1e6, 'us')} and {results.value(ordinary, 'mean', 1e6, 'us')}; {beside}"
    )
    return [
        Row(
            "20 ms a write, below the queue's bound: mean call, against ordinary storage",
            "not noticed: at most x1.25",
            results.ratio(slow, "mean", ordinary),
            1.25,
            8.0,
            "factor",
            means,
        ),
        Row(
            "the same, longest call",
            "not noticed: under 5 ms",
            results.figure(slow, "longest", 1e3),
            5.0,
            500.0,
            "ms",
            f"ordinary storage {results.value(ordinary, 'longest', 1e3, 'ms')}",
        ),
        Row(
            f"the same with room for {_SMALL_QUEUE} records: mean call; nothing is lost",
            "-",
            results.figure(full, "mean", 1e6),
            None,
            None,
            "us",
            f"longest {results.value(full, 'longest', 1e3, 'ms')}",
        ),
    ]


def _draw(results: Results, axes: Axes) -> None:
    keys = sorted(results.rounds, key=lambda key: not key.startswith("tblog"))
    entries = [(key.replace(" ", ": ", 1), results.figure(key, "mean", 1e6)) for key in keys]
    _picture.bars(axes, entries, "us")


QUESTION = Question(
    number=11,
    name="slow_storage",
    asks="What does the caller notice of storage that takes 20 ms for each write?",
    trials=_trials,
    measure=_measure,
    check=_check_files,
    rows=_rows,
    draw=_draw,
)
