"""Class activation maps: which parts of a picture speak for a class, by the methods of grad-cam."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tblog._values.arrays import snapshot
from tblog.adapters._classes import ClassNames, TrueClasses, target_labels
from tblog.adapters._gradcam import (
    LAYERLESS,
    MULTIPLYING,
    OWN_TARGETS,
    ReshapeTransform,
    children_kept,
    find_method,
    masks_of,
    progress_bars,
)
from tblog.adapters._hooks import Hooks
from tblog.adapters._layers import Layers, display_name, find_layers, require_ran
from tblog.adapters._overlays import OverlayGrid, Style
from tblog.adapters._pictures import ChannelValues, require_channel_values
from tblog.adapters._targets import Target, Targets, chosen_targets, own_inputs, run, undisturbed
from tblog.errors import InvalidTypeError, InvalidValueError
from tblog.records import ImageRecord

if TYPE_CHECKING:
    import torch
    from torch import nn


def class_activation_maps(
    model: nn.Module,
    inputs: torch.Tensor,
    layers: Layers | None,
    method: str = "GradCAM",
    targets: Targets = None,
    mean: ChannelValues = None,
    std: ChannelValues = None,
    *,
    class_names: ClassNames = None,
    labels: TrueClasses = None,
    reshape_transform: ReshapeTransform | None = None,
    style: Style = "overlay",
    weight: float = 0.5,
    colormap: str = "jet",
    beside_input: bool = True,
    aug_smooth: bool = False,
    eigen_smooth: bool = False,
    progress: bool = False,
    tag: str = "cam",
) -> list[ImageRecord]:
    """Draw where the evidence for a class lies in each input, one grid for each layer.

    The model may be in any mode and on any device; it is left as it was, gradients, hooks and random
    state included. The maps are grad-cam's own, computed in evaluation mode and without autocast.

    Args:
        model: a classifier of pictures, or any model if `targets` are functions.
        inputs: (N, C, H, W) float32 as the model takes them.
        layers: where the maps are taken, usually the last convolution or block: a dotted path, a
            pattern, a type or a module, or a sequence of them. FullGrad has no layer and takes None.
        method: a class of `pytorch_grad_cam`: GradCAM, HiResCAM, GradCAM++, ScoreCAM, AblationCAM,
            XGradCAM, EigenCAM, EigenGradCAM, LayerCAM, FullGrad and whatever else is installed.
        targets: a class index for all inputs, one for each, or None for the predicted classes. A
            function of the output of one input, which returns one number, stands for anything else
            (those of `pytorch_grad_cam.utils.model_targets` are such).
        mean: with `std`, undoes the normalization of the inputs; one number for each channel, or one.
        std: see `mean`.
        class_names: by class index.
        labels: the true class of each input, told beside the prediction.
        reshape_transform: makes (N, C, H, W) of a layer's output that is anything else: `vit_reshape`,
            `swin_reshape` or a function of your own.
        style: "overlay" blends the map into the input, "heat" and "grey" show it alone.
        weight: of the map in the blend, 0 to 1.
        colormap: the name of a colour map.
        beside_input: whether the input stands at the left of each map.
        aug_smooth: average over flips and brightnesses of the input, which takes six times as long.
        eigen_smooth: take the first principal component of the weighted activations, not their sum.
        progress: whether methods that run the model for each channel show their progress bars.
        tag: the records' tags are `<tag>/<method>/<layer>`.

    Returns:
        One record for each layer; one in all for FullGrad and RefineCAM, whose tag has no layer.

    Raises:
        InvalidValueError: a layer is not found or does not run, its output is no picture, a class is
            out of range, or the inputs do not fit the model.
        InvalidTypeError: inputs, layers or targets are of a wrong type.
        MissingDependencyError: grad-cam is not installed.
    """
    method, cam_class = find_method(method)
    options = {
        name: True for name, on in {"aug_smooth": aug_smooth, "eigen_smooth": eigen_smooth}.items() if on
    }
    found = _found(model, layers, method)
    with undisturbed(model), children_kept(model), progress_bars(shown=progress):
        own = own_inputs(model, inputs, dimensions=[4])
        require_channel_values(own.shape[1], mean, std)
        _require_usable(model, own)
        shapes, outputs = _first_run(model, own, found, reshape_transform)
        chosen = chosen_targets(targets, outputs, len(own))
        lines = target_labels(outputs, chosen, class_names, labels)
        functions = (
            None if method == OWN_TARGETS and targets is None else [_function(target) for target in chosen]
        )
        masks = {
            name: masks_of(cam_class, model, group, own, functions, reshape_transform, options)
            for name, group in _groups(found, method).items()
        }
    pictures = snapshot(own, tag)
    return [
        ImageRecord(
            tag="/".join(filter(None, (tag, method, name))),
            image=OverlayGrid(
                maps=maps,
                inputs=pictures,
                mean=mean,
                std=std,
                labels=lines if any(lines) else (),
                caption=f"{method} of {name}, {'x'.join(map(str, shapes[name]))}"
                if name in shapes
                else method,
                style=style,
                colormap=colormap,
                weight=weight,
                beside_input=beside_input,
            ),
            dataformats="HWC",
        )
        for name, maps in masks.items()
    ]


def vit_reshape(tokens: torch.Tensor, height: int | None = None, width: int | None = None) -> torch.Tensor:
    """Make (N, C, H, W) of the tokens of torchvision's vision transformers, without the class token.

    Take a layer before the last attention (`encoder.layers.encoder_layer_11.ln_1`): behind it the
    class depends on the class token alone.

    Args:
        tokens: (N, 1 + H * W, C).
        height: patches from top to bottom; with `width` None for square pictures. For others give
            `functools.partial(vit_reshape, height=..., width=...)`.
        width: patches from left to right.
    """
    number, length, channels = tokens.shape
    height = height or round((length - 1) ** 0.5)
    width = width or (length - 1) // height
    if 1 + height * width != length:
        raise InvalidValueError(
            f"The layer has {length} tokens, which are not one and {height} x {width} patches; "
            "give functools.partial(vit_reshape, height=..., width=...)"
        )
    return tokens[:, 1:].reshape(number, height, width, channels).permute(0, 3, 1, 2)


def swin_reshape(features: torch.Tensor) -> torch.Tensor:
    """Make (N, C, H, W) of the (N, H, W, C) of torchvision's Swin transformers ("features.7.1.norm1", "norm")."""
    return features.permute(0, 3, 1, 2)


