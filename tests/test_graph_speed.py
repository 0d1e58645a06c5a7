"""The caller's cost of reading a graph, compared with torch's in the same run."""

from __future__ import annotations

import statistics
import time
import warnings

import pytest
import torch
import torchvision
from torch.utils.tensorboard._pytorch_graph import graph as torch_graph

from tblog.graph import read_graph


def seconds(call):
    """Return the CPU seconds of a call, which do not depend on other programs."""
    started = time.process_time()
    call()
    return time.process_time() - started


@pytest.mark.slow
def test_resnet50_is_read_in_less_time_than_torch_takes():
    """Compare the medians of three alternating calls; question 14 of the benchmarks measures all of `add_graph`."""
    model, image = torchvision.models.resnet50(weights=None), torch.ones(1, 3, 224, 224)
    ours, torchs = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read_graph(model, image)  # loads the exporter
        for _ in range(3):
            ours.append(seconds(lambda: read_graph(model, image)))
            torchs.append(seconds(lambda: torch_graph(model, (image,))))
    assert statistics.median(ours) < statistics.median(torchs)
