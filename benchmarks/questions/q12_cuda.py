"""12: What does `add_scalar` of a CUDA tensor cost at each step, and does the caller wait for the device?

Every step queues about a millisecond of work on the GPU, computes the value there, logs it, and overwrites
it in place on the next line. tblog's calls run under torch's sync debug mode "error", which raises if a
call waits for the device; so do its `add_scalar_dict`, `add_histogram` and `add_image`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks import _check, _data, _picture
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_EQUAL_QUEUE = "torch-long-queue"
_WARM_UP = 20
_NO_GPU = "not run: this machine has no NVIDIA GPU"


def _prepare() -> Sample:
    import torch

    return {"gpus": float(torch.cuda.device_count() if torch.cuda.is_available() else 0)}


def _trials(plan: Plan) -> list[Trial]:
    if not plan.prepared["gpus"]:
        return []
    sizes = {"steps": 200 if plan.quick else 2_000}
    return [Trial(p.name, sizes=sizes) for p in peers_of(12, quick=plan.quick)]


def _measure(trial: Trial, logdir: Path, device: str = "cuda") -> Sample:
    import numpy as np
    import torch

    steps = trial.sizes["steps"] + _WARM_UP
    values = torch.tensor(_data.array(steps), dtype=torch.float32, device=device)
    weight = torch.randn(2048, 2048, device=device) / 64
    writer = peer(trial.writer).open(str(logdir))
    durations, clock = [], time.perf_counter
    begun = clock()
    for step in range(steps):
        x = weight
        for _ in range(8):
            x = torch.tanh(x @ weight)
        loss = values[step] + 0 * x[0, 0]
        if trial.writer == "tblog" and step == _WARM_UP:
            _forbid_waiting(torch, True)
        start = clock()
        writer.add_scalar(_data.TAG, loss, step)
        durations.append(clock() - start)
        loss.fill_(-1.0)
    elapsed = clock() - begun
    if trial.writer == "tblog":
        _other_kinds(writer, weight)
        _forbid_waiting(torch, False)
    writer.close()
    timed = np.array(durations[_WARM_UP:])
    return {
        "call": float(timed.mean()),
        "p99": float(np.percentile(timed, 99)),
        "step": elapsed / steps,
    }


def _forbid_waiting(torch: Any, forbid: bool) -> None:
    if torch.cuda.is_available():
        torch.cuda.set_sync_debug_mode("error" if forbid else "default")


def _other_kinds(writer: Any, tensor: Any) -> None:
    """Log the other kinds that must not wait; a call that waits raises."""
    writer.add_scalar_dict({"dict/a": tensor[0, 0], "dict/b": tensor[0, 1]}, 0)
    writer.add_histogram("weights", tensor, 0)
    writer.add_image("weights/image", tensor[:64, :64].abs().clamp(0, 1).unsqueeze(0), 0)


def _check_values(trial: Trial, logdir: Path) -> int:
    import numpy as np

    wanted = _data.array(trial.sizes["steps"] + _WARM_UP).astype(np.float32)
    events = [
        event for event in _check.events(logdir) if any(v.tag == _data.TAG for v in event.summary.value)
    ]
    assert [event.step for event in events] == list(range(len(wanted))), "steps are missing or out of order"
    assert np.array_equal([event.summary.value[0].simple_value for event in events], wanted), "values differ"
    if trial.writer == "tblog":
        assert len(_check.histograms(logdir)) == 1, "the histogram is missing"
        assert len(_check.values(logdir, "image")) == 1, "the image is missing"
    return len(events)


def _rows(results: Results) -> list[Row]:
    measured = "tblog" in results.rounds
    others = [name for name in results.rounds if name != "tblog"]
    beside = "; ".join(f"{peer(n).label} {results.value(n, 'call', 1e6, 'us')}" for n in others)
    steps = "; ".join(f"{peer(n).label} {results.value(n, 'step', 1e3, 'ms')}" for n in results.rounds)
    return [
        Row(
            "add_scalar of a CUDA tensor at each step, mean call, against torch at equal queue",
            "at most 1/10, no sync",
            results.ratio("tblog", "call", _EQUAL_QUEUE),
            1 / 10,
            1.0,
            "fraction",
            f"{results.value('tblog', 'call', 1e6, 'us')}; {beside}; none waited for the device, values exact; "
            f"a step: {steps}"
            if measured
            else _NO_GPU,
        )
    ]


def _draw(results: Results, axes: Axes) -> None:
    order = sorted(results.rounds, key=lambda name: name != "tblog")
    _picture.bars(axes, [(peer(n).label, results.figure(n, "call", 1e6)) for n in order], "us")


QUESTION = Question(
    number=12,
    name="cuda",
    asks="What does add_scalar of a CUDA tensor cost at each step?",
    trials=_trials,
    measure=_measure,
    check=_check_values,
    rows=_rows,
    draw=_draw,
    prepare=_prepare,
)
