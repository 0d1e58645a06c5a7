"""Tests of adapters/feature_maps.py: the maps equal those of a hand-written hook, and nothing is left behind."""

from __future__ import annotations

import copy
import gc
import runpy
import warnings
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import nn

from tblog.adapters._colormaps import colormap_table
from tblog.adapters.feature_maps import FeatureMaps
from tblog.errors import InvalidTypeError, InvalidValueError
from tests.cells import cells_of
from tests.reading import accumulator
from tests.slow import slow_but
from tests.untouched import untouched

EXAMPLES = Path(__file__).parents[1] / "examples" / "adapters"


@pytest.fixture
def model():
    """Return a small network with an in-place ReLU and a batch normalization."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(6 * 8 * 8, 5),
    )


@pytest.fixture
def images():
    """Return four random pictures."""
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def captured(record):
    """Return the values that a record's grid holds."""
    return np.asarray(record.image.maps)


def by_hand(layer, run):
    """Return a copy of a layer's output, from a hook as in tutorials."""
    outputs = []
    handle = layer.register_forward_hook(
        lambda _module, _inputs, output: outputs.append(output.detach().clone())
    )
    run()
    handle.remove()
    return outputs[-1]


class TestWhatIsCaptured:
    """The values, compared with a hand-written hook's."""

    @pytest.mark.parametrize("sample", [0, 2, -1])
    def test_maps_are_those_of_a_hand_written_hook(self, model, images, sample):
        """The chosen sample's maps of each layer are equal to the last bit."""
        model.eval()
        with FeatureMaps(model, ["0", "2"], sample=sample) as maps:
            model(images)
        for record, layer in zip(maps.records(), (model[0], model[2]), strict=True):
            wanted = by_hand(layer, lambda: model(images))[sample]
            assert np.array_equal(captured(record), wanted)

    def test_in_place_layers_that_follow_do_not_change_the_maps(self, model, images):
        """The output of the batch normalization has negative values, although an in-place ReLU follows."""
        with FeatureMaps(model, nn.BatchNorm2d) as maps:
            model(images)
        assert captured(maps.records()[0]).min() < 0

    def test_inputs_are_shown_as_well(self, model, images):
        """`show="inputs"` gives the layer's inputs; "both" gives two records with their own tags."""
        with FeatureMaps(model, "0", show="inputs") as maps:
            model(images)
        assert np.array_equal(captured(maps.records()[0]), images[0])
        with FeatureMaps(model, "0", show="both") as maps:
            model(images)
        assert [record.tag for record in maps.records()] == ["feature_maps/0/input", "feature_maps/0/output"]

    def test_inputs_are_those_before_a_layer_works_in_place(self, model, images):
        """The input of an in-place ReLU has negative values."""
        with FeatureMaps(model, nn.ReLU, show="inputs") as maps:
            model(images)
        assert captured(maps.records()[0]).min() < 0

    def test_channels_are_limited_or_chosen(self, model, images):
        """A number selects that many first channels, indices select those channels, and memory holds no others."""
        with (
            FeatureMaps(model, "0", channels=2) as few,
            FeatureMaps(model, "0", channels=[5, 0, -1]) as chosen,
        ):
            model(images)
        wanted = by_hand(model[0], lambda: model(images))[0]
        assert np.array_equal(captured(few.records()[0]), wanted[:2])
        assert np.array_equal(captured(chosen.records()[0]), wanted[[5, 0, -1]])
        picture = images[:1].numpy()
        assert few.records()[0].image.nbytes == 2 * 8 * 8 * 4 + picture.nbytes
        assert captured(few.records()[0]).base is None

    def test_large_maps_are_thinned_before_they_are_copied(self, model, images):
        """Maps of 8x8 with max_side=3 keep every third row and column, and the caption says so."""
        with FeatureMaps(model, "0", max_side=3) as maps:
            model(images)
        wanted = by_hand(model[0], lambda: model(images))[0]
        grid = maps.records()[0].image
        assert np.array_equal(grid.maps, wanted[:, ::3, ::3])
        assert grid.caption.endswith("6 channels, 1 of 3 rows and columns · 4x6x8x8")

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
    def test_other_precisions_are_shown_exactly(self, model, images, dtype):
        """Maps of reduced precision keep their values."""
        model = model.to(dtype).eval()
        with FeatureMaps(model, "0") as maps:
            model(images.to(dtype))
        wanted = by_hand(model[0], lambda: model(images.to(dtype)))[0]
        assert np.array_equal(captured(maps.records()[0]), wanted.double())

    @pytest.mark.parametrize("batch_dim", [0, 1])
    def test_sequences_become_one_picture(self, batch_dim):
        """(N, L, C) or (L, N, C) has its channels down and its positions across."""
        layer = nn.LSTM(4, 7, batch_first=batch_dim == 0)
        x = torch.rand(3, 9, 4) if batch_dim == 0 else torch.rand(9, 3, 4)
        with FeatureMaps(layer, "", sample=2, batch_dim=batch_dim) as maps:
            output, _ = layer(x)
        record = maps.records()[0]
        assert record.tag == "feature_maps/LSTM"
        assert np.array_equal(captured(record)[0], output.select(batch_dim, 2).t().detach())

    def test_flat_activations_have_a_row_for_each_sample(self, model, images):
        """(N, C) is one picture of N rows."""
        model.eval()
        with FeatureMaps(model, "5") as maps:
            logits = model(images)
        assert np.array_equal(captured(maps.records()[0])[0], logits.detach())

    def test_volumes_have_their_slices_as_panels(self):
        """(N, C, D, H, W) gives C cells of D panels."""
        layer = nn.Conv3d(1, 2, 1)
        with FeatureMaps(layer, layer) as maps:
            output = layer(torch.rand(2, 1, 3, 4, 5))
        assert np.array_equal(captured(maps.records()[0]), output[0].detach())

    def test_a_transform_turns_tokens_into_maps(self):
        """The transform's result is shown: here, 16 tokens as maps of 4x4."""
        layer = nn.LayerNorm(8)
        tokens = torch.rand(2, 16, 8)
        with FeatureMaps(
            layer, layer, transform=lambda output: output.transpose(1, 2).unflatten(2, (4, 4))
        ) as maps:
            output = layer(tokens)
        assert np.array_equal(captured(maps.records()[0]), output[0].t().reshape(8, 4, 4).detach())

    def test_the_first_tensor_of_a_nested_output_counts(self):
        """Tuples and dicts are searched in order."""

        class Nested(nn.Module):
            def forward(self, x):
                return {"nothing": None, "more": (x + 1, x)}

        layer = Nested()
        with FeatureMaps(layer, layer) as maps:
            layer(torch.zeros(1, 2, 3, 3))
        assert (captured(maps.records()[0]) == 1).all()


