"""What is done to the values of one curve: thinning and smoothing. Pure functions."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray


def thin(values: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Return which of many values to keep, `n` at most: both ends, and the extremes of each bucket between them."""
    if len(values) <= n:
        return np.arange(len(values))
    buckets = (n - 2) // 2
    edges = 1 + np.arange(buckets + 1) * (len(values) - 2) // buckets
    is_number = ~np.isnan(values)
    kept = [np.array([0, len(values) - 1])]
    for empty, find in ((np.inf, np.minimum), (-np.inf, np.maximum)):
        filled = np.where(is_number, values, empty)
        extremes = find.reduceat(filled[:-1], edges[:-1])
        of_bucket = np.repeat(np.arange(buckets), np.diff(edges))
        inner = np.arange(1, len(values) - 1)
        hits = inner[(filled[1:-1] == extremes[of_bucket])]
        _, first = np.unique(of_bucket[hits - 1], return_index=True)
        kept.append(hits[first])
    return np.unique(np.concatenate(kept))


def smooth(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Return the debiased exponential mean, in the order of TensorBoard's own sums.

    https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/webapp/widgets/line_chart_v2/lib/ (smoothing)
    """
    is_finite = np.isfinite(values)
    numbers = values[is_finite]
    if not weight or not len(values) or (values == values[0]).all():
        return values.copy()
    kept = 1 - weight
    means = itertools.accumulate(
        (numbers * kept).tolist(), lambda last, new: last * weight + new, initial=0.0
    )
    smoothed = values.copy()
    smoothed[is_finite] = np.fromiter(means, np.float64, len(numbers) + 1)[1:]
    if weight < 1:
        smoothed[is_finite] /= 1 - weight ** np.arange(1, len(numbers) + 1)
    return smoothed
