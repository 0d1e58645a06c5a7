"""What adapters share: layers by name, hooks, a model's state, colour maps, grids and captions."""

from __future__ import annotations

import contextlib
import copy
import inspect
import pickle
import random
import re
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import nn

from tblog._values.arrays import to_numpy
from tblog.adapters._captions import BACKGROUND, CAPTION, WIDTH, Legend, captioned, label_strips, letters
from tblog.adapters._colormaps import NON_FINITE, colorize, colormap_table
from tblog.adapters._grids import ColorGrid, MapGrid, scaled
from tblog.adapters._hooks import Hooks
from tblog.adapters._layers import find_layer, find_layers, require_ran
from tblog.adapters._layout import arranged, resized, tiled
from tblog.adapters._model_state import model_state_kept
from tblog.adapters.activation_maximization import activation_maximization
from tblog.adapters.cam import class_activation_maps
from tblog.adapters.conv_kernels import conv_kernels
from tblog.adapters.feature_maps import FeatureMaps
from tblog.adapters.model_summary import model_summary
from tblog.adapters.parameters import ParameterWatch
from tblog.adapters.saliency import saliency_maps
from tblog.errors import InvalidTypeError, InvalidValueError, MissingDependencyError, TblogError
from tests.cells import cells_of
from tests.processes import run_program
from tests.untouched import untouched


class Block(nn.Module):
    """A convolution, a batch normalization, dropout and a convolution."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 1)
        self.bn = nn.BatchNorm2d(3)
        self.conv2 = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        """Return maps of the same shape."""
        return self.conv2(nn.functional.dropout(self.bn(self.conv1(x)), training=self.training))


@pytest.fixture
def model():
    """Return two blocks in a Sequential."""
    torch.manual_seed(0)
    return nn.Sequential(Block(), Block(), nn.ReLU())


class TestFindLayers:
    """Layers by path, pattern, type or module."""

    @pytest.mark.parametrize(
        ("spec", "paths"),
        [
            ("0.conv1", ["0.conv1"]),
            ("", [""]),
            ("*.conv1", ["0.conv1", "1.conv1"]),
            ("*", ["0", "1", "2"]),
            ("**.bn", ["0.bn", "1.bn"]),
            ("1.**", ["1", "1.conv1", "1.bn", "1.conv2"]),
            ("[01].conv?", ["0.conv1", "0.conv2", "1.conv1", "1.conv2"]),
            (re.compile(r"conv2$"), ["0.conv2", "1.conv2"]),
            (nn.BatchNorm2d, ["0.bn", "1.bn"]),
            (["1.bn", nn.BatchNorm2d, "0.conv1"], ["1.bn", "0.bn", "0.conv1"]),
        ],
    )
    def test_a_spec_means_these_layers_in_this_order(self, model, spec, paths):
        """Paths, patterns, expressions and types work, in the given order, each layer once."""
        found = find_layers(model, spec)
        assert list(found) == paths
        assert all(found[path] is model.get_submodule(path) for path in paths)

    def test_a_module_means_itself_even_when_it_is_iterable(self, model):
        """A Sequential given as a layer is one layer, not a sequence of layers."""
        assert list(find_layers(model, model)) == [""]
        assert list(find_layers(model, [model[0].bn])) == ["0.bn"]

    def test_a_shared_module_is_found_under_each_of_its_paths(self):
        """The second path of a shared module works, and a type gives the module once."""
        shared = nn.Linear(2, 2)
        model = nn.ModuleDict({"a": shared, "b": shared})
        assert list(find_layers(model, "b")) == ["b"]
        assert list(find_layers(model, nn.Linear)) == ["a"]

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ("0.conv3", r"no layer '0.conv3'; the nearest are 0\.conv"),
            ("3.conv2", r"0\.conv2"),
            ("encoder", r"the nearest are 0, 0\.conv1"),
            ("x.*", r"no layer 'x\.\*'"),
            (nn.LSTM, r"no layer of type LSTM; its types are BatchNorm2d, Block, Conv2d"),
            (re.compile("attn"), r"matches 'attn'; its layers are 0, 0\.conv1"),
            (nn.Linear(1, 1), r"not part of this Sequential"),
            ([], r"layers was an empty sequence"),
        ],
    )
    def test_an_unknown_layer_is_answered_with_the_nearest_names(self, model, spec, said):
        """The error is one of tblog's ValueErrors and lists the nearest names."""
        with pytest.raises(InvalidValueError, match=said) as caught:
            find_layers(model, spec)
        assert isinstance(caught.value, (TblogError, ValueError))

    def test_something_else_than_a_layer_is_refused(self, model):
        """A number is not a layer."""
        with pytest.raises(InvalidTypeError, match="was 3 of type int"):
            find_layers(model, [3])

    def test_a_kind_keeps_layers_of_that_type(self, model):
        """With a kind, other matching modules are left out, and an error is raised if nothing else matches."""
        assert list(find_layers(model, "0.*", nn.Conv2d)) == ["0.conv1", "0.conv2"]
        with pytest.raises(
            InvalidValueError, match=r"'0\.bn' is of type BatchNorm2d; give layers of type Conv2d"
        ):
            find_layers(model, ["0.*", "0.bn"], nn.Conv2d)

    def test_one_layer_is_one_layer(self, model):
        """Where one layer is wanted, a pattern that matches two is refused."""
        assert find_layer(model, "0.bn") == ("0.bn", model[0].bn)
        with pytest.raises(InvalidValueError, match=r"matches 2 layers: 0\.bn, 1\.bn"):
            find_layer(model, nn.BatchNorm2d)

    def test_a_layer_that_did_not_run_is_named(self, model):
        """The error names the layers without output."""
        require_ran(model, ["0", "1"], ["1", "0"])
        with pytest.raises(InvalidValueError, match=r"did not run 1\.bn; run the model first"):
            require_ran(model, ["0", "1.bn"], ["0"])


