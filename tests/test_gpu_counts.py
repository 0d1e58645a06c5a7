"""Histograms counted with torch operations on the tensor's device: equal to the worker's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, from_dtype

from tblog import SummaryWriter
from tblog._values import devices as _devices
from tblog.records import CountedHistogramRecord, HistogramRecord
from tblog.summaries import _gpu_counts
from tblog.summaries.histogram import tensorflow_bins
from tests.encoded import Reports, one
from tests.reading import events

EDGES = np.array(tensorflow_bins())
AROUND = np.concatenate([EDGES, np.nextafter(EDGES, np.inf), np.nextafter(EDGES, -np.inf)])
CASES = {
    "on and beside the edges": torch.from_numpy(AROUND),
    "edges as float32": torch.from_numpy(AROUND.astype(np.float32)),
    "beside them": torch.from_numpy(np.nextafter(EDGES.astype(np.float32), np.float32(0))),
    "huge": torch.tensor([3e38, -3e38, 1e20, -1e20, 1.0]),
    "denormal": torch.tensor([1e-45, -1e-45, 1e-40, 0.0, -0.0]),
    "not finite": torch.tensor([np.nan, np.inf, -np.inf, 2.0, -3.0]),
    "nothing finite": torch.tensor([np.nan, np.inf]),
    "one value": torch.zeros(3, 4),
    "integers": torch.arange(-500, 500),
    "bytes": torch.arange(256, dtype=torch.uint8).reshape(16, 16),
    "bools": torch.tensor([True, False, True]),
    "float16": torch.linspace(-60000, 60000, 999).half(),
    "bfloat16": torch.linspace(-1, 1, 999).bfloat16(),
    "strided": torch.randn(60, 70, generator=torch.Generator().manual_seed(0)).T[::2],
}


def both(tensor, max_bins=None):
    """Return a tensor's histograms, counted by torch and on the worker, and each one's reports."""
    reports = Reports(), Reports()
    counted = CountedHistogramRecord(
        tag="h", figures=_gpu_counts.count(tensor).numpy(), size=tensor.numel(), max_bins=max_bins
    )
    plain = HistogramRecord(tag="h", values=_devices.widen(tensor).numpy(), max_bins=max_bins)
    histograms = [one(record, report).histo for record, report in zip((counted, plain), reports, strict=True)]
    return histograms, reports


def assert_same(tensor, max_bins=None):
    """Compare counts, limits, number and extremes exactly, and sums up to the order of addition."""
    (ours, plain), reports = both(tensor, max_bins)
    for field in ("num", "min", "max"):
        assert getattr(ours, field) == getattr(plain, field)
    assert ours.bucket == plain.bucket
    assert ours.bucket_limit == plain.bucket_limit
    size = float(
        np.nansum(np.abs(np.nan_to_num(_devices.widen(tensor).double().numpy(), posinf=0, neginf=0)))
    )
    assert ours.sum == pytest.approx(plain.sum, rel=1e-12, abs=1e-12 * size)
    assert ours.sum_squares == pytest.approx(plain.sum_squares, rel=1e-12)
    assert list(reports[0]) == list(reports[1])


@pytest.mark.parametrize("name", CASES)
def test_counts_are_those_of_the_worker(name):
    """For each dtype, on and beside the edges; non-finite values are left out and reported."""
    assert_same(CASES[name])
    assert_same(CASES[name], max_bins=30)


def test_a_tensor_is_counted_in_pieces(monkeypatch):
    """Sums, extremes and counts of the pieces add up to those of the whole."""
    monkeypatch.setattr(_gpu_counts, "_PIECE", 100)
    for name in ("on and beside the edges", "not finite", "strided"):
        assert_same(CASES[name])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(arrays(np.float32, st.integers(1, 50), elements=from_dtype(np.dtype(np.float32))))
def test_any_float32_is_counted_as_by_the_worker(values):
    """For any bit pattern."""
    with np.errstate(all="ignore"):
        assert_same(torch.from_numpy(values))


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64])
def test_a_tensor_on_a_gpu_is_counted_there_without_a_sync(tmp_path, dtype):
    """The figures equal the worker's for the values at the call, although the tensor is overwritten at once."""
    host = (torch.randn(1_000_000, generator=torch.Generator().manual_seed(0)) * 100).to(dtype)
    tensor = host.cuda()
    _gpu_counts.count(tensor)  # loads torch's kernels
    with SummaryWriter(tmp_path / "gpu") as writer:
        torch.cuda.set_sync_debug_mode("error")
        try:
            writer.add_histogram("h", tensor, 0)
            tensor.zero_()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    with SummaryWriter(tmp_path / "host") as writer:
        writer.add_histogram("h", host, 0)
    gpu, plain = (
        next(value.histo for event in events(path) for value in event.summary.value)
        for path in (next((tmp_path / run).iterdir()) for run in ("gpu", "host"))
    )
    assert gpu.bucket == plain.bucket
    assert gpu.bucket_limit == plain.bucket_limit
    assert (gpu.num, gpu.min, gpu.max) == (plain.num, plain.min, plain.max)
    assert gpu.sum_squares == pytest.approx(plain.sum_squares, rel=1e-9)