class TestAttention:
    """The weights of attention heads."""

    @pytest.mark.parametrize("batch_first", [True, False])
    @pytest.mark.parametrize("sample", [1, -1])
    def test_weights_are_those_that_the_layer_gives_when_asked(self, batch_first, sample):
        """The heads' weights equal those of need_weights=True, masks included."""
        torch.manual_seed(0)
        layer = nn.MultiheadAttention(8, 4, dropout=0.3, batch_first=batch_first).eval()
        x = torch.rand(3, 5, 8) if batch_first else torch.rand(5, 3, 8)
        masks = {
            "key_padding_mask": torch.tensor([[False] * 5, [False] * 4 + [True], [False] * 3 + [True] * 2]),
            "attn_mask": torch.ones(5, 5, dtype=torch.bool).triu(1).repeat(12, 1, 1),
        }
        _, wanted = layer(x, x, x, average_attn_weights=False, **masks)
        with FeatureMaps(layer, "", show="attention", sample=sample) as maps:
            layer.train()(x, x, x, need_weights=False, **masks)
        record = maps.records()[0]
        np.testing.assert_allclose(captured(record), wanted[sample].detach(), atol=1e-6)
        assert "4 heads" in record.image.caption

    def test_training_is_not_disturbed(self):
        """Neither the mode nor the random numbers of the layer's dropout change."""
        layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=8, batch_first=True)
        x = torch.rand(2, 4, 8)
        torch.manual_seed(3)
        wanted = layer(x)
        torch.manual_seed(3)
        with FeatureMaps(layer, "self_attn", show="attention") as maps, untouched(layer.self_attn.out_proj):
            torch.manual_seed(3)
            got = layer(x)
            torch.manual_seed(3)
        torch.testing.assert_close(got, wanted)
        assert layer.self_attn.training
        assert captured(maps.records()[0]).shape == (2, 4, 4)

    def test_other_layers_have_no_heads(self, model):
        """Asking a convolution for attention raises an error that says what is wanted."""
        with pytest.raises(
            InvalidValueError, match="is of type Conv2d; give layers of type MultiheadAttention"
        ):
            FeatureMaps(model, "0", show="attention")