class TestHooks:
    """Hooks and their removal."""

    def test_hooks_come_off_when_the_block_fails(self, model):
        """A failure inside the block, or while registering, leaves no hook of any kind."""

        def register_and_fail():
            with Hooks() as hooks:
                hooks.forward(model[0], lambda *_: None)
                hooks.forward_pre(model[0], lambda *_: None)
                hooks.after_accumulation(model[0].bn.weight, lambda _: None)
                hooks.forward(None, lambda *_: None)

        with pytest.raises(AttributeError):
            register_and_fail()
        assert not model[0]._forward_hooks
        assert not model[0]._forward_pre_hooks
        assert not model[0].bn.weight._post_accumulate_grad_hooks

    def test_each_kind_of_hook_is_called(self, model):
        """Hooks before and after forward and of gradients see one pass each."""
        called = []
        with Hooks() as hooks:
            hooks.forward_pre(model[0], lambda *_: called.append("pre"))
            hooks.forward(model[0], lambda *_: called.append("forward"))
            hooks.after_accumulation(model[0].bn.weight, lambda *_: called.append("parameter"))
            model(torch.rand(2, 3, 4, 4)).sum().backward()
        assert sorted(called) == ["forward", "parameter", "pre"]

    def test_a_deep_copy_of_the_model_does_not_reach_the_hooks(self, model):
        """A copy made inside the block (weight averaging) runs without calling them."""
        called = []
        with Hooks() as hooks:
            hooks.forward(model[0], lambda *_: called.append("forward"))
            hooks.forward_pre(model[0], lambda *_: called.append("pre"))
            copy.deepcopy(model)(torch.rand(2, 3, 4, 4))
        assert called == []

    @pytest.mark.parametrize("adapter", [ParameterWatch, lambda model: FeatureMaps(model, "*", show="both")])
    def test_a_model_is_saved_and_sent_as_ever_while_it_is_watched(self, adapter, model, tmp_path):
        """torch.save and pickle accept it inside the block, and the copy runs without tblog."""
        x = torch.rand(2, 3, 4, 4)
        with adapter(model.eval()):
            torch.save(model, tmp_path / "model.pt")
            sent = pickle.loads(pickle.dumps(model))
            assert torch.equal(sent(x), model(x))
        (tmp_path / "blocks.py").write_text(inspect.getsource(Block))
        printed = run_program(
            f"""
            import sys, types
            import torch
            from torch import nn
            sys.modules["tblog"] = None
            blocks = sys.modules[{Block.__module__!r}] = types.ModuleType("blocks")
            blocks.nn = nn
            exec(open("blocks.py").read(), vars(blocks))
            print(torch.load("model.pt", weights_only=False)(torch.ones(1, 3, 4, 4)).shape)
            """,
            tmp_path,
        )
        assert "[1, 3, 4, 4]" in printed


