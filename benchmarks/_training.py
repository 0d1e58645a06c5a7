"""The training loop of the questions 3 and 4: small PyTorch operations on one thread, 50 values a step.

A step is a series of small matrix products with tanh, as many as take half a millisecond on this
machine (`calibrate`). The work is the same for all writers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks import _check, _clock, _data
from benchmarks._question import Sample, Trial
from benchmarks.peers import peer

if TYPE_CHECKING:
    from pathlib import Path

VALUES = 50
_STEP_SECS = 0.5e-3
_WARM_UP = 100
_TIMED_BATCHES = 500

LogStep = Callable[[list[float], int], None]


def _operations() -> Callable[[int], None]:
    import torch

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 64, generator=generator) / 8
    bias = torch.randn(64, generator=generator)

    def operate(count: int) -> None:
        x = torch.ones(32, 64)
        for _ in range(count):
            x = torch.tanh(torch.addmm(bias, x, weight))

    return operate


def calibrate() -> Sample:
    """Return how many operations take half a millisecond, by the fastest of many short batches."""
    operate, count = _operations(), 20
    operate(1000)
    fastest = min(_secs(operate, count) for _ in range(_TIMED_BATCHES))
    return {"operations": float(max(1, round(_STEP_SECS / (fastest / count))))}


def _secs(operate: Callable[[int], None], count: int) -> float:
    start = time.perf_counter()
    operate(count)
    return time.perf_counter() - start


def names() -> list[str]:
    """Return the tags of the values of a step."""
    return _data.tags(VALUES)


def table(steps: int) -> list[list[float]]:
    """Return the values of each step."""
    values = _data.floats(steps * VALUES)
    return [values[low : low + VALUES] for low in range(0, len(values), VALUES)]


def one_call_each(writer: Any) -> LogStep:
    """Log a step's values by an `add_scalar` for each."""
    add, tags = writer.add_scalar, names()

    def log(values: list[float], step: int) -> None:
        for tag, value in zip(tags, values, strict=True):
            add(tag, value, step)

    return log


def one_call_for_all(writer: Any) -> LogStep:
    """Log a step's values by one `add_scalar_dict`."""
    add, tags = writer.add_scalar_dict, names()

    def log(values: list[float], step: int) -> None:
        add(dict(zip(tags, values, strict=True)), step)

    return log


def measure(trial: Trial, logdir: Path, way: Callable[[Any], LogStep]) -> Sample:
    """Train for the trial's steps after a warm-up; return the mean and the 99th percentile of a step."""
    import numpy as np

    operate, operations, steps = _operations(), trial.sizes["operations"], trial.sizes["steps"]
    rows = table(steps + _WARM_UP)
    writer = peer(trial.writer).open(str(logdir))
    log = None if writer is None else way(writer)
    durations, clock = [0] * len(rows), time.perf_counter_ns
    _clock.settle()
    for step, values in enumerate(rows):
        start = clock()
        operate(operations)
        if log is not None:
            log(values, step)
        durations[step] = clock() - start
    if writer is not None:
        writer.close()
    timed = np.array(durations[_WARM_UP:]) / 1e9
    return {"mean": float(timed.mean()), "p99": float(np.percentile(timed, 99))}


def check(trial: Trial, logdir: Path) -> int:
    """Check that every value of every step is in the file; without logging there is none."""
    if peer(trial.writer).name == "none":
        return 0
    values = _data.array((trial.sizes["steps"] + _WARM_UP) * VALUES).reshape(-1, VALUES)
    return _check.scalars(logdir, dict(zip(names(), values.T, strict=True)))
