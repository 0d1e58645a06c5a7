"""Tests of adapters/conv_kernels.py: the pictures match matplotlib's, the statistics torch's."""

from __future__ import annotations

import copy
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import nn
from torch.nn.utils import parametrizations

from tblog.adapters.conv_kernels import conv_kernels
from tblog.errors import InvalidValueError, UnsupportedTypeError
from tblog.records import HistogramRecord, ImageRecord, ScalarRecord
from tests.cells import cells_of
from tests.reading import accumulator
from tests.untouched import untouched

EXAMPLES = Path(__file__).parents[1] / "examples" / "adapters"


@pytest.fixture
def model():
    """Return a network of convolutions of 3, 6 and 4 channels."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Conv2d(4, 10, 1), nn.Flatten())


def grids(records):
    """Return the deferred pictures, by tag."""
    return {record.tag: record.image for record in records if isinstance(record, ImageRecord)}


class TestPictures:
    """Compared with matplotlib."""

    def test_kernels_are_drawn_as_matplotlib_draws_them(self, model):
        """One input channel of each filter, in bwr from -m to m, matches imshow to within 1/255."""
        (grid,) = grids(conv_kernels(model, "2", channels=1, statistics=False)).values()
        weight = model[2].weight.detach().numpy()[:, 0]
        norm = Normalize(-np.abs(weight).max(), np.abs(weight).max())
        wanted = ScalarMappable(norm, "bwr").to_rgba(weight.reshape(12, 3), bytes=True)[..., :3]
        assert np.abs(cells_of(grid, 4, 3, 3) - wanted.reshape(4, 3, 3, 3)).max() <= 1
        assert grid.caption == "2 · Conv2d · 4x6x3x3 · 4 filters, 1 of 6 input channels"

    def test_first_layers_are_drawn_in_colors(self, model):
        """Three input channels are red, green and blue, and 0 is grey, as imshow draws 0.5 + w / 2m."""
        (grid,) = grids(conv_kernels(model, "0", statistics=False)).values()
        weight = model[0].weight.detach().numpy()
        wanted = 0.5 + weight / (2 * np.abs(weight).max())
        assert np.abs(cells_of(grid, 6, 5, 5) - 255 * wanted.transpose(0, 2, 3, 1)).max() <= 1

    def test_each_filter_can_have_its_own_scale(self, model):
        """With scale="map" every filter reaches an end of the colour map."""
        (grid,) = grids(conv_kernels(model, "2", channels=1, scale="map", statistics=False)).values()
        weight = model[2].weight.detach().numpy()[:, 0]
        for kernel, pixels in zip(weight, cells_of(grid, 4, 3, 3), strict=True):
            greatest = np.unravel_index(np.abs(kernel).argmax(), (3, 3))
            assert tuple(pixels[greatest]) in {(255, 0, 0), (0, 0, 255)}


class TestWhatIsDrawn:
    """The chosen kernels, for each sort of convolution."""

    @pytest.mark.parametrize(
        ("channels", "chosen"), [(2, [0, 1]), (9, range(6)), ([5, 0, -1], [5, 0, -1]), (None, range(6))]
    )
    def test_input_channels_are_limited_or_chosen(self, model, channels, chosen):
        """Panels of a cell are the chosen input channels, and memory holds no others."""
        (grid,) = grids(conv_kernels(model, "2", channels=channels, filters=3, statistics=False)).values()
        assert np.array_equal(grid.maps, model[2].weight.detach()[:3, list(chosen)])
        assert grid.nbytes == 3 * len(chosen) * 9 * 4

    def test_all_convolutions_are_taken_by_default(self, model):
        """Without `layers`, every convolution has a grid, named by its path."""
        assert list(grids(conv_kernels(model))) == ["conv_kernels/0", "conv_kernels/2", "conv_kernels/3"]
        assert list(grids(conv_kernels(model, "*", tag="kernels"))) == ["kernels/0", "kernels/2", "kernels/3"]

    def test_pointwise_kernels_make_one_picture(self, model):
        """1x1 kernels are a matrix, filters down and input channels across."""
        (grid,) = grids(conv_kernels(model, "3", statistics=False)).values()
        assert np.array_equal(grid.maps, model[3].weight.detach().reshape(1, 10, 4))

    def test_one_dimensional_kernels_have_a_row_for_each_channel(self):
        """A cell of a 1-d layer is (input channels, taps)."""
        layer = nn.Conv1d(5, 7, 9)
        (grid,) = grids(conv_kernels(layer, statistics=False)).values()
        assert np.array_equal(grid.maps, layer.weight.detach())
        assert grid.caption.startswith("Conv1d · Conv1d · 7x5x9")

    def test_three_dimensional_kernels_have_their_slices_as_panels(self):
        """A cell of a 3-d layer holds the slices of each chosen input channel."""
        layer = nn.Conv3d(3, 2, (4, 3, 3))
        (grid,) = grids(conv_kernels(layer, channels=[2, 0], statistics=False)).values()
        assert np.array_equal(grid.maps, layer.weight.detach()[:, [2, 0]].reshape(2, 8, 3, 3))

    @pytest.mark.parametrize("groups", [1, 2])
    def test_transposed_convolutions_are_shown_by_output(self, groups):
        """A filter of a transposed layer holds the weights of one output channel."""
        torch.manual_seed(0)
        layer = nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False)
        (grid,) = grids(conv_kernels(layer, statistics=False)).values()
        x = torch.rand(1, 4, 1, 1)
        per_group = 4 // groups
        for output in range(6):
            inputs = x[0, output // (6 // groups) * per_group :][:per_group]
            wanted = (torch.from_numpy(grid.maps[output]) * inputs).sum(0)
            torch.testing.assert_close(layer(x)[0, output], wanted)

    def test_reduced_precision_is_shown_exactly(self, model):
        """bfloat16 weights keep their values."""
        model = model.to(torch.bfloat16)
        (grid,) = grids(conv_kernels(model, "2", statistics=False)).values()
        assert np.array_equal(grid.maps, model[2].weight.detach().float())

    def test_later_steps_do_not_change_what_was_taken(self, model):
        """The records hold a copy."""
        records = conv_kernels(model, "2")
        (grid,) = grids(records).values()
        before = grid.maps.copy()
        with torch.no_grad():
            model[2].weight.zero_()
        assert np.array_equal(grid.maps, before)


class TestStatistics:
    """Compared with torch."""

    def test_they_are_of_all_weights_of_the_layer(self, model):
        """Mean, deviation and extremes cover the whole weight, however few filters are drawn."""
        records = conv_kernels(model, "2", filters=1, channels=1)
        scalars = {record.tag: float(record.value) for record in records if isinstance(record, ScalarRecord)}
        weight = model[2].weight.detach()
        wanted = {
            "conv_kernels_mean/2": weight.mean(),
            "conv_kernels_std/2": weight.std(correction=0),
            "conv_kernels_min/2": weight.min(),
            "conv_kernels_max/2": weight.max(),
        }
        assert scalars == pytest.approx({tag: float(value) for tag, value in wanted.items()})

    def test_norms_tell_dead_filters(self, model):
        """The histogram counts the norm of each filter; a dead filter has norm 0."""
        with torch.no_grad():
            model[2].weight[1] = 0
        (histogram,) = [one for one in conv_kernels(model, "2") if isinstance(one, HistogramRecord)]
        assert histogram.tag == "conv_kernels_filter_norms/2"
        wanted = model[2].weight.detach().flatten(1).norm(dim=1)
        np.testing.assert_allclose(histogram.values, wanted, rtol=1e-6)
        assert histogram.values[1] == 0


class TestTheModelIsLeftAlone:
    """Even if reading a weight computes something."""

    def test_nothing_changes(self, model):
        """Gradients, versions, flags and hooks are as before."""
        model(torch.rand(1, 3, 9, 9)).sum().backward()
        with untouched(model):
            conv_kernels(model)

    def test_a_spectral_norm_is_not_updated(self):
        """Reading a normed weight in training mode would run a power iteration, but does not here."""
        layer = parametrizations.spectral_norm(nn.Conv2d(2, 2, 3))
        assert layer.training
        with untouched(layer):
            (grid,) = grids(conv_kernels(layer, statistics=False)).values()
        assert np.array_equal(grid.maps, layer.eval().weight.detach())

    @pytest.mark.cuda
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
    def test_nothing_waits_for_a_cuda_device(self, model):
        """With torch's sync debug mode set to error, kernels and statistics are still taken, and are exact."""
        on_device = copy.deepcopy(model).cuda()
        torch.cuda.set_sync_debug_mode("error")
        try:
            records = conv_kernels(on_device, "2", channels=[4, 0])
        finally:
            torch.cuda.set_sync_debug_mode("default")
        (grid,) = grids(records).values()
        assert np.array_equal(grid.maps.numpy(), model[2].weight.detach()[:, [4, 0]])
        assert float(records[1].value) == pytest.approx(model[2].weight.mean().item(), abs=1e-6)