class TestTheModelIsLeftAlone:
    """Hooks, memory and gradients."""

    @pytest.mark.parametrize("fails", [False, True])
    def test_hooks_come_off(self, model, images, fails):
        """After the block, even if it fails, no hook is left and the model is unchanged."""
        model.eval()

        def run():
            with FeatureMaps(model, "*"):
                model(images)
                if fails:
                    raise KeyError

        with untouched(model):
            if fails:
                with pytest.raises(KeyError):
                    run()
            else:
                run()

    def test_a_training_step_is_the_same_with_and_without(self, model, images):
        """Loss and gradients are equal to the last bit."""
        twin = copy.deepcopy(model)
        for network, context in ((model, FeatureMaps(model, "*", channels=3)), (twin, torch.enable_grad())):
            torch.manual_seed(5)
            with context:
                network(images).square().mean().backward()
        for one, other in zip(model.parameters(), twin.parameters(), strict=True):
            assert torch.equal(one.grad, other.grad)

    @pytest.mark.parametrize("given", slow_but(["the compiled model"], ["its module", "the compiled model"]))
    def test_a_model_that_is_compiled_meanwhile_is_watched(self, model, images, given):
        """torch.compile traces the hooks of either the original or the compiled model, and training goes on."""
        model.eval()
        compiled = torch.compile(model, backend="eager")
        wanted = by_hand(model[0], lambda: model(images))[0]
        watched, layer = (model, "0") if given == "its module" else (compiled, "_orig_mod.0")
        with FeatureMaps(watched, layer) as maps:
            compiled(images).sum().backward()
        assert np.array_equal(captured(maps.records()[0]), wanted)

    @pytest.mark.slow
    def test_the_hooks_in_a_compiled_model_cause_no_warning(self, model, images):
        """The compiler warns about some code that it traces, which a user could not change here."""
        torch._dynamo.reset()
        compiled = torch.compile(model.eval(), backend="eager")
        with warnings.catch_warnings(record=True) as told, FeatureMaps(model, "0"):
            warnings.simplefilter("always")
            compiled(images).sum().backward()
        assert [str(warning.message) for warning in told] == []

    def test_what_torchscript_compiled_takes_no_hooks(self, model):
        """The error says what to give instead."""
        with (
            pytest.raises(InvalidTypeError, match="accepts no hooks"),
            FeatureMaps(torch.jit.script(model), "0"),
        ):
            pass

    def test_no_graph_and_no_activation_is_kept_alive(self, model, images):
        """The output, and with it the autograd graph, is freed while the records still exist."""
        outputs = []
        model[0].register_forward_hook(lambda _module, _inputs, output: outputs.append(weakref.ref(output)))
        with FeatureMaps(model, "0") as maps:
            model(images).sum().backward()
        records = maps.records()
        gc.collect()
        assert outputs[0]() is None
        assert captured(records[0]).shape == (6, 8, 8)

    def test_records_are_of_the_last_forward_pass(self, model, images):
        """With two passes in the block, the second counts, and a layer skipped by it has no record."""
        model.eval()
        with FeatureMaps(model, "0") as maps:
            model(images)
            model(images * 2)
        wanted = by_hand(model[0], lambda: model(images * 2))[0]
        assert np.array_equal(captured(maps.records()[0]), wanted)

    @pytest.mark.cuda
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
    def test_nothing_waits_for_a_cuda_device(self, model, images):
        """With torch's sync debug mode set to error, a pass is captured, by indices too, and the values are exact."""
        model, images = model.cuda().eval(), images.cuda()
        wanted = by_hand(model[0], lambda: model(images))[0].cpu()
        with FeatureMaps(model, "0", channels=[3, 1], show="both") as maps:
            torch.cuda.set_sync_debug_mode("error")
            try:
                model(images)
                records = maps.records()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        assert np.array_equal(records[1].image.maps.numpy(), wanted[[3, 1]])


