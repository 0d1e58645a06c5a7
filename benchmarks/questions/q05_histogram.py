"""5: What does `add_histogram` of 1,000,000 float32 cost, in the call and in all?

The first histogram, which may trigger imports, is logged and flushed before the measurement. tblog also logs arrays on
which shortcuts go wrong (`_data.unusual_arrays`). All counts are compared with numpy's on the same edges.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import _check, _clock, _data, _picture
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_ELEMENTS = 1_000_000
_DIFFERENT = 4  # arrays, logged in turn


def _trials(plan: Plan) -> list[Trial]:
    sizes = {"calls": 4 if plan.quick else 24}
    return [Trial(p.name, sizes=sizes) for p in peers_of(5, quick=plan.quick)]


def _arrays() -> list[NDArray[np.float32]]:
    import numpy as np

    return [_data.array(_ELEMENTS, seed).astype(np.float32) for seed in range(_DIFFERENT)]


def _measure(trial: Trial, logdir: Path) -> Sample:
    import torch  # noqa: F401  (a training program has it)

    arrays, durations = _arrays(), []
    writer = peer(trial.writer).open(str(logdir / "timed"))
    writer.add_histogram("first", arrays[0][:1000], 0)
    writer.flush()
    started = _clock.cpu_secs()
    for step in range(trial.sizes["calls"]):
        start = time.perf_counter()
        writer.add_histogram("weights", arrays[step % _DIFFERENT], step)
        durations.append(time.perf_counter() - start)
    writer.close()
    used = _clock.cpu_secs() - started
    if trial.writer.startswith("tblog"):
        unusual = peer(trial.writer).open(str(logdir / "unusual"))
        for tag, array in _data.unusual_arrays().items():
            unusual.add_histogram(tag, array, 0)
        unusual.close()
    return {
        "call": sum(durations) / len(durations),
        "longest": max(durations),
        "cpu": used / trial.sizes["calls"],
    }


def _check_counts(trial: Trial, logdir: Path) -> int:
    found = _check.histograms(logdir / "timed")
    assert len(found) == trial.sizes["calls"] + 1, f"{len(found)} histograms are in the file"
    arrays = _arrays()
    for step, (_, histogram) in enumerate(found[1:]):
        _check.counts(histogram, arrays[step % _DIFFERENT])
    if not trial.writer.startswith("tblog"):
        return len(found)
    for (_, histogram), array in zip(
        _check.histograms(logdir / "unusual"), _data.unusual_arrays().values(), strict=True
    ):
        _check.counts(histogram, array)
        _check.moments(histogram, array)
    return len(found) + len(_data.unusual_arrays())


def _rows(results: Results) -> list[Row]:
    rows = []
    for name in results.rounds:
        if name == "tblog":
            continue
        judged, label = name != "tblog-pure", peer(name).label
        for metric, what, share, gross in (("call", "the call", 12, 1.0), ("cpu", "CPU in all", 8, 1.5)):
            rows.append(
                Row(
                    f"add_histogram of 1,000,000 float32, {what}, against {label}",
                    f"at most 1/{share}" if judged else "-",
                    results.ratio("tblog", metric, name),
                    1 / share if judged else None,
                    gross if judged else 3.0,
                    "fraction",
                    f"{results.value('tblog', metric, 1e3, 'ms')}; {label} {results.value(name, metric, 1e3, 'ms')}",
                )
            )
    return rows


def _draw(results: Results, axes: Axes) -> None:
    entries = []
    for metric, what in (("call", "the call"), ("cpu", "CPU in all")):
        order = sorted(results.rounds, key=lambda name: name != "tblog")
        entries += [(f"{peer(n).label}: {what}", results.figure(n, metric, 1e3)) for n in order]
    _picture.bars(axes, entries, "ms")


QUESTION = Question(
    number=5,
    name="histogram",
    asks="What does add_histogram of 1,000,000 float32 cost?",
    trials=_trials,
    measure=_measure,
    check=_check_counts,
    rows=_rows,
    draw=_draw,
)
