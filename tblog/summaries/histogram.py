"""The distribution of an array, with the same counts as `numpy.histogram` on the same edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._require import require
from tblog._values.arrays import snapshot, to_numpy
from tblog._values.checks import check_real, plain_text
from tblog._wire import summaries
from tblog.errors import InvalidTypeError, InvalidValueError, shortened
from tblog.summaries._bins import tensorflow_bins, tensorflow_edges
from tblog.summaries._counting import Moments, count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tblog.records import CountedHistogramRecord, HistogramRecord, RawHistogramRecord
    from tblog.summaries._context import EncodeContext

__all__ = [
    "check_counted_histogram",
    "check_histogram",
    "check_raw_histogram",
    "encode_counted_histogram",
    "encode_histogram",
    "encode_raw_histogram",
    "tensorflow_bins",
]

NAMED_BINS = ("tensorflow", "auto", "doane", "fd", "rice", "scott", "sqrt", "stone", "sturges")
_MOST_BINS = 1_000_000


def check_histogram(record: HistogramRecord) -> None:
    """Check that the values are real numbers, and that `numpy.histogram` can use the bins.

    Raises:
        UnsupportedTypeError: the values are complex numbers, strings or objects.
        InvalidValueError: the bins are an unknown name, fewer than one, or edges that do not increase.
        InvalidTypeError: the bins or `max_bins` have another type.
    """
    check_real(record.values, f"histogram {record.tag!r}: the array")
    _check_bins(record.tag, record.bins)
    _check_max_bins(record.tag, record.max_bins)


def check_counted_histogram(record: CountedHistogramRecord) -> None:
    """Check `max_bins`.

    Raises:
        InvalidTypeError: it is neither an int nor None.
        InvalidValueError: it is below 1.
    """
    _check_max_bins(record.tag, record.max_bins)


def _check_max_bins(tag: str, max_bins: Any) -> None:
    what = f"histogram {tag!r}: max_bins"
    if max_bins is not None and not isinstance(max_bins, (int, np.integer)):
        raise InvalidTypeError(f"{what} was {shortened(max_bins)}; give an int or None")
    require(max_bins is None or bool(max_bins >= 1), what, max_bins, "1 or more")


def plain_bins(tag: str, bins: Any) -> str | int | NDArray[np.float64]:
    """Return a name, a number, or a copy of the edges as an array.

    Raises:
        InvalidTypeError: the bins have another type.
    """
    if isinstance(bins, str):
        return plain_text(bins)
    if isinstance(bins, (int, np.integer)):
        return int(bins)
    try:
        with np.errstate(over="ignore"):
            return to_numpy(snapshot(bins, tag)).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"histogram {tag!r}: bins was {shortened(bins)}; give a name, a number or edges"
        ) from error


def _check_bins(tag: str, bins: Any) -> None:
    what = f"histogram {tag!r}: bins"
    edges = plain_bins(tag, bins)
    if isinstance(edges, str):
        require(edges in NAMED_BINS, what, bins, f"one of {', '.join(NAMED_BINS)}, a number or edges")
        return
    if isinstance(edges, int):
        require(1 <= edges <= _MOST_BINS, what, bins, f"1 to {_MOST_BINS:,}")
        return
    if edges.ndim != 1 or len(edges) < 2 or not (edges[1:] >= edges[:-1]).all():
        raise InvalidValueError(
            f"{what} were edges of shape {edges.shape}; give two or more edges in increasing order"
        )


def has_tensorflow_bins(record: HistogramRecord) -> bool:
    """Return whether the bins are those that `_counting` knows, and `numpy.histogram` is not needed."""
    return isinstance(record.bins, str) and record.bins == "tensorflow"


def encode_histogram(record: HistogramRecord, context: EncodeContext) -> list[bytes]:
    """Encode a distribution. Values that are not finite are left out and reported."""
    values = to_numpy(record.values).ravel(order="K")
    return _encode(record, count(values, record.bins), values.size, context)


def encode_counted_histogram(record: CountedHistogramRecord, context: EncodeContext) -> list[bytes]:
    """Encode a distribution that was counted elsewhere."""
    figures = to_numpy(record.figures)
    counts, (number, *others) = figures[:-5].astype(np.int64), figures[-5:].tolist()
    return _encode(record, (counts, tensorflow_edges(), Moments(int(number), *others)), record.size, context)


def _encode(
    record: HistogramRecord | CountedHistogramRecord,
    counted: tuple[NDArray[np.int64], NDArray[np.float64], Moments],
    size: int,
    context: EncodeContext,
) -> list[bytes]:
    counts, edges, moments = counted
    dropped = size - moments.num
    if dropped:
        context.report(record.tag, "histogram: values that are not finite were left out", dropped)
    if record.max_bins is not None:
        counts, edges = _merge(counts, edges, record.max_bins)
    limits, bucket_counts = _support(counts, edges, moments)
    return [
        summaries.summary(
            record.tag,
            *summaries.histogram(
                limits,
                bucket_counts,
                min=moments.min if moments.num else 0.0,
                max=moments.max if moments.num else 0.0,
                num=moments.num,
                sum=moments.sum,
                sum_squares=moments.sum_squares,
            ),
        )
    ]


def _merge(
    counts: NDArray[np.int64], edges: NDArray[np.float64], max_bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Merge neighbouring bins by the integer ratio of their number and `max_bins`, as both originals do."""
    width = len(counts) // max_bins
    if width <= 1:
        return counts, edges
    starts = np.arange(0, len(counts), width)
    return np.add.reduceat(counts, starts), np.append(edges[starts], edges[-1])


def _support(
    counts: NDArray[np.int64], edges: NDArray[np.float64], moments: Moments
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return upper limits and counts, from the bin before the first non-empty one to the last.

    The first bin is empty. Its limit is the lower edge of the first non-empty bin. If no value is in any bin,
    a single bin has all of them.
    """
    full = np.flatnonzero(counts)
    if not full.size:
        return np.array([moments.max if moments.num else 0.0]), np.array([moments.num])
    first, last = int(full[0]), int(full[-1])
    return edges[first : last + 2], np.concatenate([[0], counts[first : last + 1]])


def check_raw_histogram(record: RawHistogramRecord) -> None:
    """Check that there are as many limits as counts. Otherwise TensorBoard rejects the rest of the file.

    Raises:
        InvalidValueError: their numbers differ.
        UnsupportedTypeError: they are not real numbers.
    """
    what = f"histogram {record.tag!r}"
    limits, counts = np.shape(record.bucket_limits), np.shape(record.bucket_counts)
    require(len(counts) == 1, f"{what}: the shape of bucket_counts", counts, "(n,), one count for each bin")
    wanted = f"{counts}, that of bucket_counts: the upper edge of each bin"
    require(limits == counts, f"{what}: the shape of bucket_limits", limits, wanted)
    check_real(np.asarray(record.bucket_limits), f"{what}: bucket_limits")
    check_real(np.asarray(record.bucket_counts), f"{what}: bucket_counts")


def encode_raw_histogram(record: RawHistogramRecord, _context: EncodeContext) -> list[bytes]:
    """Encode a histogram that the caller counted, unchanged."""
    return [
        summaries.summary(
            record.tag,
            *summaries.histogram(
                record.bucket_limits,
                record.bucket_counts,
                min=float(record.min),
                max=float(record.max),
                num=float(record.num),
                sum=float(record.sum),
                sum_squares=float(record.sum_squares),
            ),
        )
    ]
