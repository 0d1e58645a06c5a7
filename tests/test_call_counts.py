"""Large arrays are counted in the call, with the same histogram as from the worker's snapshot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tblog import SummaryWriter, WriterOptions, _native
from tblog._values.arrays import snapshot
from tblog.records import HistogramRecord
from tblog.summaries import _call_counts
from tests.encoded import Reports, one
from tests.reading import run_events

pytestmark = pytest.mark.skipif(
    _native.compiled is None, reason="the compiled module was not built, or is not wanted"
)

NORMAL = np.random.default_rng(5).normal(size=(300, 400)) * 50
COUNTED = {
    "float32": NORMAL.astype(np.float32),
    "float64": NORMAL,
    "float16": NORMAL.astype(np.float16),
    "int64": NORMAL.astype(np.int64),
    "uint8": NORMAL.astype(np.int64).astype(np.uint8),
    "bool": NORMAL > 0,
    "Fortran's order": np.asfortranarray(NORMAL),
    "not finite": np.where(NORMAL > 40, np.nan, np.where(NORMAL < -40, -np.inf, NORMAL)),
    "torch": torch.from_numpy(NORMAL).float(),
    "torch, with a gradient": torch.from_numpy(NORMAL).requires_grad_(),
    "torch, transposed": torch.from_numpy(NORMAL).T,
    "bfloat16": torch.from_numpy(NORMAL).bfloat16(),
    "half": torch.from_numpy(NORMAL).half(),
    "parameter": torch.nn.Parameter(torch.from_numpy(NORMAL)),
    "lazily negative": torch.imag(torch.from_numpy(NORMAL + 1j * NORMAL).conj()),
}
LEFT = {
    "small": NORMAL[:2],
    "every other": NORMAL[:, ::2],
    "big-endian": NORMAL.astype(">f8"),
    "complex": NORMAL.astype(complex),
    "texts": np.full(100_000, "a"),
    "masked": np.ma.array(NORMAL, mask=NORMAL > 0),
    "of a subclass": NORMAL.view(np.matrix),
    "a list": NORMAL.ravel().tolist(),
    "sparse": torch.from_numpy(NORMAL).to_sparse(),
    "float8": torch.from_numpy(NORMAL).to(torch.float8_e4m3fn),
    "on no device": torch.empty(100_000, device="meta"),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_the_histogram_is_that_of_a_snapshot(kind):
    """Counts, limits, number, extremes and reports are equal, and sums up to the order of addition."""
    record = _call_counts.counted("h", COUNTED[kind], 500)
    reports = Reports(), Reports()
    ours = one(record, reports[0]).histo
    plain = one(HistogramRecord(tag="h", values=snapshot(COUNTED[kind], "h"), max_bins=500), reports[1]).histo
    assert (ours.bucket, ours.bucket_limit) == (plain.bucket, plain.bucket_limit)
    assert (ours.num, ours.min, ours.max) == (plain.num, plain.min, plain.max)
    assert ours.sum == pytest.approx(plain.sum, rel=1e-12, abs=1e-9 * plain.sum_squares)
    assert ours.sum_squares == pytest.approx(plain.sum_squares, rel=1e-12)
    assert list(reports[0]) == list(reports[1])


@pytest.mark.parametrize("kind", LEFT)
def test_the_worker_counts_what_is_small_or_no_plain_array(kind):
    """They go through a snapshot, with its checks and errors."""
    assert _call_counts.counted("h", LEFT[kind], None) is None


def test_the_queue_holds_counts_instead_of_the_array():
    """A million numbers take 12 KB of the queue's bound."""
    record = _call_counts.counted("h", np.zeros(1_000_000, np.float32), None)
    assert record.figures.nbytes == 8 * 1553


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_what_is_logged_is_the_value_at_the_time_of_the_call(make, tmp_path):
    """An array that changes right after the call does not change its histogram, step or time."""
    values = make(NORMAL)
    with SummaryWriter(str(tmp_path)) as writer:
        with writer.use_metadata(global_step=7, walltime=3.0):
            writer.add_histogram("h", values)
        values[:] = 0
    (event,) = [event for event in run_events(tmp_path) if event.summary.value]
    assert (event.step, event.wall_time) == (7, 3.0)
    assert event.summary.value[0].histo == one(HistogramRecord(tag="h", values=NORMAL)).histo


def test_an_array_that_is_lent_to_the_worker_is_counted_there(tmp_path, monkeypatch):
    """With copy=False nothing is counted in the call, nor with other bins."""
    monkeypatch.setattr(_call_counts, "count_compiled", None)
    with SummaryWriter(str(tmp_path / "lent"), options=WriterOptions(copy=False)) as writer:
        writer.add_histogram("h", NORMAL, 0)
    with SummaryWriter(str(tmp_path / "bins")) as writer:
        writer.add_histogram("h", NORMAL, 0, bins="sqrt")
        writer.add_histogram("h", NORMAL, 1, bins=[0.0, 1.0])
    assert (writer.stats.written, writer.stats.failed) == (2, 0)