class TestModelState:
    """A model whose state is restored."""

    @pytest.mark.parametrize("fails", [False, True])
    def test_the_model_is_as_before(self, model, fails):
        """Mode, gradients, flags, buffers, hooks and random state survive a block that changes them all."""
        model[1].eval()
        model[0].conv1.weight.requires_grad_(False)
        model(torch.rand(2, 3, 4, 4)).sum().backward()
        model[0].register_forward_hook(lambda *_: None)
        assert model[1].conv1.weight.grad is not None

        def disturb():
            model.train()
            model.requires_grad_(True)
            model[0].register_forward_hook(lambda *_: None)
            model[0].conv1.register_forward_hook(lambda *_: None)
            for _ in range(2):
                model(torch.rand(2, 3, 4, 4)).sum().backward()
            model.zero_grad(set_to_none=False)
            model[0].bn.running_mean = torch.zeros(3)
            random.random()
            np.random.rand()  # noqa: NPY002  (the state that is kept)
            if fails:
                raise KeyError

        with untouched(model), contextlib.suppress(KeyError), model_state_kept(model):
            disturb()

    def test_what_cannot_be_put_back_keeps_nothing_else_from_it(self, model):
        """A module that no longer accepts its mode raises, and all others get their modes, gradients and flags back."""

        class Stubborn(nn.Module):
            armed = False

            def __setattr__(self, name, value):
                if self.armed and name == "training":
                    raise KeyError(name)
                super().__setattr__(name, value)

            def forward(self, x):
                return x

        model.insert(1, Stubborn())
        model(torch.rand(2, 3, 4, 4)).sum().backward()
        armed, others = model[1], nn.ModuleList([model[0], *model[2:]])
        with untouched(others), pytest.raises(KeyError), model_state_kept(model, training=False, freeze=True):
            armed.armed = True

    def test_a_scripted_model_is_as_before(self, model):
        """TorchScript's buffer tables cannot be cleared, but their statistics, modes and gradients are kept."""
        scripted = torch.jit.script(model)
        scripted(torch.rand(2, 3, 4, 4)).sum().backward()
        before = {name: value.clone() for name, value in scripted.state_dict().items()}
        gradients = [parameter.grad for parameter in scripted.parameters()]
        with model_state_kept(scripted, training=True, freeze=True):
            scripted(torch.rand(2, 3, 4, 4))
        assert all(torch.equal(value, before[name]) for name, value in scripted.state_dict().items())
        assert all(one.grad is grad for one, grad in zip(scripted.parameters(), gradients, strict=True))
        assert all(parameter.requires_grad for parameter in scripted.parameters())

    def test_a_waiting_backward_pass_still_works(self, model):
        """A block between a loss and its backward pass changes no gradient."""
        x = torch.rand(2, 3, 4, 4)
        model.eval()
        model(x).sum().backward()
        wanted = [parameter.grad for parameter in model.parameters()]
        model.zero_grad()
        loss = model(x).sum()
        with model_state_kept(model, training=True):
            model(x).sum().backward()
        assert all(parameter.grad is None for parameter in model.parameters())
        loss.backward()
        assert all(torch.equal(p.grad, one) for p, one in zip(model.parameters(), wanted, strict=True))

    def test_mode_and_freezing_hold_inside_the_block(self, model):
        """The block runs in the requested mode, and no parameter requires gradients."""
        with model_state_kept(model, training=False, freeze=True):
            assert not any(module.training for module in model.modules())
            assert not any(parameter.requires_grad for parameter in model.parameters())
            x = torch.rand(2, 3, 4, 4, requires_grad=True)
            model(x).sum().backward()
            assert x.grad is not None
        assert all(module.training for module in model.modules())
        assert all(parameter.requires_grad for parameter in model.parameters())

    def test_shared_buffers_stay_shared_inside_the_block(self):
        """Two names of one buffer are two names of one copy."""
        model = nn.ModuleList([nn.Module(), nn.Module()])
        shared = torch.zeros(2)
        for module in model:
            module.register_buffer("state", shared)
        with model_state_kept(model):
            assert model[0].state is model[1].state
            model[0].state += 1
        assert model[0].state is shared
        assert shared.tolist() == [0, 0]

    def test_lazy_modules_that_never_ran_are_refused(self):
        """Running a lazy module would change it, so the error asks the caller to run it."""
        with (
            pytest.raises(InvalidValueError, match=r"'0\.weight' has no shape yet"),
            model_state_kept(nn.Sequential(nn.LazyLinear(2))),
        ):
            pass


