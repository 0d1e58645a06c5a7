"""Precision-recall curves, from predictions or from the caller's counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._require import require
from tblog._values.arrays import to_numpy
from tblog._values.checks import check_real, shape_of
from tblog._wire import summaries
from tblog._wire.fields import number
from tblog.errors import InvalidTypeError, shortened
from tblog.summaries._tensors import tensor_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tblog.records import PrCurveRecord, RawPrCurveRecord
    from tblog.summaries._context import EncodeContext

_MOST_THRESHOLDS = 127  # both originals' limit
_LEAST_COUNT = 1e-7  # both originals divide by this instead of zero
_NUM_THRESHOLDS = 2  # of PrCurvePluginData, tensorboard/plugins/pr_curve/plugin_data.proto
_RAW_CURVES = (
    "true_positive_counts",
    "false_positive_counts",
    "true_negative_counts",
    "false_negative_counts",
    "precision",
    "recall",
)


def check_pr_curve(record: PrCurveRecord) -> None:
    """Check that labels, predictions and weights have one shape, and that there are thresholds.

    Raises:
        InvalidTypeError: the number of thresholds is not an int.
        InvalidValueError: shapes differ, or there is no threshold.
        UnsupportedTypeError: an array does not hold real numbers.
    """
    what = f"PR curve {record.tag!r}"
    check_real(record.labels, f"{what}: labels")
    check_real(record.predictions, f"{what}: predictions")
    _check_thresholds(record.num_thresholds, what)
    labels, predictions = shape_of(record.labels), shape_of(record.predictions)
    if labels is not None and predictions is not None:
        wanted = f"that of predictions, {predictions}"
        require(labels == predictions, f"{what}: the shape of labels", labels, wanted)
    if record.weights is not None and not isinstance(record.weights, (int, float)):
        check_real(record.weights, f"{what}: weights")
        weights = shape_of(record.weights)
        if weights is not None and labels is not None:
            fits = _is_broadcastable(weights, labels)
            require(
                fits, f"{what}: the shape of weights", weights, f"one for all, or that of labels, {labels}"
            )


def encode_pr_curve(record: PrCurveRecord, context: EncodeContext) -> list[bytes]:
    """Encode a curve at evenly spaced thresholds. Predictions outside [0, 1] are left out and reported."""
    labels, predictions = to_numpy(record.labels), to_numpy(record.predictions)
    weights = 1.0 if record.weights is None else record.weights
    thresholds = min(record.num_thresholds, _MOST_THRESHOLDS)
    bucket = np.floor(predictions * (thresholds - 1))
    counted = (bucket >= 0) & (bucket <= thresholds - 1)
    if not counted.all():
        left_out = int(np.count_nonzero(~counted))
        context.report(record.tag, "PR curve: predictions outside [0, 1] were left out", left_out)
        weights = np.broadcast_to(_plain(weights), labels.shape)[counted]
        labels, predictions = labels[counted], predictions[counted]
        bucket = bucket[counted]
    return [_summary(record.tag, _curves(labels, bucket, thresholds, _plain(weights)), thresholds)]


def _curves(labels: NDArray[Any], bucket: NDArray[Any], thresholds: int, weights: Any) -> list[NDArray[Any]]:
    """Return the six curves at each threshold, from the number of the threshold at or below each prediction."""
    true = labels.astype(float)
    positives = []
    for share in (true, 1.0 - true):
        at, _ = np.histogram(np.int32(bucket), thresholds, (0, thresholds - 1), weights=share * weights)
        positives.append(np.cumsum(at[::-1])[::-1])  # those at a threshold and above
    tp, fp = positives
    tn, fn = fp[0] - fp, tp[0] - tp
    precision, recall = (tp / np.maximum(_LEAST_COUNT, tp + others) for others in (fp, fn))
    return [tp, fp, tn, fn, precision, recall]


def _summary(tag: str, curves: Sequence[NDArray[Any]], thresholds: int) -> bytes:
    data = np.stack(curves).astype(np.float64).astype(np.float32)
    return summaries.summary(
        tag, *tensor_field(data), summaries.metadata("pr_curves", number(_NUM_THRESHOLDS, thresholds))
    )


def check_raw_pr_curve(record: RawPrCurveRecord) -> None:
    """Check that the six curves have the same length.

    Raises:
        InvalidTypeError: the number of thresholds is not an int.
        InvalidValueError: the lengths differ.
        UnsupportedTypeError: a curve does not hold real numbers.
    """
    _check_thresholds(record.num_thresholds, f"PR curve {record.tag!r}")
    first: tuple[int, ...] | None = None
    for name in _RAW_CURVES:
        curve = getattr(record, name)
        what = f"PR curve {record.tag!r}: {name}"
        check_real(curve, what)
        shape = shape_of(curve)
        if shape is not None:
            first = first or shape
            fits = len(shape) == 1 and shape == first
            require(fits, f"{what}: the shape", shape, "(num_thresholds,), the same for all six")


def encode_raw_pr_curve(record: RawPrCurveRecord, _context: EncodeContext) -> list[bytes]:
    """Encode a curve that the caller counted, unchanged."""
    curves = [to_numpy(getattr(record, name)) for name in _RAW_CURVES]
    return [_summary(record.tag, curves, min(record.num_thresholds, _MOST_THRESHOLDS))]


def _check_thresholds(number: Any, what: str) -> None:
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        raise InvalidTypeError(f"{what}: num_thresholds was {shortened(number)}; give an int")
    require(bool(number >= 1), f"{what}: num_thresholds", number, "1 to 127")


def _is_broadcastable(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _plain(weights: Any) -> Any:
    return weights if isinstance(weights, (int, float)) else to_numpy(weights)
