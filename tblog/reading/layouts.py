"""Layouts of the custom scalars page: which tags it draws in which chart.

https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/custom_scalar/layout.proto
"""

from __future__ import annotations

from dataclasses import dataclass

from tblog._wire import parsing as wire
from tblog.reading._items import Item
from tblog.reading.tensors import strings_of


@dataclass
class Margin:
    """Three tags: a curve, and the lower and upper end of a band around it.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_custom_scalars({"Loss": {"test": ["Margin", ["mean", "low", "high"]]}})
        >>> (layout,) = tblog.read("runs").layouts
        >>> layout.categories[0].charts[0].margins
        [Margin(value='mean', lower='low', upper='high')]
    """

    value: str
    lower: str
    upper: str


@dataclass
class Chart:
    """One chart: curves of all tags that match `tags` (regular expressions), or bands.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_custom_scalars({"Loss": {"both": ["Multiline", ["loss/.*"]]}})
        >>> (layout,) = tblog.read("runs").layouts
        >>> layout.categories[0].charts
        [Chart(title='both', tags=['loss/.*'], margins=[])]
    """

    title: str
    tags: list[str]
    margins: list[Margin]


@dataclass
class Category:
    """Charts under one title. A `closed` category is folded at first.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_custom_scalars({"Loss": {"both": ["Multiline", ["loss/.*"]]}})
        >>> (layout,) = tblog.read("runs").layouts
        >>> [(category.title, len(category.charts), category.closed) for category in layout.categories]
        [('Loss', 1, False)]
    """

    title: str
    charts: list[Chart]
    closed: bool


class Layout(Item):
    """The layout that a run gives for the custom scalars page.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_custom_scalars({"Loss": {"both": ["Multiline", ["loss/.*"]]}})
        >>> (layout,) = tblog.read("runs").layouts
        >>> [chart.title for category in layout.categories for chart in category.charts]
        ['both']
    """

    @property
    def categories(self) -> list[Category]:
        """The page's categories, from top to bottom."""
        return self._decoded(_categories)


def _categories(form: int, content: bytes) -> list[Category]:
    texts = strings_of(form, content)
    return [_category(raw) for raw in wire.messages(texts[0] if texts else b"", 2)]


def _category(raw: bytes) -> Category:
    closed = any(f.key == 3 and f.wire == wire.VARINT and f.number for f in wire.fields(raw))
    return Category(_text(raw, 1), [_chart(one) for one in wire.messages(raw, 2)], closed)


def _chart(raw: bytes) -> Chart:
    tags = [wire.text(tag) for lines in wire.messages(raw, 2) for tag in wire.messages(lines, 1)]
    series = [one for margin in wire.messages(raw, 3) for one in wire.messages(margin, 1)]
    return Chart(_text(raw, 1), tags, [Margin(_text(one, 1), _text(one, 2), _text(one, 3)) for one in series])


def _text(raw: bytes, number: int) -> str:
    return wire.text(wire.message(raw, number) or b"")
