"""Histograms count as numpy does on the same edges, and as both originals where those do not raise."""

from __future__ import annotations

import numpy as np
import pytest
import tensorboardX.summary
import torch
import torch.utils.tensorboard.summary
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tblog._values.arrays import snapshot
from tblog.errors import InvalidTypeError, InvalidValueError, UnsupportedTypeError
from tblog.records import HistogramRecord, RawHistogramRecord
from tblog.summaries import check
from tblog.summaries.histogram import tensorflow_bins
from tests.encoded import Reports, one, parsed

ORIGINALS = (torch.utils.tensorboard.summary, tensorboardX.summary)
EDGES = np.array(tensorflow_bins())
generator = np.random.default_rng(3)
NORMAL = generator.normal(size=3000)
SPREAD = NORMAL * np.exp(generator.normal(size=3000) * 12)

VALUES = {
    "float64": NORMAL,
    "float32": NORMAL.astype(np.float32),
    "float16": NORMAL.astype(np.float16),
    "spread over all bins": SPREAD,
    "float16, many": generator.normal(size=200_000).astype(np.float16),
    "float32, many": generator.normal(size=200_000).astype(np.float32),
    "int8, many": generator.integers(-128, 128, 100_000).astype(np.int8),
    "bool, many": generator.integers(0, 2, 100_000).astype(bool),
    "big-endian, many": generator.integers(-3000, 3000, 100_000).astype(">i2"),
    "denormals": np.concatenate([NORMAL * 1e-40, NORMAL * 1e-310]),
    "float32 denormals": (NORMAL * 1e-40).astype(np.float32),
    "the edges": EDGES,
    "just below the edges": np.nextafter(EDGES, -np.inf),
    "just above the edges": np.nextafter(EDGES, np.inf),
    "float32 at the edges": EDGES.astype(np.float32),
    "beyond the last edges": np.array([1e19, 1.0, -1e30, 1e300, -1.0]),
    "negative zero": np.array([-0.0, 0.0, -0.0, 1e-13, -1e-13]),
    "one value": np.array([0.7]),
    "one value, zero": np.zeros(5),
    "one value, many times": np.full(100_000, -2.5),
    "almost one value": np.concatenate([np.zeros(99_999), NORMAL, np.zeros(1)]),
    "zeros of both signs": np.resize(np.array([0.0, -0.0]), 50_001),
    "int8": np.arange(-128, 128, dtype=np.int8),
    "uint8": np.arange(256, dtype=np.uint8),
    "int16": generator.integers(-(2**15), 2**15, 500, dtype=np.int16),
    "uint16": generator.integers(0, 2**16, 500, dtype=np.uint16),
    "int32": generator.integers(-(2**31), 2**31, 500, dtype=np.int32),
    "uint32": generator.integers(0, 2**32, 500, dtype=np.uint32),
    "int64": generator.integers(-(2**63), 2**63 - 1, 500, dtype=np.int64),
    "uint64": generator.integers(0, 2**64, 500, dtype=np.uint64),
    "bool": NORMAL > 0,
    "longdouble": NORMAL.astype(np.longdouble),
    "three axes": NORMAL[:24].reshape(2, 3, 4),
    "no axis": np.array(3.5),
    "Fortran's order": np.asfortranarray(NORMAL[:12].reshape(3, 4)),
    "every other": NORMAL[::2],
}
BINS = ["tensorflow", "auto", "sqrt", 1, 30, [-1.0, 0.0, 0.5, 9.0], np.arange(-4, 5)]


def original(module, values, bins, max_bins=None):
    """Return the histogram that an original makes."""
    edges = tensorflow_bins() if isinstance(bins, str) and bins == "tensorflow" else bins
    return parsed(module.histogram("h", values, edges, max_bins)).value[0]


def assert_same(ours, theirs):
    """Compare counts, limits, smallest and largest exactly, sums as far as their order may differ."""
    assert ours.tag == theirs.tag
    assert list(ours.histo.bucket) == list(theirs.histo.bucket)
    assert list(ours.histo.bucket_limit) == list(theirs.histo.bucket_limit)
    assert (ours.histo.num, ours.histo.min, ours.histo.max) == (
        theirs.histo.num,
        theirs.histo.min,
        theirs.histo.max,
    )
    scale = np.sqrt(theirs.histo.sum_squares * theirs.histo.num)
    assert ours.histo.sum == pytest.approx(theirs.histo.sum, rel=1e-12, abs=1e-12 * scale)
    assert ours.histo.sum_squares == pytest.approx(theirs.histo.sum_squares, rel=1e-12)


