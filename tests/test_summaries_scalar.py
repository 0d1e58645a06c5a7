"""Numbers in the originals' three forms."""

from __future__ import annotations

import numpy as np
import pytest
import tensorboardX.summary
import torch
import torch.utils.tensorboard.summary

from tblog.errors import InvalidTypeError, InvalidValueError
from tblog.records import DescribedScalarRecord, ScalarRecord, TensorScalarRecord
from tblog.summaries import check
from tests.encoded import one, parsed

NUMBERS = [0.5, 0.1, -3, 2**53 + 1, True, float("inf"), -0.0, 1e-45, np.float16(0.1), torch.tensor(0.1)]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_a_number_is_the_originals_simple_value(value):
    """Every kind of number gives the message of both originals."""
    ours = one(ScalarRecord(tag="s", value=value))
    assert ours == parsed(torch.utils.tensorboard.summary.scalar("s", value)).value[0]
    assert ours == parsed(tensorboardX.summary.scalar("s", value)).value[0]


def test_nan_is_logged():
    """A NaN loss is logged."""
    assert np.isnan(one(ScalarRecord(tag="s", value=float("nan"))).simple_value)


def test_a_number_beyond_float32_is_infinite():
    """A simple value is a float32, which has no 1e300."""
    assert one(ScalarRecord(tag="s", value=1e300)).simple_value == float("inf")


@pytest.mark.parametrize("double_precision", [False, True])
@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_a_tensor_scalar_is_torchs_new_style(value, double_precision):
    """`new_style=True` of torch, in both precisions."""
    record = TensorScalarRecord(tag="s", value=value, double_precision=double_precision)
    theirs = torch.utils.tensorboard.summary.scalar(
        "s", value, new_style=True, double_precision=double_precision
    )
    assert one(record) == parsed(theirs).value[0]


@pytest.mark.parametrize(
    ("name", "description"), [("A name", "What it *means*"), ("A name", ""), ("", "Why")]
)
def test_a_described_scalar_is_tensorboardxs(name, description):
    """Title and description are in the fields that tensorboardX uses."""
    record = DescribedScalarRecord(tag="s", value=0.5, display_name=name, description=description)
    assert one(record) == parsed(tensorboardX.summary.scalar("s", 0.5, name, description)).value[0]


@pytest.mark.parametrize(
    ("told", "error"),
    [({"display_name": True}, InvalidTypeError), ({"description": "\ud800"}, InvalidValueError)],
    ids=repr,
)
def test_a_title_or_description_that_is_no_text_is_refused(told, error):
    """The call raises, with the scalar's tag."""
    with pytest.raises(error, match="'s'"):
        check(DescribedScalarRecord(tag="s", value=1.0, **{"display_name": "", "description": "", **told}))
