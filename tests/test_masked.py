"""Masked arrays: masked elements are not values, in any kind; docs/differences.md says what the originals do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorboardX
import torch
import torch.utils.tensorboard

from tblog import SummaryWriter
from tblog._values.arrays import snapshot
from tblog.errors import UnsupportedTypeError
from tests.encoded import pixels, samples
from tests.reading import points, run_events

FULLY = np.ma.masked_array([0.0, 1.0], [True, True])
PARTLY = np.ma.masked_array([1.0, 2.0, 3.0, 100.0], [False, False, False, True])


def value(tmp_path, log):
    """Log with a new writer, which leaves nothing out, and return the first value that it wrote."""
    with SummaryWriter(tmp_path) as writer:
        log(writer)
    assert writer.stats.values_left_out == writer.stats.failed == 0
    return run_events(tmp_path)[0].summary.value[0]


@pytest.mark.filterwarnings("ignore:Warning. converting a masked element")
@pytest.mark.parametrize(
    "masked",
    [FULLY.mean(), np.ma.masked, np.ma.masked_array([7], [True]), np.ma.masked_array(7.0, True)],
    ids=["mean", "masked", "integer", "0-d"],
)
@pytest.mark.parametrize(
    "original",
    [torch.utils.tensorboard.SummaryWriter, tensorboardX.SummaryWriter],
    ids=["torch", "tensorboardX"],
)
def test_a_masked_scalar_is_nan_as_in_the_originals(masked, original, tmp_path):
    """The mean of a fully masked array is not zero."""
    with SummaryWriter(tmp_path / "ours") as writer:
        writer.add_scalar("x", masked, 1)
        writer.add_scalar("told", masked, 1, summary_description="described")
        writer.add_scalar_dict({"in a dict": masked}, 1)
        writer.add_scalar("x", PARTLY.mean(), 2)
    with original(str(tmp_path / "theirs")) as writer:
        writer.add_scalar("x", masked, 1)
        writer.add_scalar("x", PARTLY.mean(), 2)
    ours, theirs = points(tmp_path / "ours"), points(tmp_path / "theirs")
    for series in (ours["x"], ours["told"], ours["in a dict"], theirs["x"]):
        assert series[0][0] == 1
        assert math.isnan(series[0][1])
    assert ours["x"][1] == theirs["x"][1] == (2, 2.0)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
@pytest.mark.parametrize("bins", ["tensorflow", "auto", [0.0, 2.5, 200.0]], ids=str)
def test_a_histogram_is_that_of_what_is_not_masked(dtype, bins, tmp_path):
    """Masked values are in no bin, extreme or sum, and are not reported."""
    masked = value(
        tmp_path / "masked", lambda writer: writer.add_histogram("h", PARTLY.astype(dtype), 1, bins)
    )
    plain = value(tmp_path / "plain", lambda writer: writer.add_histogram("h", np.arange(1, 4), 1, bins))
    assert masked == plain
    assert masked.histo.num == 3


def test_a_histogram_of_what_is_masked_altogether_is_empty(tmp_path):
    """Like a histogram without values."""
    assert value(tmp_path, lambda writer: writer.add_histogram("h", FULLY)).histo.num == 0


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_masked_pixels_are_black(dtype, tmp_path):
    """In pictures of bytes and of floats, and in each picture of a list."""
    image = np.ma.masked_array(np.ones((3, 4, 5), dtype) * (255 if dtype is np.uint8 else 1), mask=False)
    image[:, 0, 0] = np.ma.masked
    wanted = np.full((4, 5), 255)
    wanted[0, 0] = 0
    one = value(tmp_path / "one", lambda writer: writer.add_image("i", image))
    np.testing.assert_array_equal(pixels(one)[..., 0], wanted)
    many = value(tmp_path / "many", lambda writer: writer.add_images("i", [image, image], dataformats="CHW"))
    np.testing.assert_array_equal(pixels(many)[..., 1], np.hstack([wanted, wanted]))


def test_masked_samples_are_silence(tmp_path):
    """Of floats and of ready-made words."""
    for name, sound in (("floats", np.ones(4)), ("words", np.full(4, 32767, np.int16))):
        masked = np.ma.masked_array(sound, [True, False, False, False])
        heard = value(tmp_path / name, lambda writer, masked=masked: writer.add_audio("a", masked))
        assert samples(heard)[0][:, 0].tolist() == [0, 32767, 32767, 32767]


def test_what_is_masked_in_a_tensor_a_mesh_or_a_matrix_is_nan(tmp_path):
    """NaN takes the place of each masked element."""
    tensor = value(tmp_path / "tensor", lambda writer: writer.add_tensor("t", PARTLY))
    assert np.isnan(tensor.tensor.double_val).tolist() == [False, False, False, True]
    mesh = value(tmp_path / "mesh", lambda writer: writer.add_mesh("m", PARTLY[1:].reshape(1, 1, 3)))
    assert np.isnan(mesh.tensor.float_val).tolist() == [False, False, True]
    with SummaryWriter(tmp_path / "embedding") as writer:
        writer.add_embedding(PARTLY.reshape(2, 2))
    assert (tmp_path / "embedding/00000/default/tensors.tsv").read_text() == "1.0\t2.0\n3.0\tnan\n"


def test_masked_integers_where_nan_would_have_to_stand_are_refused(tmp_path):
    """The error says what to give; without masked elements nothing is refused."""
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(
            UnsupportedTypeError, match=r"'t': got a masked array of dtype int64.*array\.filled"
        ):
            writer.add_tensor("t", PARTLY.astype(np.int64))
        writer.add_tensor("t", np.ma.masked_array([1, 2, 3], mask=False))
    assert list(run_events(tmp_path)[0].summary.value[0].tensor.int64_val) == [1, 2, 3]


def test_a_masked_prediction_is_left_out_and_reported(tmp_path):
    """Like any prediction that is not a probability."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_pr_curve(
            "p", np.array([1, 0, 1]), np.ma.masked_array([0.9, 0.5, 0.1], [False, True, False])
        )
    assert (writer.stats.values_left_out, writer.stats.failed) == (1, 0)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_masked_tensor_of_torch_is_a_masked_array(tmp_path):
    """Its mask marks valid elements, while numpy's marks invalid ones."""
    masked = torch.masked.masked_tensor(
        torch.tensor([1.0, 2, 3, 100]), torch.tensor([True, True, True, False])
    )
    histogram = value(tmp_path / "h", lambda writer: writer.add_histogram("h", masked))
    assert (histogram.histo.num, histogram.histo.max) == (3, 3)
    alone = torch.masked.masked_tensor(torch.tensor(1.0), torch.tensor(False))
    assert math.isnan(value(tmp_path / "x", lambda writer: writer.add_scalar("x", alone)).simple_value)


def test_an_array_of_a_mask_without_masked_elements_is_copied(tmp_path):
    """The snapshot rule holds for masked arrays, too."""
    array = np.ma.masked_array(np.ones(3), mask=False)

    def log(writer):
        writer.add_tensor("t", array)
        array.data[:] = 7

    assert list(value(tmp_path, log).tensor.double_val) == [1, 1, 1]


@pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors")
def test_a_sparse_masked_tensor_is_read_with_its_mask():
    """Elements that the layout leaves out are masked, too."""
    data = torch.tensor([1.0, 2.0, 0.0]).to_sparse()
    masked = torch.masked.masked_tensor(
        data.coalesce(), torch.sparse_coo_tensor([[0, 1]], [True, False], (3,)).coalesce()
    )
    np.testing.assert_array_equal(snapshot(masked, "tag"), [1.0, math.nan, math.nan])