class TestTheirPictures:
    """The worker's drawings."""

    def test_the_grid_has_matplotlibs_colors(self, model, images):
        """A map's pixels are those of imshow with the same colour map on the map's own limits."""
        model.eval()
        with FeatureMaps(model, "0", colormap="viridis") as maps:
            model(images)
        record = maps.records()[0]
        drawn = cells_of(record.image, 6, 8, 8)
        for pixels, one in zip(drawn, captured(record), strict=True):
            norm = Normalize(one.min(), one.max())
            wanted = ScalarMappable(norm, "viridis").to_rgba(one, bytes=True)[..., :3]
            assert np.abs(pixels - wanted).max() <= 1
        assert record.dataformats == "HWC"
        assert record.image.caption == "0 · Conv2d output · 6 channels · 4x6x8x8"

    def test_one_scale_for_the_layer_makes_maps_comparable(self, model, images):
        """With scale="layer" only the greatest value of all maps has the last colour."""
        model.eval()
        with FeatureMaps(model, "0", scale="layer", colormap="grey") as maps:
            model(images)
        grid = maps.records()[0].image
        greatest = [pixels.max() == 255 for pixels in cells_of(grid, 6, 8, 8)]
        assert greatest == [one.max() == grid.maps.max() for one in grid.maps]

    def test_each_map_has_its_channels_index(self, model, images):
        """Labels count from 0, and those of chosen channels show their indices."""
        with FeatureMaps(model, "0") as all_of_them, FeatureMaps(model, "0", channels=[5, 0, -1]) as chosen:
            model(images)
        assert all_of_them.records()[0].image.labels == list("012345")
        assert chosen.records()[0].image.labels == ["5", "0", "5"]

    def test_the_input_stands_before_the_maps(self, model, images):
        """The shown sample of the input is denormalized; after another call, it is that call's."""
        with FeatureMaps(model, "0", sample=2, mean=[0.1, 0.2, 0.3], std=0.5) as maps:
            model(images)
            (first,) = maps.records()
            model(-images)
        assert np.array_equal(first.image.picture, images[2:3])
        assert np.array_equal(maps.records()[0].image.picture, -images[2:3])
        assert (first.image.mean, first.image.std) == ([0.1, 0.2, 0.3], 0.5)
        drawn, bare = first.image.numpy(), replace(first.image, picture=None).numpy()
        assert not np.array_equal(drawn, bare)

    def test_inputs_that_are_no_picture_are_left_out(self):
        """Tokens and features have no picture; the layer's output is shown all the same."""
        model = nn.Sequential(nn.Linear(4, 4))
        with FeatureMaps(model, "0") as maps:
            model(torch.rand(2, 5, 4))
        assert maps.records()[0].image.picture is None

    def test_maps_on_scales_of_their_own_say_so(self, model, images):
        """Beside the colour bar, the caption says whether the scale is each map's or the layer's."""
        with FeatureMaps(model, "0") as own, FeatureMaps(model, "0", scale="layer") as common:
            model(images)
        own, common = (maps.records()[0].image for maps in (own, common))
        bar = colormap_table("viridis")[[0, -1]]
        for grid in (own, common):
            caption = grid.numpy()[: -len(replace(grid, caption="").numpy())]
            assert all((caption == color).all(axis=2).any() for color in bar)
        assert not np.array_equal(own.numpy()[:90], common.numpy()[:90])


