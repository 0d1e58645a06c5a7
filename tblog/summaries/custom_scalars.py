"""The layout of the Custom Scalars page."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping
from typing import TYPE_CHECKING, Any

from tblog._values.checks import check_text
from tblog.errors import InvalidTypeError, InvalidValueError, shortened

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

    from tblog.records import CustomScalarsRecord
    from tblog.summaries._context import EncodeContext


def check_custom_scalars(record: CustomScalarsRecord) -> None:
    """Check that each chart is a pair of its type and its tags. A margin chart has three tags.

    Raises:
        InvalidTypeError: the layout is not a dict of dicts, or a name in it is not a string.
        InvalidValueError: a chart is not such a pair, or UTF-8 cannot encode a name.
    """
    for category, charts in _items(record.layout, record):
        check_text(category, "custom scalars: a category")
        for title, chart in _items(charts, record):
            check_text(title, "custom scalars: a title")
            if not _is_chart(chart):
                raise InvalidValueError(
                    f"custom scalars: the chart {category!r}, {title!r} was {shortened(chart)}; give "
                    '["Multiline", [tag, ...]] or ["Margin", [value, lower, upper]]'
                )
            for tag in chart[1]:
                check_text(tag, f"custom scalars: a tag of the chart {category!r}, {title!r}")


def _items(layer: Any, record: CustomScalarsRecord) -> ItemsView[Any, Any]:
    if not isinstance(layer, Mapping):
        raise InvalidTypeError(
            f"custom scalars: the layout was {shortened(record.layout)}; give {{category: {{title: chart}}}}"
        )
    return layer.items()


def _is_chart(chart: Any) -> bool:
    if not isinstance(chart, (list, tuple)) or len(chart) != 2 or not isinstance(chart[1], (list, tuple)):
        return False
    kind, tags = chart
    return kind != "Margin" or len(tags) == 3


def encode_custom_scalars(record: CustomScalarsRecord, _context: EncodeContext) -> list[Summary]:
    """Encode a layout under the tag that the page reads."""
    from tensorboardX import summary

    return [summary.custom_scalars(record.layout)]
