"""Tests of adapters/cam.py: the masks are grad-cam's own, and nothing of grad-cam is left behind."""

import functools
import gc
import sys
import weakref

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from tblog.adapters._gradcam import find_method
from tblog.adapters._layout import arrangement, resized
from tblog.adapters.cam import class_activation_maps, swin_reshape, vit_reshape
from tblog.errors import InvalidTypeError, InvalidValueError
from tests.slow import slow_but
from tests.untouched import untouched

torch.set_num_threads(1)

METHODS = [
    "GradCAM",
    "HiResCAM",
    "GradCAMPlusPlus",
    "ScoreCAM",
    "AblationCAM",
    "XGradCAM",
    "EigenCAM",
    "EigenGradCAM",
    "LayerCAM",
    "FullGrad",
    "GradCAMElementWise",
    "ShapleyCAM",
    "FinerCAM",
    "FEM",
    "KPCA_CAM",
    "RandomCAM",
    "RefineCAM",
    "SegEigenCAM",
    "SESS",
]
LAST_CONVOLUTION = "4"


def _network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 5),
    )


def _pictures(number=2, side=16):
    return torch.randn(number, 3, side, side, generator=torch.Generator().manual_seed(1))


def _trained_a_little(model):
    """Give each part of the model a state that could be lost."""
    model(_pictures()).sum().backward()
    model[0].register_forward_hook(lambda *_: None)
    model[4].register_full_backward_hook(lambda *_: None)
    model[1].eval()
    model[10].weight.requires_grad_(requires_grad=False)
    return model


def _seed():
    np.random.seed(0)  # noqa: NPY002  (the state that RandomCAM draws from)


def _own_masks(method, model, layers, inputs, targets, **options):
    """Return the masks that grad-cam gives when called directly."""
    _seed()
    cam = find_method(method)[1](model, layers, **options)
    return cam(inputs.clone(), targets)


@pytest.mark.parametrize("classes", [None, [1, 4]], ids=["predicted", "asked"])
@pytest.mark.parametrize("method", METHODS)
def test_masks_are_those_of_grad_cam(method, classes):
    """Each method gives the package's masks bit for bit, and leaves the model unchanged."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model, inputs = _trained_a_little(_network()), _pictures()
    layers = None if method == "FullGrad" else LAST_CONVOLUTION
    _seed()
    with untouched(model):
        (record,) = class_activation_maps(model, inputs, layers, method, classes)
    twin = _trained_a_little(_network()).requires_grad_()
    wanted = None if classes is None else [ClassifierOutputTarget(index) for index in classes]
    own = _own_masks(method, twin, [] if method == "FullGrad" else [twin[4]], inputs, wanted)
    np.testing.assert_array_equal(record.image.maps, own)


def test_each_installed_method_is_tested():
    """The test above covers every method of the installed version."""
    with pytest.raises(InvalidValueError) as error:
        find_method("none of them")
    assert set(str(error.value).split(" it has ")[-1].split(", ")) == set(METHODS)


def test_shapley_cam_takes_a_last_layer_and_no_reshape_transform():
    """If nothing after a layer is nonlinear, its second gradients are 0; grad-cam does not reshape in this method."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def make():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
        )

    model, inputs = make(), _pictures()
    with untouched(model):
        (record,) = class_activation_maps(model, inputs, "1", "ShapleyCAM", 2)
    twin = make()
    own = _own_masks("ShapleyCAM", twin, [twin[1]], inputs, [ClassifierOutputTarget(2)] * 2)
    np.testing.assert_array_equal(record.image.maps, own)
    with untouched(model), pytest.raises(InvalidValueError, match="choose another method"):
        class_activation_maps(model, inputs, "1", "ShapleyCAM", 2, reshape_transform=nn.Identity())


def test_each_layer_gives_a_record_in_the_order_asked():
    """Layers given out of order get their own maps, not each other's."""
    model, inputs = _network(), _pictures()
    records = class_activation_maps(model, inputs, [LAST_CONVOLUTION, "0"], tag="explained")
    assert [record.tag for record in records] == ["explained/GradCAM/4", "explained/GradCAM/0"]
    for record, path in zip(records, [4, 0], strict=True):
        np.testing.assert_array_equal(
            record.image.maps, _own_masks("GradCAM", model, [model[path]], inputs, None)
        )


def test_a_class_a_list_a_tensor_and_a_function_mean_the_same():
    """Targets may be given in any of these forms."""
    model, inputs = _network(), _pictures()
    given = [
        3,
        [3, 3],
        torch.tensor([3, 3]),
        np.int64(3),
        lambda output: output[3],
        [lambda output: output[3], 3],
    ]
    maps = [
        class_activation_maps(model, inputs, LAST_CONVOLUTION, targets=each)[0].image.maps for each in given
    ]
    for each in maps[1:]:
        np.testing.assert_array_equal(each, maps[0])
    assert not np.array_equal(
        maps[0], class_activation_maps(model, inputs, LAST_CONVOLUTION, targets=1)[0].image.maps
    )