class TestColormaps:
    """Tables of colours."""

    @pytest.mark.parametrize("name", ["viridis", "magma", "jet", "hot", "bwr", "seismic", "gray", "grey"])
    def test_built_in_tables_are_matplotlibs(self, name):
        """Each of the 256 colours is matplotlib's to within 1/255."""
        wanted = colormaps["gray" if name == "grey" else name](np.arange(256))[:, :3] * 255
        assert np.abs(colormap_table(name) - wanted).max() <= 1.01

    @pytest.mark.parametrize("name", ["viridis", "jet", "bwr", "gray", "coolwarm"])
    def test_numbers_get_matplotlibs_colors(self, name):
        """Numbers from 0 to 1, and beyond, are coloured as matplotlib's imshow does."""
        values = np.concatenate([np.linspace(-0.1, 1.1, 1001), [0.0, 1.0]])
        wanted = ScalarMappable(Normalize(0, 1), name).to_rgba(values)[:, :3] * 255
        assert np.abs(colorize(values, name) - wanted).max() <= 1.01

    def test_what_is_not_finite_has_a_color_of_its_own(self):
        """NaN and infinities are magenta, which is in no built-in map."""
        colors = colorize(np.array([np.nan, np.inf, -np.inf, 0.5]), "grey")
        assert [tuple(color) for color in colors[:3]] == [NON_FINITE] * 3
        for name in ("viridis", "magma", "jet", "hot", "bwr", "seismic", "grey"):
            distance = np.abs(colormap_table(name).astype(int) - NON_FINITE).sum(axis=1)
            assert distance.min() > 100, name

    def test_an_unknown_name_is_answered_with_the_nearest(self):
        """The error lists names that exist."""
        with pytest.raises(InvalidValueError, match="named 'virids'; the nearest are viridis"):
            colormap_table("virids")

    def test_other_maps_need_matplotlib(self, monkeypatch):
        """Without matplotlib, the built-in maps work and another name raises an error that says what is missing."""
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        colormap_table.cache_clear()
        colormap_table("viridis")
        with pytest.raises(MissingDependencyError, match=r"'Spectral' \(built in are grey, viridis"):
            colormap_table("Spectral")


maps_of_any_kind = st.tuples(
    st.integers(1, 7), st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6)
).map(lambda drawn: np.random.default_rng(drawn[3]).normal(size=drawn[:3]).astype(np.float32))


