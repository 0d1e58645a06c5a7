"""Layouts are both originals'."""

from __future__ import annotations

import pytest
import tensorboardX.summary
import torch.utils.tensorboard.summary

from tblog.errors import InvalidTypeError, InvalidValueError
from tblog.records import CustomScalarsRecord
from tblog.summaries import check
from tests.encoded import one, parsed

LAYOUTS = [
    {},
    {"Loss": {"both": ["Multiline", ["loss/train", "loss/val"]]}},
    {
        "Loss": {"both": ("Multiline", ("loss/.*",))},
        "USA": {"dow": ["Margin", ["a", "b", "c"]], "no tags": ["Multiline", []]},
    },
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=["empty", "one chart", "several"])
def test_a_layout_is_the_originals(layout):
    """The same tag, layout and metadata as in both."""
    ours = one(CustomScalarsRecord(layout=layout))
    for module in (torch.utils.tensorboard.summary, tensorboardX.summary):
        assert ours == parsed(module.custom_scalars(layout)).value[0]


@pytest.mark.parametrize(
    "chart",
    [["Margin", ["a", "b"]], ["Multiline"], "Multiline", ["Multiline", "loss"], None],
)
def test_what_is_no_chart_is_refused(chart):
    """The message names the chart and shows both forms."""
    with pytest.raises(InvalidValueError, match=r"'Loss', 'both'.*Margin"):
        check(CustomScalarsRecord(layout={"Loss": {"both": chart}}))


@pytest.mark.parametrize(
    ("layout", "error"),
    [
        ("Loss", InvalidTypeError),
        ({"Loss": ["both"]}, InvalidTypeError),
        ({3: {}}, InvalidTypeError),
        ({"Loss": {None: ["Multiline", []]}}, InvalidTypeError),
        ({"Loss": {"both": ["Multiline", [3]]}}, InvalidTypeError),
        ({"Loss": {"both": ["Multiline", ["\ud800"]]}}, InvalidValueError),
    ],
    ids=repr,
)
def test_what_is_no_layout_is_refused(layout, error):
    """Categories, titles and tags are texts, in dicts."""
    with pytest.raises(error, match="custom scalars"):
        check(CustomScalarsRecord(layout=layout))
