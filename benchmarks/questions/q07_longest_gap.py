"""7: How long does the worker hold up the training thread while it encodes images and histograms?

The training thread logs one image and one histogram, then spins for as long as their encoding
takes, and so on. Every gap in its spinning is a time in which it was held up: it waited for the
interpreter lock, or the machine preempted it; the two are told apart. The same loop without logging
shows the machine's own gaps, and beside two threads that only compress and write as many bytes, which Python does
without the interpreter lock, the gaps of any writer with two threads. The first image and histogram do not count: with
them the worker imports what it needs.
"""

from __future__ import annotations

import os
import threading
import time
import zlib
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from benchmarks import _check, _clock, _data, _picture
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from matplotlib.axes import Axes

_BASE, _BARE = "none", "bare-threads"
_SPIN_SECS = 0.05
_FIRST_SPIN_SECS = 1.0


def _trials(plan: Plan) -> list[Trial]:
    sizes = {"rounds": 6 if plan.quick else 40}
    return [Trial(name, sizes=sizes) for name in (_BARE, *(p.name for p in peers_of(7, quick=plan.quick)))]


def _measure(trial: Trial, logdir: Path) -> Sample:
    import numpy as np
    import torch  # noqa: F401  (a training program has it)

    picture, weights = _data.photograph(), _data.array(1_000_000).astype(np.float32)
    if trial.writer == _BARE:
        with _bare_threads(picture.tobytes(), logdir) as work:
            return _spin(trial.sizes["rounds"], lambda _: work())
    writer = peer(trial.writer).open(str(logdir))
    if writer is None:
        return _spin(trial.sizes["rounds"], lambda _: None)

    def log(step: int) -> None:
        writer.add_image("sample", picture, step)
        writer.add_histogram("weights", weights, step)

    sample = _spin(trial.sizes["rounds"], log)
    writer.close()
    return sample


def _spin(rounds: int, log: Callable[[int], None]) -> Sample:
    nothing = _clock.Gap(0.0, waited=True)
    calls, gaps, first = [0.0], [nothing], [nothing]
    for step in range(rounds + 1):
        start = time.perf_counter()
        log(step)
        if step == 0:  # includes the worker's imports
            first.extend(_clock.gaps(_FIRST_SPIN_SECS))
            continue
        calls.append(time.perf_counter() - start)
        gaps.extend(_clock.gaps(_SPIN_SECS))
    return {
        "longest": max(gap.secs for gap in gaps),
        "longest wait": max(gap.secs for gap in gaps if gap.waited),
        "waited": sum(gap.secs for gap in gaps if gap.waited) / (rounds * _SPIN_SECS),
        "call": max(calls),
        "first": max(gap.secs for gap in first),
    }


@contextmanager
def _bare_threads(content: bytes, logdir: Path) -> Iterator[Callable[[], None]]:
    """Start two threads; give the function that makes one compress `content` and the other write as much."""
    logdir.mkdir(parents=True, exist_ok=True)
    written = zlib.compress(content, 1)
    handle = os.open(logdir / "bytes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    works: list[Callable[[], object]] = [lambda: zlib.compress(content, 1), lambda: os.write(handle, written)]
    bells: list[SimpleQueue[bool]] = [SimpleQueue() for _ in works]

    def serve(bell: SimpleQueue[bool], work: Callable[[], object]) -> None:
        while bell.get():
            work()

    def ring() -> None:
        for bell in bells:
            bell.put(True)

    threads = [threading.Thread(target=serve, args=pair) for pair in zip(bells, works, strict=True)]
    for thread in threads:
        thread.start()
    try:
        yield ring
    finally:
        for bell, thread in zip(bells, threads, strict=True):
            bell.put(False)
            thread.join()
        os.close(handle)


def _check_files(trial: Trial, logdir: Path) -> int:
    if trial.writer in {_BASE, _BARE}:
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
        f"two threads that only compress and write as much {results.value(_BARE, 'longest', 1e3, 'ms')}",
        f"waiting for the interpreter lock or a core {wait} at the longest and {waited} of the time",
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
    entries = [
        ("no logging: longest gap", results.figure(_BASE, "longest", 1e3)),
        ("two bare threads: longest gap", results.figure(_BARE, "longest", 1e3)),
    ]
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