class TestErrors:
    """Errors for arguments that do not fit."""

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"layers": "conv"}, "no layer 'conv'; the nearest are 0, 1"),
            ({"layers": "1"}, "'1' is of type ReLU; give layers of type ConvNd"),
            (
                {"layers": "2", "channels": [6]},
                r"2 input channels were \[6\], but there are 6; give how many, or indices from 0 to 5",
            ),
            ({"layers": "2", "channels": 0}, "2 input channels were 0, but there are 6"),
            ({"filters": 0}, "filters was 0"),
            ({"layers": "2", "colormap": "nope"}, "no colour map named 'nope'"),
            ({"layers": "2", "scale": "none"}, "scale was 'none'"),
        ],
    )
    def test_what_does_not_fit(self, model, arguments, said):
        """The message says what was given and what is wanted."""
        with pytest.raises(InvalidValueError, match=said):
            conv_kernels(model, **arguments)

    def test_a_model_without_convolutions(self):
        """The error lists the model's layer types."""
        with pytest.raises(InvalidValueError, match="no layer of type ConvNd; its types are Linear"):
            conv_kernels(nn.Linear(1, 1))

    def test_a_lazy_layer_that_never_ran(self):
        """The error for a layer without a shape asks to run it first."""
        with pytest.raises(InvalidValueError, match="run the model once"):
            conv_kernels(nn.Sequential(nn.LazyConv2d(2, 3)))

    def test_complex_kernels(self):
        """Complex numbers have no order, and so no colours."""
        with pytest.raises(UnsupportedTypeError, match=r"kernels of '0' were torch.complex64; choose"):
            conv_kernels(nn.Sequential(nn.Conv2d(2, 3, 3, dtype=torch.complex64)))


class TestExample:
    """The program in examples/adapters."""

    def test_it_logs_what_the_documentation_shows(self, tmp_path, monkeypatch):
        """TensorBoard's reader finds kernels of each network, and of the one in training after each epoch."""
        monkeypatch.syspath_prepend(EXAMPLES)
        runpy.run_path(str(EXAMPLES / "conv_kernels.py"))["main"](tmp_path)
        run = accumulator(tmp_path)
        assert {tag.split("/")[0] for tag in run.Tags()["images"]} == {"digits", "resnet18", "vgg11"}
        assert [event.step for event in run.Images("digits/conv1")] == [0, 1, 2, 3, 4]
        assert "digits_filter_norms/conv2" in run.Tags()["histograms"]
