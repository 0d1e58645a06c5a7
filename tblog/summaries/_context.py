"""The input of encoders, other than the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


def _ignore(_tag: str, _what: str, _count: int) -> None:
    """Ignore a report."""


class EncodeContext(NamedTuple):
    """The options of an encoder.

    Attributes:
        png_compress_level: zlib level of images, 0 (fast, large) to 9 (slow, small).
        report: called with the tag, a description of what was left out or changed, and its count.

    Example:
        >>> import numpy as np
        >>> from tblog import summaries
        >>> from tblog.records import HistogramRecord
        >>> record = HistogramRecord(tag="weights", values=np.array([1.0, np.nan]))
        >>> context = summaries.EncodeContext(report=lambda *report: print(report))
        >>> _ = summaries.encode(record, context)
        ('weights', 'histogram: values that are not finite were left out', 1)
    """

    png_compress_level: int = 1
    report: Callable[[str, str, int], None] = _ignore
