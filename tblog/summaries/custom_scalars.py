"""The layout of the Custom Scalars page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tblog.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

    from tblog.records import CustomScalarsRecord
    from tblog.summaries import EncodeContext


def check_custom_scalars(record: CustomScalarsRecord) -> None:
    """Check that each chart is a pair of its type and its tags, three of them in a margin chart.

    Raises:
        InvalidTypeError: the layout is no dict of dicts whose keys are strings.
        InvalidValueError: a chart is no such pair.
    """
    for layer in (record.layout, *_values(record.layout)):
        if not isinstance(layer, Mapping) or not all(isinstance(key, str) for key in layer):
            raise InvalidTypeError(
                f"custom scalars: the layout was {record.layout!r}; give {{category: {{title: chart}}}}"
            )
    for category, charts in record.layout.items():
        for title, chart in charts.items():
            if not _is_chart(chart):
                raise InvalidValueError(
                    f"custom scalars: the chart {category!r}, {title!r} was {chart!r}; give "
                    '["Multiline", [tag, ...]] or ["Margin", [value, lower, upper]]'
                )


def _values(layout: Any) -> list[Any]:
    return list(layout.values()) if isinstance(layout, Mapping) else []


def _is_chart(chart: Any) -> bool:
    if not isinstance(chart, (list, tuple)) or len(chart) != 2 or not isinstance(chart[1], (list, tuple)):
        return False
    kind, tags = chart
    return all(isinstance(tag, str) for tag in tags) and (kind != "Margin" or len(tags) == 3)


def encode_custom_scalars(record: CustomScalarsRecord, _context: EncodeContext) -> list[Summary]:
    """Encode a layout under the one tag that the page looks for."""
    from tensorboardX import summary

    return [summary.custom_scalars(record.layout)]