@pytest.mark.parametrize("module", ORIGINALS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("kind", VALUES)
def test_histogram_is_the_originals(kind, module):
    """Every dtype, layout and range gives the counts, limits and moments of both originals."""
    with np.errstate(over="ignore"):
        theirs = original(module, VALUES[kind], "tensorflow")
        assert_same(one(HistogramRecord(tag="h", values=VALUES[kind])), theirs)


@pytest.mark.parametrize("max_bins", [None, 1, 7, 64, 1000, 5000])
@pytest.mark.parametrize("bins", BINS, ids=str)
def test_bins_and_their_merging_are_the_originals(bins, max_bins):
    """Named bins, a number of bins and edges give the original's counts, merged to `max_bins` as well."""
    record = HistogramRecord(tag="h", values=NORMAL, bins=bins, max_bins=max_bins)
    assert_same(one(record), original(torch.utils.tensorboard.summary, NORMAL, bins, max_bins))


def test_default_bins_are_the_originals(tmp_path):
    """The 1,549 edges are those of both writers' `default_bins`, bit by bit."""
    for writer_class in (torch.utils.tensorboard.SummaryWriter, tensorboardX.SummaryWriter):
        with writer_class(str(tmp_path)) as writer:
            assert writer.default_bins == tensorflow_bins()


FLOATS = {
    np.float16: st.floats(width=16, allow_nan=False, allow_infinity=False),
    np.float32: st.floats(width=32, allow_nan=False, allow_infinity=False),
    np.float64: st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(EDGES.tolist())
    | st.floats(-1e21, 1e21),
}


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_counts_are_numpys_for_any_values(dtype):
    """Whatever the values, the bins hold as many as `numpy.histogram` finds in them."""

    @settings(max_examples=150, deadline=None)
    @given(arrays.arrays(dtype, st.integers(1, 40), elements=FLOATS[dtype]))
    def counts_agree(values):
        counts, _ = np.histogram(values.astype(np.float64), EDGES)
        histogram = one(HistogramRecord(tag="h", values=values)).histo
        upper = dict(zip(EDGES[1:], counts, strict=True))
        assert len(histogram.bucket) == len(histogram.bucket_limit)
        assert histogram.num == values.size
        if counts.any():
            found = dict(zip(histogram.bucket_limit, histogram.bucket, strict=True))
            assert {limit: count for limit, count in found.items() if count} == {
                limit: count for limit, count in upper.items() if count
            }

    counts_agree()


@pytest.mark.parametrize("size", [3, 100_000])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_not_finite_is_left_out_and_reported(dtype, size):
    """NaN and infinities are counted in the report, and the rest is logged as if they were not there."""
    values = np.resize(np.array([0.5, -1.25, 3.0]), size).astype(dtype)
    mixed = np.concatenate([values, np.array([np.nan, np.inf, -np.inf, np.nan], dtype)])
    reports = Reports()
    histogram = one(HistogramRecord(tag="h", values=mixed), reports)
    assert_same(histogram, one(HistogramRecord(tag="h", values=values)))
    assert [(tag, count) for tag, _, count in reports] == [("h", 4)]


@pytest.mark.parametrize("bins", ["tensorflow", "auto", 4, [0.0, 1.0]], ids=str)
@pytest.mark.parametrize("values", [[], [np.nan, np.inf]], ids=["empty", "not finite"])
def test_nothing_to_count_is_an_empty_histogram(values, bins):
    """Where both originals raise, one empty bin is logged, which TensorBoard shows as nothing."""
    histogram = one(HistogramRecord(tag="h", values=np.array(values), bins=bins), Reports()).histo
    assert (histogram.num, histogram.min, histogram.max, histogram.sum) == (0, 0, 0, 0)
    assert (list(histogram.bucket), list(histogram.bucket_limit)) == ([0], [0])


@pytest.mark.parametrize(
    ("values", "bins"),
    [([2.0**60] * 3, 1), ([1e300] * 3, "auto"), ([0, 5e-324], 10), ([-1.7e308, 1.7e308], 10)],
    ids=str,
)
def test_values_between_which_no_edges_fit_are_one_bin(values, bins):
    """Both `numpy.histogram` and the originals fail on them."""
    histogram = one(HistogramRecord(tag="h", values=np.array(values), bins=bins)).histo
    assert histogram.bucket_limit == [min(values), max(values)]
    assert histogram.bucket == [0, len(values)]


@pytest.mark.parametrize(("values", "bins"), [([1e30, 2e30], "tensorflow"), ([5.0, 6.0], [0, 1, 2])], ids=str)
def test_values_outside_all_bins_are_one_bin(values, bins):
    """Where both originals raise because no value is in a bin, one bin up to the largest holds them all."""
    histogram = one(HistogramRecord(tag="h", values=np.array(values), bins=bins)).histo
    assert (list(histogram.bucket), list(histogram.bucket_limit)) == ([2], [max(values)])
    assert (histogram.num, histogram.min, histogram.max) == (2, min(values), max(values))


def test_bfloat16_is_counted_exactly():
    """Values beyond float16's range, which torch logs as infinite, are in their bins."""
    tensor = torch.tensor([1e5, -3e38, 1e-30, 1.0], dtype=torch.bfloat16)
    histogram = one(HistogramRecord(tag="h", values=snapshot(tensor, "h")))
    assert_same(histogram, original(torch.utils.tensorboard.summary, tensor.double().numpy(), "tensorflow"))


def test_values_are_not_changed():
    """Encoding reads the array and writes nothing into it."""
    values = NORMAL.copy()
    one(HistogramRecord(tag="h", values=values))
    assert (values == NORMAL).all()


@pytest.mark.parametrize(
    ("values", "bins", "max_bins", "error"),
    [
        (np.array([1j]), "tensorflow", None, UnsupportedTypeError),
        (np.array(["a"]), "tensorflow", None, UnsupportedTypeError),
        (torch.zeros(2, dtype=torch.complex64), "tensorflow", None, UnsupportedTypeError),
        (NORMAL, "automatic", None, InvalidValueError),
        (NORMAL, 0, None, InvalidValueError),
        (NORMAL, [1.0], None, InvalidValueError),
        (NORMAL, [1.0, 0.0], None, InvalidValueError),
        (NORMAL, [[1.0, 2.0]], None, InvalidValueError),
        (NORMAL, 2.5, None, InvalidValueError),
        (NORMAL, {}, None, InvalidTypeError),
        (NORMAL, "tensorflow", 0, InvalidValueError),
        (NORMAL, "tensorflow", 2.0, InvalidTypeError),
    ],
)
def test_what_cannot_be_counted_is_refused(values, bins, max_bins, error):
    """Wrong dtypes, bins and limits raise at the call, with the tag."""
    with pytest.raises(error, match="'h'"):
        check(HistogramRecord(tag="h", values=values, bins=bins, max_bins=max_bins))


@pytest.mark.parametrize("sequence", [list, tuple, np.array])
def test_a_raw_histogram_is_written_as_given(sequence):
    """Limits and counts of lists, tuples and arrays are the original's message."""
    numbers = {"min": 0.0, "max": 5.0, "num": 10, "sum": 25.0, "sum_squares": 125.0}
    limits, counts = sequence([1.0, 2.0, 5.0]), sequence([3, 3, 4])
    record = RawHistogramRecord(tag="h", bucket_limits=limits, bucket_counts=counts, **numbers)
    theirs = torch.utils.tensorboard.summary.histogram_raw(
        "h", **numbers, bucket_limits=[1.0, 2.0, 5.0], bucket_counts=[3, 3, 4]
    )
    assert one(record) == theirs.value[0]


def test_as_many_limits_as_counts_are_demanded():
    """A raw histogram of another number of limits than counts is refused."""
    record = RawHistogramRecord(
        tag="h", min=0, max=1, num=1, sum=1, sum_squares=1, bucket_limits=[0.0, 1.0], bucket_counts=[1]
    )
    with pytest.raises(InvalidValueError, match="'h'"):
        check(record)
