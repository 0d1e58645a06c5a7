"""Texts equal the originals', whatever they are made from."""

from __future__ import annotations

import pytest
import tensorboardX.summary
import torch.utils.tensorboard.summary

from tblog import SummaryWriter
from tblog.errors import InvalidTypeError
from tblog.records import TextRecord
from tests.encoded import one, parsed


@pytest.mark.parametrize(
    "text", ["", "plain", "# Title\n\n|a|b|\n|-|-|\n|1|2|", "Grüße, 你好, 🙂", "\0", "x" * 100_000]
)
def test_a_text_is_the_originals(text):
    """The same tag, tensor and metadata as in both."""
    ours = one(TextRecord(tag="a tag/of text", text=text))
    for module in (torch.utils.tensorboard.summary, tensorboardX.summary):
        assert ours == parsed(module.text("a tag/of text", text)).value[0]


@pytest.mark.parametrize("given", [3, {"lr": 0.1}, None, ["a"]])
def test_anything_is_logged_as_its_str(given):
    """Other objects are converted to strings; both originals raise."""
    assert one(TextRecord(tag="t", text=given)) == one(TextRecord(tag="t", text=str(given)))


def test_half_a_surrogate_is_a_question_mark():
    """A string that is not valid UTF-8 is logged as far as possible; both originals raise."""
    assert one(TextRecord(tag="t", text="a\ud800b")).tensor.string_val == [b"a?b"]


def test_an_object_whose_str_raises_is_refused_in_the_call(tmp_path):
    """The error names the tag and the original exception; the same holds for a label."""

    class Unfinished:
        def __str__(self):
            raise AttributeError("no name yet\nand more lines")

    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(
            InvalidTypeError, match=r"text 'notes' was a Unfinished .*: no name yet; give a str"
        ):
            writer.add_text("notes", Unfinished())
        with pytest.raises(InvalidTypeError, match=r"a label was a Unfinished .*; give a str"):
            writer.add_embedding([[1.0]], metadata=[Unfinished()])
