"""14: How long does `add_graph` of a ResNet-50 hold the caller, and how long until the file is closed?"""

from __future__ import annotations

import contextlib
import time
import warnings
from typing import TYPE_CHECKING

from benchmarks import _check, _picture
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_FEWEST_NODES = 100


def _trials(plan: Plan) -> list[Trial]:
    return [Trial(p.name) for p in peers_of(14, quick=plan.quick)]


def _measure(trial: Trial, logdir: Path) -> Sample:
    import torch
    from torchvision import models

    model, images = models.resnet50(weights=None).eval(), torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        model(images)
    writer = peer(trial.writer).open(str(logdir))
    writer.add_scalar("first", 0.0, 0)
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        warnings.simplefilter("ignore")  # torch.jit.trace is deprecated and says so
        start = time.perf_counter()
        writer.add_graph(model, images)
        called = time.perf_counter() - start
        writer.close()
    return {"call": called, "closed": time.perf_counter() - start}


def _check_graph(_trial: Trial, logdir: Path) -> int:
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    graphs = [GraphDef.FromString(event.graph_def) for event in _check.events(logdir) if event.graph_def]
    assert len(graphs) == 1, f"{len(graphs)} graphs are in the file"
    nodes = len(graphs[0].node)
    assert nodes >= _FEWEST_NODES, f"the graph has {nodes} nodes"
    return nodes


def _rows(results: Results) -> list[Row]:
    return [
        Row(
            f"add_graph of a ResNet-50, {what}, against torch",
            "at most x1",
            results.ratio("tblog", metric, "torch"),
            1.0,
            4.0,
            "factor",
            f"{results.value('tblog', metric, 1e3, 'ms')}; torch {results.value('torch', metric, 1e3, 'ms')}",
        )
        for metric, what in (("call", "the call"), ("closed", "until the file is closed"))
    ]


def _draw(results: Results, axes: Axes) -> None:
    entries = [
        (f"{name}: {what}", results.figure(name, metric, 1e3))
        for metric, what in (("call", "the call"), ("closed", "until closed"))
        for name in ("tblog", "torch")
    ]
    _picture.bars(axes, entries, "ms")


QUESTION = Question(
    number=14,
    name="graph",
    asks="How long does add_graph of a ResNet-50 take?",
    trials=_trials,
    measure=_measure,
    check=_check_graph,
    rows=_rows,
    draw=_draw,
)