class TestGrids:
    """Grids, panels and captions."""

    @given(maps=maps_of_any_kind, scale=st.sampled_from(["map", "layer"]), symmetric=st.booleans())
    @settings(max_examples=40, deadline=None)
    def test_scaling_is_matplotlibs(self, maps, scale, symmetric):
        """The values are those of matplotlib's Normalize on the same limits."""
        values, low, high = scaled(maps, scale=scale, symmetric=symmetric)
        for index, one in enumerate(maps):
            part = one if scale == "map" else maps
            limits = (-np.abs(part).max(), np.abs(part).max()) if symmetric else (part.min(), part.max())
            if limits[0] < limits[1]:
                np.testing.assert_allclose(values[index], Normalize(*limits)(one), atol=1e-5)
            assert low <= limits[0] <= limits[1] <= high
        if symmetric:
            assert high == -low == np.abs(maps).max()
        else:
            assert (low, high) == (maps.min(), maps.max())

    def test_constant_and_broken_maps_are_drawn(self):
        """A constant map has the first colour, a symmetric one of zeros the middle; NaN stays NaN."""
        maps = np.zeros((4, 2, 2), np.float32)
        maps[1] = 5
        maps[2, 0, 0] = np.nan
        maps[3] = np.inf
        values, low, high = scaled(maps, scale="map", symmetric=False)
        assert (values[:2] == 0).all()
        assert (low, high) == (0, 5)
        symmetric, *_ = scaled(maps, scale="map", symmetric=True)
        assert (symmetric[0] == 0.5).all()
        assert (symmetric[1] == 1).all()
        assert np.isnan(symmetric[2, 0, 0])
        assert not np.isfinite(symmetric[3]).any()

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_])
    def test_any_real_dtype_is_scaled(self, dtype):
        """Smallest and largest values become 0 and 1, even at the ends of the dtype's range."""
        if dtype == np.bool_:
            ends = np.array([[[False, True]]])
        else:
            about = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
            ends = np.array([[[about.min / 2, about.max / 2]]], dtype)
        values, *_ = scaled(ends, scale="layer", symmetric=False)
        assert values.ravel().tolist() == [0, 1]

    @given(maps=maps_of_any_kind, columns=st.integers(1, 8))
    @settings(max_examples=40, deadline=None)
    def test_each_cell_is_where_it_belongs(self, maps, columns):
        """Cut apart, the grid gives the cells in rows, and background everywhere else."""
        cells = colorize(maps, "grey")
        gap = 2
        grid = tiled(cells, columns=columns, gap=gap)
        number, height, width = maps.shape
        rest = np.ones(grid.shape[:2], bool)
        for index in range(number):
            top = gap + index // columns * (height + gap)
            left = gap + index % columns * (width + gap)
            assert (grid[top : top + height, left : left + width] == cells[index]).all()
            rest[top : top + height, left : left + width] = False
        assert (grid[rest] == BACKGROUND).all()

    def test_small_maps_are_enlarged_to_the_common_width(self):
        """64 maps of 8x8 fill it; large maps keep their size; flat ones are widened."""
        assert 0.99 * WIDTH < arranged(np.zeros((64, 8, 8, 3), np.uint8)).shape[1] <= WIDTH
        assert arranged(np.zeros((1, 800, 700, 3), np.uint8)).shape == (804, 704, 3)
        assert arranged(np.zeros((1, 1, 1000, 3), np.uint8)).shape == (129, 1004, 3)
        assert arranged(np.zeros((1, 1250, 1, 3), np.uint8)).shape == (1254, 160, 3)

    @pytest.mark.parametrize("factor", [1, 2, 3.4, 7.75])
    def test_enlarging_changes_no_colour_but_at_edges(self, factor):
        """The middle of each pixel keeps its colour exactly, whatever the factor, and neighbours do not mix cells."""
        cells = np.random.default_rng(0).integers(0, 256, (3, 8, 4, 3)).astype(np.uint8)
        side = (round(8 * factor), round(4 * factor))
        large = resized(cells, *side)
        assert large.shape == (3, *side, 3)
        rows, columns = (
            ((np.arange(count) + 0.5) * (pixels / count)).astype(int)
            for count, pixels in zip((8, 4), side, strict=True)
        )
        assert np.array_equal(large[:, rows][:, :, columns], cells)

    def test_panels_stand_side_by_side_in_their_cell(self):
        """Cells of two panels have a thin line between the panels and a wider gap around the cell."""
        cells = np.stack([np.full((2, 3, 3, 3), shade, np.uint8) for shade in (50, 100)])
        cells[:, 1] += 25
        row = arranged(cells)[100, :, 0]
        runs = np.split(row, np.flatnonzero(np.diff(row)) + 1)
        side = len(runs[1])
        gap = BACKGROUND[0]
        assert [(int(run[0]), len(run)) for run in runs] == [
            (gap, 6), (50, side), (gap, 2), (75, side), (gap, 6)
        ]  # fmt: skip

    def test_a_picture_of_its_own_size_takes_the_first_cell(self):
        """It is fitted into the cell with its shape, the maps follow, and labels name both."""
        maps = np.full((3, 4, 4, 3), 200, np.uint8)
        first = np.full((10, 20, 3), 90, np.uint8)
        grid = arranged(maps, [], first)
        side = (WIDTH - 3 * 2) // 2
        assert grid.shape[1] <= WIDTH
        cell = grid[2 : 2 + side, 2 : 2 + side]
        inside = (cell == 90).all(axis=2)
        assert inside.any(axis=0).sum() == side
        assert inside.any(axis=1).sum() == side // 2
        assert (grid[:, 2 + side + 2 :] != 90).all()
        assert len(arranged(maps, ["0", "1", "2"], first)) > len(grid)

    def test_a_map_grid_is_what_matplotlib_draws(self):
        """The cells hold matplotlib's colours of the same numbers."""
        maps = np.random.default_rng(0).normal(size=(4, 5, 5)).astype(np.float32)
        grid = MapGrid(maps=maps, colormap="bwr", scale="layer", symmetric=True)
        assert grid.nbytes == maps.nbytes
        norm = Normalize(-np.abs(maps).max(), np.abs(maps).max())
        wanted = ScalarMappable(norm, "bwr").to_rgba(maps.reshape(20, 5), bytes=True)[..., :3]
        assert np.abs(cells_of(grid, 4, 5, 5) - wanted.reshape(4, 5, 5, 3)).max() <= 1

    @pytest.mark.parametrize("side", [5, 50, 200, 500])
    def test_the_caption_stands_above_and_leaves_the_grid_alone(self, side):
        """A caption adds rows at the top, with ink in them, and changes nothing below."""
        maps = np.random.default_rng(0).normal(size=(4, side, side)).astype(np.float32)
        plain = MapGrid(maps=maps).numpy()
        picture = MapGrid(maps=maps, caption="layer1 · Conv2d").numpy()
        strip = picture[: -len(plain)]
        assert (picture[-len(plain) :, : plain.shape[1]] == plain).all()
        assert (strip != BACKGROUND).any()
        assert picture.shape[1] == max(WIDTH, plain.shape[1])

    def test_letters_have_the_same_size_in_all_pictures_and_on_all_cards(self):
        """Narrow pictures have the same letters, and wider ones have them larger, as the card shrinks them."""
        small, usual = (captioned(np.zeros((9, width, 3), np.uint8), "layer1") for width in (100, WIDTH))
        assert np.array_equal(small[:-9], usual[:-9])
        assert [letters(CAPTION, width) / width for width in (WIDTH, 2 * WIDTH, 3 * WIDTH)] == [
            CAPTION / WIDTH
        ] * 3

    def test_the_bar_of_colours_stands_between_its_ends(self):
        """It runs from the map's first to its last colour, between the labels of its ends."""
        picture = np.zeros((9, WIDTH, 3), np.uint8)
        bare = captioned(picture, "layer")
        with_bar = captioned(picture, "layer", Legend("viridis", "-1.5", "2.25"))
        bar = with_bar[len(bare) - 9 : -9]
        table = colormap_table("viridis")
        columns = [np.flatnonzero((bar == color).all(axis=2).any(axis=0)) for color in (table[0], table[-1])]
        ink = np.flatnonzero((bar.min(axis=2) > 200).any(axis=0))
        assert (
            ink.min()
            < columns[0].min()
            <= columns[0].max()
            < columns[1].min()
            <= columns[1].max()
            < ink.max()
        )

    def test_long_captions_are_broken_into_lines(self):
        """No text is cut off at the right edge, however long a word is."""
        for draw in (
            lambda text: captioned(np.zeros((1, WIDTH, 3), np.uint8), text)[:-1],
            lambda text: label_strips([text], 200, WIDTH)[0],
        ):
            short, long = (draw(text) for text in ("a", "encoder." * 20 + " output"))
            assert len(long) > len(short)
            assert long.shape[1] == short.shape[1]
            assert (long[:, -1] == BACKGROUND).all()

    def test_labels_get_smaller_before_they_break(self):
        """An index too wide for its cell has smaller letters; one that fits keeps its size."""
        wide, narrow = (label_strips(["127"], width, WIDTH)[0] for width in (60, 24))
        heights = [np.flatnonzero((strip != BACKGROUND).any(axis=(1, 2))) for strip in (wide, narrow)]
        assert np.ptp(heights[0]) > np.ptp(heights[1])

    def test_color_grids_show_zero_as_grey(self):
        """Three channels become colours, symmetric about grey; what is not finite is magenta."""
        maps = np.zeros((2, 3, 2, 2), np.float32)
        maps[0, 0, 0, 0], maps[0, 1, 0, 0] = 1, -1
        maps[1, 2, 1, 1] = np.nan
        cells = cells_of(ColorGrid(maps=maps), 2, 2, 2)
        assert cells[0, 0, 0].tolist() == [255, 0, 128]
        assert cells[0, 0, 1].tolist() == [128, 128, 128]
        assert tuple(cells[1, 1, 1]) == NON_FINITE

    def test_wrong_arguments_are_refused_when_a_grid_is_made(self):
        """The call raises the error, not the worker."""
        with pytest.raises(InvalidValueError, match='scale was \'row\'; give "map" or "layer"'):
            MapGrid(maps=np.zeros((1, 1, 1)), scale="row")
        with pytest.raises(InvalidValueError, match="no colour map named 'no'"):
            MapGrid(maps=np.zeros((1, 1, 1)), colormap="no")


