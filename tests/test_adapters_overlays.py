"""Tests of adapters/_overlays.py: inputs as pictures, maps as colours, and their layout."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tblog.adapters._captions import WIDTH
from tblog.adapters._colormaps import NON_FINITE, colormap_table
from tblog.adapters._layout import arranged, arrangement
from tblog.adapters._overlays import OverlayGrid, PictureGrid, intensities
from tblog.adapters._pictures import as_pictures
from tblog.records import Deferred


def _random(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def test_inputs_in_range_are_shown_as_they_are():
    """Numbers from 0 to 1 become bytes, rounded to the nearest; one channel becomes grey."""
    inputs = _random(2, 3, 4, 5)
    wanted = np.rint(inputs.transpose(0, 2, 3, 1) * 255)
    np.testing.assert_array_equal(as_pictures(inputs, None, None), wanted)
    grey = as_pictures(inputs[:, :1], None, None)
    assert (grey == wanted[..., :1]).all()


@settings(max_examples=20, deadline=None)
@given(low=st.floats(-1e6, 0.4), span=st.floats(2, 1e6))
def test_inputs_out_of_range_are_scaled_to_their_own(low, span):
    """Without mean and std, each picture's smallest and largest values become black and white."""
    inputs = np.stack([low + span * _random(1, 6, 6), _random(1, 6, 6)])
    picture = as_pictures(inputs, None, None)
    assert picture[0].min() == 0
    assert picture[0].max() == 255