def test_smoothing_is_that_of_grad_cam():
    """The package receives aug_smooth and eigen_smooth."""
    model, inputs = _network(), _pictures()
    (record,) = class_activation_maps(model, inputs, LAST_CONVOLUTION, aug_smooth=True, eigen_smooth=True)
    own = find_method("GradCAM")[1](model, [model[4]])(inputs, None, aug_smooth=True, eigen_smooth=True)
    np.testing.assert_array_equal(record.image.maps, own)


def test_vision_transformers_of_torchvision():
    """vit_reshape turns the patches' tokens into a picture, square or not."""
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=5
    )
    layer = "encoder.layers.encoder_layer_1.ln_1"
    nn.init.normal_(model.heads.head.weight)
    inputs = _pictures(side=32)
    oblong = functools.partial(vit_reshape, height=2, width=8)
    for reshape in (vit_reshape, oblong):
        for method in ("GradCAM", "AblationCAM"):
            with untouched(model):
                (record,) = class_activation_maps(model, inputs, layer, method, 1, reshape_transform=reshape)
            assert record.image.maps.shape == (2, 32, 32)
            assert record.image.maps.max() > 0
    own = _own_masks(
        "GradCAM", model, [model.get_submodule(layer)], inputs, None, reshape_transform=_tokens_by_hand
    )
    (record,) = class_activation_maps(model, inputs, layer, reshape_transform=vit_reshape)
    np.testing.assert_allclose(
        record.image.maps, own, atol=1e-6
    )  # attention sums in another order in training mode
    with pytest.raises(InvalidValueError, match="17 tokens"):
        class_activation_maps(
            model, inputs, layer, reshape_transform=functools.partial(vit_reshape, height=3)
        )


def _tokens_by_hand(tokens):
    return torch.stack([tokens[:, 1 + 4 * row : 5 + 4 * row].transpose(1, 2) for row in range(4)], dim=2)