def _picture(records):
    return to_numpy(records[0].image.maps if hasattr(records[0].image, "maps") else records[0].image.inputs)


_CUDA = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]
_IN_ALL_WAYS = pytest.mark.parametrize(
    "look",
    [
        lambda model, images: _picture(class_activation_maps(model, images, "0.conv2", targets=1)),
        lambda model, images: _picture(class_activation_maps(model, images, "0", "AblationCAM")),
        lambda model, images: _picture(saliency_maps(model, images, 2, "smooth_grad", steps=3)),
        lambda model, images: _picture(saliency_maps(model, images, 2, "integrated_gradients", steps=3)),
        lambda model, images: _picture(saliency_maps(model, images, method="guided_backprop")),
        lambda model, _: _picture(activation_maximization(model, "1.conv1", [2, 0], (3, 8, 8), steps=3)),
        lambda model, _: _picture(
            activation_maximization(
                model, "1.conv1", [2, 0], (3, 8, 8), steps=3, mean=[0.4, 0.5, 0.6], std=0.2
            )
        ),
        lambda model, _: len(model_summary(model, (2, 3, 8, 8))[0].text.splitlines()),
    ],
    ids=[
        "GradCAM",
        "AblationCAM",
        "smooth_grad",
        "integrated_gradients",
        "guided_backprop",
        "activation_maximization",
        "activation_maximization_normalized",
        "model_summary",
    ],
)


