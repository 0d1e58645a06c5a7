"""Histograms: edges and counts, from old-style and new-style summaries."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._wire import parsing as wire
from tblog._wire.parsing import MalformedError
from tblog.reading import _events
from tblog.reading._items import Item
from tblog.reading.tensors import array_of

_STATISTICS = {1: "min", 2: "max", 3: "num", 4: "sum", 5: "sum_squares"}


class HistogramProto(NamedTuple):
    """An old-style histogram as it is in the file, with the names of EventAccumulator."""

    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    bucket_limit: NDArray[np.float64]
    bucket: NDArray[np.float64]


class Histogram(Item):
    """A histogram: `counts` values lie in each bucket between neighbours of `edges`.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_histogram("weights", [0.0, 0.5, 1.0, 1.0], 1, bins="auto")
        >>> (weights,) = tblog.read("runs").histograms
        >>> weights.edges.round(2), weights.counts
        (array([0. , 0.33, 0.67, 1. ]), array([1., 1., 2.]))
        >>> weights.proto.sum
        2.5
    """

    @property
    def proto(self) -> HistogramProto | None:
        """The fields of an old-style summary, with its statistics; None for a new-style one, which has only buckets."""
        return self._decoded(lambda form, content: _proto(content) if form == _events.HISTOGRAM else None)

    @property
    def buckets(self) -> NDArray[np.float64]:
        """Left edge, right edge and count of each bucket, float64 (buckets, 3), as TensorBoard shows them.

        The outer edges of an old-style histogram are the smallest and the largest value, and its empty buckets
        at both ends are left out.
        """
        return self._decoded(_buckets)

    @property
    def edges(self) -> NDArray[np.float64]:
        """The edges, (buckets + 1,)."""
        buckets = self.buckets
        return np.concatenate([buckets[:, 0], buckets[-1:, 1]])

    @property
    def counts(self) -> NDArray[np.float64]:
        """The counts, (buckets,)."""
        return self.buckets[:, 2]


def _buckets(form: int, content: bytes) -> NDArray[np.float64]:
    if form == _events.HISTOGRAM:
        return _as_tensorboard(_proto(content))
    array: NDArray[Any] = array_of(form, content)
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "fiu" or len(array) > len(content):
        raise MalformedError(f"a tensor {array.shape} of {array.dtype} has no buckets (n, 3)")
    return array.astype(np.float64)


def _proto(content: bytes) -> HistogramProto:
    found = dict.fromkeys(_STATISTICS.values(), 0.0)
    for field in wire.fields(content):
        if field.key in _STATISTICS and field.wire == wire.FIXED64:
            found[_STATISTICS[field.key]] = wire.double(content, field.start)
    limits, counts = (wire.fixed_numbers(content, number, "<f8").astype(np.float64) for number in (6, 7))
    return HistogramProto(**found, bucket_limit=limits, bucket=counts)


def _as_tensorboard(proto: HistogramProto) -> NDArray[np.float64]:
    # https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/data_compat.py, _migrate_histogram_value
    filled = np.flatnonzero(proto.bucket > 0)
    if not len(filled):
        return np.empty((0, 3))
    if len(proto.bucket_limit) < filled[-1]:
        raise MalformedError(f"{len(proto.bucket)} buckets have {len(proto.bucket_limit)} limits")
    first, last = filled[0], filled[-1]
    inner = proto.bucket_limit[first:last]
    lefts, rights = np.append(proto.min, inner), np.append(inner, proto.max)
    return np.stack([lefts, rights, proto.bucket[first : last + 1]], axis=1)
