"""6: What does `add_image` of 3x512x512 uint8 cost, in the call and in all, with the same pixels back?

The first image, which may trigger imports, is logged and flushed before the measurement.
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

_DIFFERENT = 3  # pictures, logged in turn
_PICTURES = {"photograph": _data.photograph, "drawing": _data.drawing}
_SHARES = (("call", "the call", 20, 1.0), ("cpu", "CPU in all", 3, 2.0))


def _trials(plan: Plan) -> list[Trial]:
    sizes = {"calls": 3 if plan.quick else 24}
    return [Trial(p.name, kind, sizes) for p in peers_of(6, quick=plan.quick) for kind in _PICTURES]


def _pictures(trial: Trial) -> list[NDArray[np.uint8]]:
    return [_PICTURES[trial.case](seed) for seed in range(_DIFFERENT)]


def _measure(trial: Trial, logdir: Path) -> Sample:
    import torch  # noqa: F401  (a training program has it)

    pictures, calls, durations = _pictures(trial), trial.sizes["calls"], []
    writer = peer(trial.writer).open(str(logdir))
    writer.add_image("first", pictures[0][:, :16, :16].copy(), 0)
    writer.flush()
    started = _clock.cpu_secs()
    for step in range(calls):
        start = time.perf_counter()
        writer.add_image("sample", pictures[step % _DIFFERENT], step)
        durations.append(time.perf_counter() - start)
    writer.close()
    return {
        "call": sum(durations) / calls,
        "longest": max(durations),
        "cpu": (_clock.cpu_secs() - started) / calls,
        "bytes": sum(path.stat().st_size for path in logdir.iterdir()) / calls,
    }


def _check_pixels(trial: Trial, logdir: Path) -> int:
    found = [value for value in _check.values(logdir, "image") if value.tag == "sample"]
    assert len(found) == trial.sizes["calls"], f"{len(found)} images are in the file"
    pictures = _pictures(trial)
    for step, value in enumerate(found):
        _check.image(value.image.encoded_image_string, pictures[step % _DIFFERENT])
    return len(found)


def _others(results: Results) -> list[str]:
    return sorted({key.split()[0] for key in results.rounds} - {"tblog"}, reverse=True)


def _rows(results: Results) -> list[Row]:
    return [
        _row(results, name, kind, *share)
        for name in _others(results)
        for kind in _PICTURES
        for share in _SHARES
    ]


def _row(results: Results, name: str, kind: str, metric: str, what: str, share: int, gross: float) -> Row:
    ours, theirs, label = f"tblog {kind}", f"{name} {kind}", peer(name).label
    sizes = f"{results.value(ours, 'bytes', 1e-3, 'kB')} and {results.value(theirs, 'bytes', 1e-3, 'kB')} an image"
    return Row(
        f"add_image of 3x512x512 uint8 ({kind}), {what}, against {label}",
        f"at most 1/{share}",
        results.ratio(ours, metric, theirs),
        1 / share,
        gross,
        "fraction",
        f"{results.value(ours, metric, 1e3, 'ms')}; {label} {results.value(theirs, metric, 1e3, 'ms')}"
        + (f"; {sizes}" if metric == "cpu" else ""),
    )


def _draw(results: Results, axes: Axes) -> None:
    entries = [
        (f"{name}: {what}, {kind}", results.figure(f"{name} {kind}", metric, 1e3))
        for metric, what, *_ in _SHARES
        for name in ("tblog", *_others(results))
        for kind in _PICTURES
    ]
    _picture.bars(axes, entries, "ms")


QUESTION = Question(
    number=6,
    name="image",
    asks="What does add_image of 3x512x512 uint8 cost?",
    trials=_trials,
    measure=_measure,
    check=_check_pixels,
    rows=_rows,
    draw=_draw,
)