def _classifier(blocks):
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=_CUDA)])
@_IN_ALL_WAYS
def test_a_model_is_explained_where_it_is_under_autocast(model, look, device, monkeypatch):
    """On the CPU and on a GPU, a call within autocast gives the same result, and moves, casts and draws nothing."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model = _classifier(model)
    images = torch.rand(2, 3, 8, 8)
    model(images).sum().backward()
    wanted = look(model, images)
    there = copy.deepcopy(model).to(device)
    state = torch.get_rng_state() if device == "cpu" else torch.cuda.get_rng_state()
    with torch.autocast(device, dtype=torch.bfloat16), untouched(there):
        found = look(there, images)
        assert torch.is_autocast_enabled(device)
    assert torch.equal(torch.get_rng_state() if device == "cpu" else torch.cuda.get_rng_state(), state)
    assert {parameter.device.type for parameter in there.parameters()} == {device}
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize(
    "use",
    [
        ParameterWatch,
        lambda model: FeatureMaps(model, "0"),
        lambda model: class_activation_maps(model, torch.zeros(1, 1, 8, 8), 0),
        lambda model: saliency_maps(model, torch.zeros(1, 1, 8, 8)),
        lambda model: activation_maximization(model, "0", [0], input_size=(1, 8, 8)),
        conv_kernels,
        lambda model: model_summary(model, input_size=(1, 1, 8, 8)),
        model_summary,
    ],
    ids=["watch", "maps", "cam", "saliency", "maximization", "kernels", "summary with input", "summary"],
)
@pytest.mark.parametrize("given", ["parameters", "state_dict", "children"])
def test_what_is_no_model_is_refused_by_every_adapter(use, given):
    """An optimizer knows a model's parameters, but an adapter asks for the model."""
    something = getattr(nn.Sequential(nn.Conv2d(1, 2, 3)), given)()
    with pytest.raises(InvalidTypeError, match=r"The model was .*; give the torch.nn.Module itself"):
        use(something)