def _require_usable(model: nn.Module, inputs: torch.Tensor) -> None:
    import torch

    if next(model.parameters(), None) is None:
        raise InvalidTypeError(
            f"{type(model).__name__} has no parameters, as quantized models have none, and grad-cam needs gradients; "
            "give the model in floating point"
        )
    if inputs.dtype == torch.bfloat16:
        raise InvalidTypeError(
            "The inputs were bfloat16, which grad-cam cannot turn into maps; give a copy of the model in float32, "
            "copy.deepcopy(model).float(), and such inputs"
        )


def _found(model: nn.Module, layers: Layers | None, method: str) -> dict[str, nn.Module]:
    if method == LAYERLESS:
        return {}
    if layers is None:
        raise InvalidValueError(
            f"{method} needs layers and None was given; give the path of the last convolution"
        )
    return {display_name(model, path): layer for path, layer in find_layers(model, layers).items()}


def _groups(found: Mapping[str, nn.Module], method: str) -> dict[str, list[nn.Module]]:
    if method in {LAYERLESS, MULTIPLYING}:
        return {"": list(found.values())}
    return {name: [layer] for name, layer in found.items()}


def _first_run(
    model: nn.Module,
    inputs: torch.Tensor,
    layers: Mapping[str, nn.Module],
    transform: ReshapeTransform | None,
) -> tuple[dict[str, tuple[int, ...]], Any]:
    """Run the model once, for its output and to see that each layer gives what a map can be made of."""
    import torch

    activations: dict[str, Any] = {}
    with Hooks() as hooks, torch.no_grad():
        for name, layer in layers.items():
            hooks.forward(
                layer, lambda _layer, _args, _kwargs, output, name=name: activations.update({name: output})
            )
        outputs = run(model, inputs)
    require_ran(model, layers, activations)
    shapes = {}
    for name, activation in activations.items():
        if not isinstance(activation, torch.Tensor):
            raise InvalidTypeError(
                f"Layer {name} returns {type(activation).__name__}; choose one that returns a tensor"
            )
        picture = activation if transform is None else transform(activation)
        if picture.dim() != 4:
            raise InvalidValueError(
                f"Layer {name} returns the shape {tuple(activation.shape)}, and a map needs (N, C, H, W); choose "
                "another layer, or give reshape_transform=vit_reshape or a function that makes that shape of it"
            )
        shapes[name] = tuple(picture.shape[1:])
    return shapes, outputs


def _function(target: Target) -> Callable[[Any], torch.Tensor]:
    if callable(target):
        return target
    index = target
    return lambda output: output[..., index]
