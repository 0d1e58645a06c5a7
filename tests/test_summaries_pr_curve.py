"""PR curves equal both originals', and whatever those drop silently is reported."""

from __future__ import annotations

import numpy as np
import pytest
import tensorboardX.summary
import torch.utils.tensorboard.summary

from tblog.errors import InvalidTypeError, InvalidValueError, UnsupportedTypeError
from tblog.records import PrCurveRecord, RawPrCurveRecord
from tblog.summaries import check
from tests.encoded import Reports, one, parsed

ORIGINALS = (torch.utils.tensorboard.summary, tensorboardX.summary)
generator = np.random.default_rng(2)
LABELS = generator.integers(0, 2, 300)
PREDICTIONS = generator.random(300)
WEIGHTS = generator.random(300)


@pytest.mark.parametrize("module", ORIGINALS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("weights", [None, 2.0, WEIGHTS], ids=["none", "one", "each"])
@pytest.mark.parametrize("thresholds", [1, 2, 50, 127, 200])
def test_a_curve_is_the_originals(thresholds, weights, module):
    """Counts, precision and recall at every number of thresholds, weighted or not."""
    record = PrCurveRecord(
        tag="p", labels=LABELS, predictions=PREDICTIONS, num_thresholds=thresholds, weights=weights
    )
    assert one(record) == parsed(module.pr_curve("p", LABELS, PREDICTIONS, thresholds, weights)).value[0]


@pytest.mark.parametrize("shape", [(300,), (20, 15), (300, 1)])
@pytest.mark.parametrize("label_type", [np.int8, bool, np.float32])
@pytest.mark.parametrize("prediction_type", [np.float16, np.float32])
def test_dtypes_and_shapes_are_as_in_the_originals(prediction_type, label_type, shape):
    """Labels of any dtype, predictions in their own precision, any number of axes."""
    labels, predictions = (
        LABELS.astype(label_type).reshape(shape),
        PREDICTIONS.astype(prediction_type).reshape(shape),
    )
    theirs = torch.utils.tensorboard.summary.pr_curve("p", labels, predictions)
    assert one(PrCurveRecord(tag="p", labels=labels, predictions=predictions)) == parsed(theirs).value[0]


@pytest.mark.parametrize("weights", [None, WEIGHTS[:5]], ids=["none", "each"])
def test_predictions_out_of_range_are_left_out_and_reported(weights):
    """Predictions beyond [0, 1], and NaN, do not count, as in the originals, and are reported."""
    labels, predictions = LABELS[:5], np.array([0.2, -0.5, 1.5, np.nan, 1.0])
    reports = Reports()
    ours = one(PrCurveRecord(tag="p", labels=labels, predictions=predictions, weights=weights), reports)
    kept = [0, 4]
    expected = PrCurveRecord(
        tag="p",
        labels=labels[kept],
        predictions=predictions[kept],
        weights=None if weights is None else weights[kept],
    )
    assert ours == one(expected)
    assert [(tag, count) for tag, _, count in reports] == [("p", 3)]


@pytest.mark.parametrize("module", ORIGINALS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("thresholds", [5, 127, 200])
def test_a_raw_curve_is_the_originals(thresholds, module):
    """Six curves are written as given."""
    curves = generator.random((6, thresholds))
    names = ["true_positive_counts", "false_positive_counts", "true_negative_counts", "false_negative_counts"]
    named = dict(zip([*names, "precision", "recall"], curves, strict=True))
    ours = one(RawPrCurveRecord(tag="p", num_thresholds=thresholds, **named))
    assert ours == parsed(module.pr_curve_raw("p", *curves, num_thresholds=thresholds)).value[0]


def test_what_is_no_curve_is_refused():
    """Different shapes, no thresholds, complex predictions, and weights that are not numbers."""
    good = {"tag": "p", "labels": LABELS, "predictions": PREDICTIONS}
    for wrong in (
        {"labels": LABELS[:-1]},
        {"labels": LABELS[:, None]},
        {"num_thresholds": 0},
        {"weights": np.ones(len(LABELS) + 1)},
        {"weights": np.array([])},
    ):
        with pytest.raises(InvalidValueError, match="'p'"):
            check(PrCurveRecord(**{**good, **wrong}))
    with pytest.raises(UnsupportedTypeError, match="'p'"):
        check(PrCurveRecord(**{**good, "predictions": PREDICTIONS * 1j}))
    with pytest.raises(UnsupportedTypeError, match="weights"):
        check(PrCurveRecord(**good, weights=np.array(["a"])))
    with pytest.raises(InvalidTypeError, match="num_thresholds"):
        check(PrCurveRecord(**good, num_thresholds=True))


def test_a_raw_curve_of_different_lengths_is_refused():
    """All six must have the same length."""
    with pytest.raises(InvalidValueError, match=r"'p'.*recall"):
        check(
            RawPrCurveRecord(
                tag="p",
                true_positive_counts=np.zeros(5),
                false_positive_counts=np.zeros(5),
                true_negative_counts=np.zeros(5),
                false_negative_counts=np.zeros(5),
                precision=np.zeros(5),
                recall=np.zeros(4),
            )
        )