@_IN_ALL_WAYS
def test_a_model_made_in_inference_mode_is_explained_and_left_as_it_was(model, look):
    """Although autograd accepts none of its parameters: the same result, with flags and parameters unchanged."""
    model = _classifier(model)
    images = torch.rand(2, 3, 8, 8)
    wanted = look(model, images)
    with torch.inference_mode():
        made_there = copy.deepcopy(model)
    before = [(parameter, parameter.requires_grad) for parameter in made_there.parameters()]
    np.testing.assert_allclose(look(made_there, images), wanted, rtol=1e-5, atol=1e-6)
    after = [(parameter, parameter.requires_grad) for parameter in made_there.parameters()]
    assert all(one is other and flag == was for (one, flag), (other, was) in zip(after, before, strict=True))


_BY_GRADIENTS = pytest.mark.parametrize(
    "look",
    [
        lambda model: class_activation_maps(model, torch.zeros(2, 3, 8, 8), "0.conv2", targets=1),
        lambda model: saliency_maps(model, torch.zeros(2, 3, 8, 8)),
        lambda model: activation_maximization(model, "1.conv1", [0], (3, 8, 8), steps=1),
    ],
    ids=["cam", "saliency", "maximization"],
)


@_BY_GRADIENTS
def test_a_model_without_values_is_refused(model, look):
    """A model on the meta device has only shapes."""
    with pytest.raises(InvalidValueError, match="on the device meta and have no values"):
        look(_classifier(model).to("meta"))


@_BY_GRADIENTS
def test_a_model_that_runs_without_gradients_is_refused(model, look):
    """A model may disable gradients in its own forward()."""

    class Switching(nn.Sequential):
        @torch.no_grad()
        def forward(self, given):
            return super().forward(given)

    switching = Switching(*_classifier(model))
    with untouched(switching), pytest.raises(InvalidValueError, match=r"cannot be differentiated.*no_grad"):
        look(switching)


@pytest.mark.parametrize("device", ["meta", pytest.param("cuda", marks=_CUDA)])
@_IN_ALL_WAYS
def test_the_default_device_does_not_reach_in(model, look, device):
    """A model on the CPU is explained as usual while new tensors default to another device."""
    model = _classifier(model)
    images = torch.rand(2, 3, 8, 8)
    wanted = look(model, images)
    with torch.device(device):
        np.testing.assert_allclose(look(model, images), wanted, rtol=1e-5, atol=1e-6)
