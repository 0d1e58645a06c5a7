"""13: What does one step with each adapter cost the training thread, compared with the tutorial's way?

Work that runs anyway (the forward pass that gives the feature maps, the training step whose parameters
are watched) is measured too and subtracted. A difference below 0.1 ms counts as 0.1 ms.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import _adapter_ways, _check, _picture, _tutorial_ways
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks._scene import Scene
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_JUDGED = {"feature maps": 10, "convolution kernels": 10}
_RESOLUTION_SECS = 1e-4
_ANYWAY = {"feature maps": Scene.forward, "parameters and gradients": Scene.train}


def _trials(plan: Plan) -> list[Trial]:
    ours, by_hand = (3, 1) if plan.quick else (12, 2)
    chosen = peers_of(13, quick=plan.quick)
    return [Trial(p.name, sizes={"steps": ours if p.name == "tblog" else by_hand}) for p in chosen]


def _measure(trial: Trial, logdir: Path) -> Sample:
    scene, sample = Scene(), {}
    ways = _adapter_ways.WAYS if trial.writer == "tblog" else _tutorial_ways.WAYS
    writer = peer(trial.writer).open(str(logdir))
    for name, make in ways.items():
        way = make(scene)
        way(writer, 0)
        steps = range(1, trial.sizes["steps"] + 1)
        whole = statistics.median(_secs(partial(way, writer, step)) for step in steps)
        anyway = (
            statistics.median(_secs(partial(_ANYWAY[name], scene)) for _ in steps) if name in _ANYWAY else 0.0
        )
        sample[name] = max(_RESOLUTION_SECS, whole - anyway)
    writer.close()
    return sample


def _secs(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _check_pictures(trial: Trial, logdir: Path) -> int:
    steps = trial.sizes["steps"] + 1
    found = [value for event in _check.events(logdir) for value in event.summary.value]
    images = [value for value in found if value.HasField("image")]
    assert len(images) >= 4 * steps, (
        f"{len(images)} pictures are in the file, at least {4 * steps} were logged"
    )
    for value in images:
        _check.is_a_picture(value.image.encoded_image_string)
    return len(found)


def _rows(results: Results) -> list[Row]:
    rows = []
    for name in _adapter_ways.WAYS:
        share = _JUDGED.get(name)
        rows.append(
            Row(
                f"a step with {name}, against the tutorial's way",
                f"at most 1/{share}" if share else "-",
                results.ratio("tblog", name, "torch"),
                1 / share if share else None,
                0.5 if share else 3.0,
                "fraction",
                f"{results.value('tblog', name, 1e3, 'ms')}; {results.value('torch', name, 1e3, 'ms')}",
            )
        )
    return rows


def _draw(results: Results, axes: Axes) -> None:
    entries = [
        (f"{label}: {name}", results.figure(writer, name, 1e3))
        for name in _adapter_ways.WAYS
        for writer, label in (("tblog", "tblog"), ("torch", "by hand"))
    ]
    _picture.bars(axes, entries, "ms")


QUESTION = Question(
    number=13,
    name="adapters",
    asks="What does one step with an adapter cost the training thread?",
    trials=_trials,
    measure=_measure,
    check=_check_pictures,
    rows=_rows,
    draw=_draw,
)
