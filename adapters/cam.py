"""Class activation maps: which parts of an image are evidence for a class, by the methods of grad-cam."""

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
    """Draw where each input holds evidence for a class, one grid for each layer.

    The model may be in any mode and on any device. It is left as it was, with its gradients, hooks and random
    state. grad-cam computes the maps, in evaluation mode and without autocast.

    Args:
        model: an image classifier, or any model if `targets` are functions.
        inputs: (N, C, H, W) float32, as the model expects them.
        layers: the layers to take the maps from, usually the last convolution or block: a dotted path, a
            pattern, a type or a module, or a sequence of them. None for FullGrad, which uses no layer.
        method: a class of `pytorch_grad_cam`: GradCAM, HiResCAM, GradCAM++, ScoreCAM, AblationCAM,
            XGradCAM, EigenCAM, EigenGradCAM, LayerCAM, FullGrad, or another one of the installed version.
        targets: one class index for all inputs, one for each input, or None for the predicted classes. For
            any other target, give a function that maps the output for one input to one number, such as
            those of `pytorch_grad_cam.utils.model_targets`.
        mean: with `std`, the normalization of the inputs, to be undone: one number for each channel, or one.
        std: see `mean`.
        class_names: names by class index.
        labels: the true class of each input, shown beside the prediction.
        reshape_transform: turns the output of a layer into (N, C, H, W) if it has another shape:
            `vit_reshape`, `swin_reshape` or a function of your own.
        style: "overlay" blends the map into the input, "heat" and "grey" show the map alone.
        weight: the share of the map in the blend, 0 to 1.
        colormap: the name of a colour map.
        beside_input: whether to draw the input to the left of each map.
        aug_smooth: average over flips and brightnesses of the input. This takes six times as long.
        eigen_smooth: use the first principal component of the weighted activations instead of their sum.
        progress: whether methods that run the model once per channel show a progress bar.
        tag: the records' tags are `<tag>/<method>/<layer>`.

    Returns:
        One record for each layer. FullGrad and RefineCAM return a single one, whose tag has no layer.

    Raises:
        InvalidValueError: a layer is not found or does not run, its output is not an image, a class is
            out of range, or the inputs do not fit the model.
        InvalidTypeError: inputs, layers or targets have a wrong type.
        MissingDependencyError: grad-cam is not installed.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from tblog.adapters.cam import class_activation_maps
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
        >>> records = class_activation_maps(model, torch.rand(2, 1, 16, 16), "1")
        >>> records[0].tag
        'cam/GradCAM/1'
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
    """Turn the tokens of torchvision's vision transformers into (N, C, H, W), without the class token.

    Choose a layer before the last attention (`encoder.layers.encoder_layer_11.ln_1`). After it, the class
    depends only on the class token.

    Args:
        tokens: (N, 1 + H * W, C).
        height: the number of patches from top to bottom. Leave out both `height` and `width` for square
            images. For others, give `functools.partial(vit_reshape, height=..., width=...)`.
        width: the number of patches from left to right.

    Raises:
        InvalidValueError: the number of tokens does not fit.

    Example:
        >>> import torch
        >>> from tblog.adapters.cam import vit_reshape
        >>> vit_reshape(torch.zeros(1, 1 + 14 * 14, 768)).shape
        torch.Size([1, 768, 14, 14])
    """
    number, length, channels = tokens.shape
    height = height or round((length - 1) ** 0.5)
    width = width or (length - 1) // height
    if 1 + height * width != length:
        raise InvalidValueError(
            f"The layer has {length} tokens, not 1 + {height} x {width} patches; "
            "give functools.partial(vit_reshape, height=..., width=...)"
        )
    return tokens[:, 1:].reshape(number, height, width, channels).permute(0, 3, 1, 2)


def swin_reshape(features: torch.Tensor) -> torch.Tensor:
    """Turn (N, H, W, C) of torchvision's Swin transformers ("features.7.1.norm1", "norm") into (N, C, H, W).

    Example:
        >>> import torch
        >>> from tblog.adapters.cam import swin_reshape
        >>> swin_reshape(torch.zeros(1, 7, 7, 768)).shape
        torch.Size([1, 768, 7, 7])
    """
    return features.permute(0, 3, 1, 2)


def _require_usable(model: nn.Module, inputs: torch.Tensor) -> None:
    import torch

    if next(model.parameters(), None) is None:
        raise InvalidTypeError(
            f"{type(model).__name__} has no parameters, like a quantized model, but grad-cam needs gradients; "
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
            f"{method} needs layers, but layers was None; give the path of the last convolution"
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
    """Run the model once, for its output and to check that a map can be made from each layer's output."""
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
                f"Layer {name} returns the shape {tuple(activation.shape)}, but a map needs (N, C, H, W); choose "
                "another layer, or give reshape_transform=vit_reshape or a function that returns that shape"
            )
        shapes[name] = tuple(picture.shape[1:])
    return shapes, outputs


def _function(target: Target) -> Callable[[Any], torch.Tensor]:
    if callable(target):
        return target
    index = target
    return lambda output: output[..., index]