class TestErrors:
    """Errors for arguments that do not fit."""

    def test_a_layer_that_does_not_exist(self, model):
        """The error lists the nearest names."""
        with pytest.raises(InvalidValueError, match="no layer '7'; the nearest are 0, 1"):
            FeatureMaps(model, "7")

    def test_maps_that_were_never_captured(self, model):
        """Without the block there are no maps, and the error says where to run the model."""
        maps = FeatureMaps(model, "0")
        with pytest.raises(InvalidValueError, match=r"before its `with` block.*run the model in the block"):
            maps.records()

    def test_a_layer_that_did_not_run(self, model):
        """Before a forward pass there are no records."""
        with (
            FeatureMaps(model, ["0", "1"]) as maps,
            pytest.raises(InvalidValueError, match="did not run 0, 1;"),
        ):
            maps.records()

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"sample": 4}, r"sample was 4, but 0 returned a batch of 4, shape \(4x6x8x8\)"),
            (
                {"channels": [6]},
                r"The 0 channels were \[6\], but there are 6; give how many, or indices from 0 to 5",
            ),
            (
                {"transform": torch.sum},
                r"layer 0 returned a tensor of shape \(\), which is empty or does not have 2 to 5 axes",
            ),
        ],
    )
    def test_what_does_not_fit_is_said_in_the_forward_pass(self, model, images, arguments, said):
        """The message names the layer, what was given and what is wanted."""
        with FeatureMaps(model, "0", **arguments), pytest.raises(InvalidValueError, match=said):
            model(images)
        assert not model[0]._forward_hooks

    def test_an_output_without_a_tensor(self):
        """A layer that returns a string needs a transform."""

        class Speaker(nn.Module):
            def forward(self, _):
                return "hello"

        layer = Speaker()
        with FeatureMaps(layer, layer), pytest.raises(InvalidTypeError, match="is a str without a tensor"):
            layer(torch.zeros(1))

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"show": "weights"}, "show was 'weights'"),
            ({"max_side": 0}, "max_side was 0"),
            ({"channels": 0}, "channels was 0; give 1 or more"),
            ({"channels": []}, "channels was .*; give 1 or more"),
            ({"colormap": "nope"}, "no colour map named 'nope'"),
            ({"scale": "channel"}, "scale was 'channel'"),
        ],
    )
    def test_wrong_arguments_are_refused_at_once(self, model, arguments, said):
        """The arguments are checked before the model runs."""
        with pytest.raises(InvalidValueError, match=said):
            FeatureMaps(model, "0", **arguments)


class TestExample:
    """The program in examples/adapters."""

    @pytest.mark.slow
    def test_it_logs_what_the_documentation_shows(self, tmp_path, monkeypatch):
        """TensorBoard's reader finds maps of each network, and of the one in training after each epoch."""
        monkeypatch.syspath_prepend(EXAMPLES)
        runpy.run_path(str(EXAMPLES / "feature_maps.py"))["main"](tmp_path)
        images = accumulator(tmp_path).Tags()["images"]
        assert {tag.split("/")[0] for tag in images} == {
            "digits", "resnet18", "vgg11", "vit_attention", "vit_tokens"
        }  # fmt: skip
        assert [event.step for event in accumulator(tmp_path).Images("digits/conv1")] == [0, 1, 2, 3, 4]