def test_swin_transformers_of_torchvision():
    """swin_reshape moves the channels to the front."""
    from torchvision.models import SwinTransformer

    torch.manual_seed(0)
    model = SwinTransformer(
        patch_size=[4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=[4, 4], num_classes=5
    )
    inputs = _pictures(side=32)
    with untouched(model):
        (record,) = class_activation_maps(model, inputs, "norm", reshape_transform=swin_reshape)
    own = _own_masks(
        "GradCAM", model, [model.norm], inputs, None, reshape_transform=lambda x: x.movedim(-1, 1)
    )
    np.testing.assert_array_equal(record.image.maps, own)


@pytest.mark.parametrize("method", slow_but(["GradCAM"], ["GradCAM", "AblationCAM", "ShapleyCAM"]))
def test_memory_and_objects_stay_flat_over_200_rounds(method):
    """A round leaves no tensor or module behind, and the process does not grow by its activations."""
    model, inputs = _network(), _pictures(number=1, side=48)

    def rounds(number):
        for _ in range(number):
            class_activation_maps(model, inputs, LAST_CONVOLUTION, method)
        gc.collect()

    rounds(10)
    tensors, resident = _living(), psutil.Process().memory_info().rss
    rounds(200)
    assert _living() == tensors
    least_leak = 200 * 4 * 4 * 48 * 48  # only the first layer's output in each round
    assert psutil.Process().memory_info().rss - resident < least_leak


def _living():
    return sum(issubclass(type(thing), (torch.Tensor, nn.Module)) for thing in gc.get_objects())


def test_nothing_waits_for_the_garbage_collector():
    """Activations are freed when the call returns, although grad-cam's graph holds hooks that hold them."""
    model, kept = _network(), []
    model[4].register_forward_hook(lambda _module, _args, output: kept.append(weakref.ref(output)))
    gc.disable()
    try:
        for method in ("GradCAM", "ScoreCAM", "ShapleyCAM"):
            class_activation_maps(model, _pictures(), LAST_CONVOLUTION, method)
    finally:
        gc.enable()
    assert kept
    assert not any(reference() is not None for reference in kept)


@pytest.mark.parametrize("method", ["GradCAM", "AblationCAM", "ScoreCAM"])
def test_a_failure_half_way_leaves_the_model_as_it_was(method):
    """A target that raises half-way loses no mode, gradient, hook or layer."""
    model, calls = _trained_a_little(_network()), []

    def breaking(output):
        calls.append(output)
        if len(calls) == {"GradCAM": 1, "AblationCAM": 4, "ScoreCAM": 3}[method]:
            raise KeyError
        return output[0]

    with untouched(model), pytest.raises(KeyError):
        class_activation_maps(model, _pictures(), LAST_CONVOLUTION, method, breaking)


@pytest.mark.parametrize("surroundings", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
def test_the_callers_modes_do_not_reach_in(surroundings):
    """Under no_grad, inference mode or autocast the maps are the same."""
    model, inputs = _network(), _pictures()
    (wanted,) = class_activation_maps(model, inputs, LAST_CONVOLUTION)
    with surroundings(), untouched(model):
        (record,) = class_activation_maps(model, inputs * 1, LAST_CONVOLUTION)
    np.testing.assert_array_equal(record.image.maps, wanted.image.maps)


def test_loading_grad_cam_draws_no_random_number(tmp_path, monkeypatch):
    """A seeded training continues unchanged: loading scikit-learn, as grad-cam does, moves Python's random state."""
    (tmp_path / "pytorch_grad_cam.py").write_text("import random\nrandom.random()\ndrawn = True\n")
    monkeypatch.delitem(sys.modules, "pytorch_grad_cam", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with untouched(nn.Identity()), pytest.raises(InvalidValueError, match="no method"):
        find_method("GradCAM")
    assert sys.modules.pop("pytorch_grad_cam").drawn


def test_what_has_no_gradients_in_numpys_terms_is_refused():
    """For models without parameters (quantized ones), bfloat16 and TorchScript, the error says what to give."""
    plain = nn.Sequential(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(InvalidTypeError, match="has no parameters"):
        class_activation_maps(plain, _pictures(), "0")
    model = _network().bfloat16()
    with untouched(model), pytest.raises(InvalidTypeError, match="bfloat16"):
        class_activation_maps(model, _pictures().bfloat16(), LAST_CONVOLUTION)
    with pytest.raises(InvalidTypeError, match="accepts no hooks"):
        class_activation_maps(torch.jit.script(_network()), _pictures(), LAST_CONVOLUTION)


def test_a_head_without_gradients_is_refused_by_the_methods_that_need_them():
    """A dynamically quantized head passes none back: the error says so; methods without gradients still work."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    for method in ("GradCAM", "LayerCAM", "ShapleyCAM", "FullGrad"):
        with untouched(quantized), pytest.raises(InvalidTypeError, match="quantized"):
            class_activation_maps(quantized, _pictures(), None if method == "FullGrad" else "1", method)
    (record,) = class_activation_maps(quantized, _pictures(), "1", "ScoreCAM")
    assert np.ptp(record.image.maps) > 0


def test_frozen_models_have_maps():
    """A model whose parameters need no gradients is explained like any other."""
    model, inputs = _network(), _pictures()
    (wanted,) = class_activation_maps(model, inputs, LAST_CONVOLUTION)
    (record,) = class_activation_maps(model.requires_grad_(requires_grad=False), inputs, LAST_CONVOLUTION)
    np.testing.assert_array_equal(record.image.maps, wanted.image.maps)


def test_nothing_is_printed(capsys):
    """Slow methods show progress only if asked."""
    for method in ("ScoreCAM", "AblationCAM", "FullGrad"):
        class_activation_maps(_network(), _pictures(), LAST_CONVOLUTION, method)
    assert capsys.readouterr() == ("", "")
    class_activation_maps(_network(), _pictures(), LAST_CONVOLUTION, "ScoreCAM", progress=True)
    assert "it/s" in capsys.readouterr().err


def test_labels_tell_the_class_its_score_and_the_prediction():
    """A label names the target with its share, the prediction if it is another class, and the truth if given."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.zeros_(model[0].weight)
    model[0].bias.data = torch.tensor([0.0, 9.0]).log1p()  # softmax: 1 / 11 and 10 / 11
    inputs = torch.rand(2, 1, 4, 4)
    (record,) = class_activation_maps(model, inputs, "0", targets=[0, 1], class_names=["cat", "dog"])
    assert record.image.labels == ["cat · 9 % (predicted dog · 91 %)", "dog · 91 %"]
    (record,) = class_activation_maps(
        model, inputs, "0", targets=[0, 1], class_names=["cat", "dog"], labels=torch.tensor([1, 0])
    )
    assert record.image.labels == [
        "cat · 9 % · true dog, predicted dog (91 %)",
        "true cat, predicted dog (91 %)",
    ]
    (record,) = class_activation_maps(model, inputs, "0", labels=[0, 7])
    assert record.image.labels == ["true 0, predicted 1 (91 %)", "true 7, predicted 1 (91 %)"]
    (record,) = class_activation_maps(
        model, inputs, "0", targets=lambda output: output[0], class_names={0: "cat"}
    )
    assert record.image.labels == ["predicted 1 · 91 %"] * 2


@pytest.mark.parametrize(
    ("labels", "error", "told"),
    [
        ([1], InvalidValueError, "There were 1 labels for 2"),
        (["a", "b"], InvalidTypeError, "true class of each"),
    ],
)
def test_wrong_labels_are_refused(labels, error, told):
    """There must be one label for each input, and it must be an index."""
    with pytest.raises(error, match=told):
        class_activation_maps(_network(), _pictures(), LAST_CONVOLUTION, labels=labels)


def test_overlay_blends_the_map_into_the_unnormalised_input():
    """With weight 0 the picture is the input as it was before normalization, with 1 the coloured map."""
    model, pictures = _network(), torch.rand(1, 3, 64, 64)
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    inputs = (pictures - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    draw = functools.partial(class_activation_maps, model, inputs, LAST_CONVOLUTION, mean=mean, std=std)
    plain, blended, heat = (
        draw(**options)[0].image.numpy() for options in ({"weight": 0}, {"weight": 0.25}, {"style": "heat"})
    )
    place = arrangement(1, 64, 64, panels=2, above=28)
    size = place.height
    left = slice(place.gap, place.gap + size)
    right = slice(left.stop + place.line, left.stop + place.line + size)
    original = (pictures[0] * 255).round().byte().permute(1, 2, 0).numpy()
    wanted = resized(original[None], size, size)[0]
    bottom = slice(-place.gap - size, -place.gap)
    for side in (left, right):
        assert plain[bottom, side].shape == wanted.shape
        np.testing.assert_allclose(plain[bottom, side].astype(int), wanted, atol=1)
    mixed = 0.25 * heat[bottom, right] + 0.75 * wanted
    np.testing.assert_allclose(blended[bottom, right], mixed, atol=2)  # rounded before and after resizing


def test_a_missing_layer_names_the_nearest():
    """The error for a wrong path lists the nearest layers."""
    with pytest.raises(InvalidValueError, match=r"no layer '44'.*4"):
        class_activation_maps(_network(), _pictures(), "44")


def test_a_layer_that_does_not_run_is_told():
    """A layer that the forward pass skips is an error, not an empty map."""

    class Skipping(nn.Sequential):
        def forward(self, pictures):
            return self[3](self[2](self[1](pictures)))

    model = Skipping(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with untouched(model), pytest.raises(InvalidValueError, match="did not run 0"):
        class_activation_maps(model, _pictures(), "0")


def test_a_layer_without_a_picture_points_to_reshape_transform():
    """The error for a layer whose output has no height and width shows its shape and what to do."""
    with pytest.raises(InvalidValueError, match=r"\(2, 24\).*reshape_transform"):
        class_activation_maps(_network(), _pictures(), "9")


@pytest.mark.parametrize(
    ("targets", "told"), [(5, "0 to 4"), ([0, -1], "0 to 4"), ([0, 1, 2], "3 targets .* 2")]
)
def test_a_class_out_of_range_is_refused(targets, told):
    """The error for a missing class shows the range; one for a wrong number of targets shows both numbers."""
    with pytest.raises(InvalidValueError, match=told):
        class_activation_maps(_network(), _pictures(), LAST_CONVOLUTION, targets=targets)


@pytest.mark.parametrize(
    ("inputs", "error", "told"),
    [
        (torch.rand(3, 16, 16), InvalidValueError, r"\(3, 16, 16\).*inputs\[None\]"),
        (torch.rand(2, 1, 16, 16), InvalidValueError, r"\(2, 1, 16, 16\).*expected input"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), InvalidTypeError, "uint8.*floating point"),
        ([[1.0]], InvalidTypeError, "list.*floating point"),
    ],
)
def test_an_input_of_a_wrong_shape_is_refused(inputs, error, told):
    """The error for an input that the model rejects shows its shape."""
    model = _network()
    with untouched(model), pytest.raises(error, match=told):
        class_activation_maps(model, inputs, LAST_CONVOLUTION)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"method": "GradCam2"}, "nearest are GradCAM"),
        ({"layers": None}, "needs layers"),
        ({"method": "FinerCAM", "aug_smooth": True}, "FinerCAM cannot smooth"),
        ({"mean": [0.5, 0.5]}, "3 channels"),
        ({"style": "pretty"}, "overlay"),
        ({"weight": 2}, "0 to 1"),
        ({"colormap": "jett"}, "jet"),
    ],
)
def test_wrong_options_are_refused_in_the_call(wrong, told):
    """A wrong option raises before anything reaches the worker."""
    with pytest.raises(InvalidValueError, match=told):
        class_activation_maps(
            **{"model": _network(), "inputs": _pictures(), "layers": LAST_CONVOLUTION} | wrong
        )


def test_names_of_methods_are_taken_in_any_case():
    """GradCAM++ and gradcam have their usual meanings."""
    assert find_method("GradCAM++")[0] == "GradCAMPlusPlus"
    assert find_method("layercam")[0] == "LayerCAM"