def test_normalization_is_undone():
    """The picture is the input times std plus mean, for one number or one for each channel."""
    pictures = _random(1, 3, 4, 4)
    mean, std = [0.1, 0.2, 0.3], [0.5, 1.0, 2.0]
    inputs = (pictures - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    wanted = as_pictures(pictures, None, None)
    np.testing.assert_allclose(as_pictures(inputs, mean, std), wanted, atol=1)
    np.testing.assert_allclose(as_pictures((pictures - 0.5) / 0.25, 0.5, 0.25), wanted, atol=1)


def test_other_numbers_of_channels_are_drawn_as_their_mean():
    """Two channels, or more than three, have no colours: their mean is drawn in grey."""
    inputs = _random(1, 5, 4, 4)
    wanted = np.rint(inputs.mean(1) * 255)
    np.testing.assert_allclose(as_pictures(inputs, None, None)[..., 0], wanted, atol=1)


def test_inputs_that_are_not_finite_do_not_spoil_the_rest():
    """NaN is black, and an infinity is the nearest end of the range."""
    inputs = np.array([[[[np.nan, np.inf, -np.inf, 0.5]]]], np.float32)
    assert as_pictures(inputs, None, None)[0, 0, :, 0].tolist() == [0, 255, 0, 128]


def test_the_percentile_has_the_last_colour():
    """A single large value does not darken the others; a map of zeros stays zero, even with few points."""
    maps = np.zeros((3, 10, 20))
    maps[0, :, :10] = 1
    maps[0, 0, 0] = 1000
    maps[1, 0, 0] = 5
    scaled = intensities(maps, 99)
    assert scaled[0, 1, 0] == 1
    assert scaled[1, 0, 0] == 1
    assert not scaled[2].any()


def test_values_that_are_not_finite_stand_out():
    """NaN in a map has a colour that no colour map contains."""
    maps = np.full((1, 2, 2), np.nan)
    maps[0, 0, 0] = 1
    picture = OverlayGrid(maps=maps, inputs=_random(1, 1, 2, 2), style="heat", beside_input=False).numpy()
    assert tuple(picture[-10, -10]) == NON_FINITE
    assert tuple(picture[10, 10]) == tuple(colormap_table("jet")[255])


@pytest.mark.parametrize("side", [8, 100, 700])
@pytest.mark.parametrize("number", [1, 3, 10])
def test_pictures_of_any_size_and_number_make_a_readable_grid(side, number):
    """Small inputs are enlarged to the common width, large ones are kept, and the grid is RGB bytes."""
    grid = OverlayGrid(
        maps=_random(number, side, side),
        inputs=_random(number, 3, side, side),
        labels=[f"label {index}" for index in range(number)],
        caption="a caption",
    )
    picture = grid.numpy()
    assert isinstance(grid, Deferred)
    assert grid.nbytes == 4 * number * 4 * side * side
    assert picture.dtype == np.uint8
    assert picture.shape[1] == WIDTH if side == 8 else picture.shape[1] >= max(WIDTH, 2 * side)
    place = arrangement(number, side, side, panels=2, above=28)
    assert place.height >= side


def test_a_grid_of_pictures_alone_has_no_maps():
    """PictureGrid draws the inputs, with labels and caption."""
    pictures = _random(4, 1, 8, 8)
    plain = PictureGrid(inputs=pictures)
    drawn = np.rint(pictures.transpose(0, 2, 3, 1) * 255).astype(np.uint8).repeat(3, axis=3)
    np.testing.assert_array_equal(plain.numpy(), arranged(drawn))
    labelled = PictureGrid(inputs=pictures, labels=list("abcd"), caption="four")
    assert labelled.numpy().shape[0] > plain.numpy().shape[0]
    assert labelled.nbytes == pictures.nbytes


@pytest.mark.parametrize("labels", [(), ["a", "b", "c"]])
def test_a_map_without_anything_positive_is_called_empty(labels):
    """The label of a map of zeros says that it is empty; those of other maps do not."""
    maps = np.stack([_random(4, 4), np.zeros((4, 4)), np.full((4, 4), np.nan)])
    grid = OverlayGrid(maps=maps, inputs=_random(3, 1, 4, 4), labels=labels)
    empty = "empty: nothing positive"
    assert grid.labels_of(maps) == (["a", f"b · {empty}", "c"] if labels else ["", empty, ""])
    assert len(grid.numpy()) > len(OverlayGrid(maps=maps + 1, inputs=_random(3, 1, 4, 4)).numpy())


@pytest.mark.parametrize(
    ("percentile", "words"), [(100.0, "greatest of each map"), (99.0, "99th percentile of each map")]
)
@pytest.mark.parametrize(("style", "colors"), [("overlay", "hot"), ("heat", "hot"), ("grey", "grey")])
def test_a_bar_tells_what_the_colours_mean(percentile, words, style, colors):
    """Each map has its own scale, from 0 to its largest value or the chosen percentile."""
    grid = OverlayGrid(
        maps=_random(2, 4, 4), inputs=_random(2, 1, 4, 4), colormap="hot", style=style, percentile=percentile
    )
    assert grid.legend == (colors, "0", words)
    assert len(replace(grid, caption="c").numpy()) > len(grid.numpy()) + 60


@pytest.mark.parametrize(
    ("number", "columns"), [(1, 1), (4, 2), (6, 2), (8, 2), (10, 2), (12, 3), (16, 4), (30, 5)]
)
def test_pairs_leave_no_gap_where_they_need_not(number, columns):
    """Ten pairs fill five rows of two, and so on: no cell of a row is empty."""
    assert arrangement(number, 8, 8, panels=2, above=28).columns == columns
    assert number % columns == 0


@pytest.mark.parametrize(
    ("number", "height", "width", "panels"), [(16, 3, 3, 1), (32, 3, 3, 8), (64, 7, 7, 1), (100, 28, 28, 1)]
)
def test_small_cells_are_enlarged_until_they_fill_the_width(number, height, width, panels):
    """Margins take at most one twentieth of the picture's width."""
    place = arrangement(number, height, width, panels=panels, above=21)
    assert place.columns * panels * place.width > 0.85 * WIDTH
    cells = np.zeros((number, panels, height, width, 3), np.uint8)
    assert 0.95 * WIDTH < arranged(cells).shape[1] <= WIDTH
