"""Saliency maps: how strongly the score of a class depends on each pixel of an input, by gradients."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tblog._values.arrays import snapshot
from tblog.adapters._attributions import METHODS, Averaging, averaging
from tblog.adapters._classes import ClassNames, TrueClasses, target_labels
from tblog.adapters._overlays import OverlayGrid, Style
from tblog.adapters._pictures import ChannelValues, require_channel_values
from tblog.adapters._targets import (
    Target,
    Targets,
    chosen_targets,
    input_gradient,
    own_inputs,
    run,
    score,
    undisturbed,
)
from tblog.errors import InvalidValueError, shortened
from tblog.records import ImageRecord

if TYPE_CHECKING:
    import torch
    from torch import nn

_DIMENSIONS: Final = (2, 3, 4)
_TITLES: Final = {
    "gradient": "Saliency by gradients",
    "input_x_gradient": "Saliency by input times gradient",
    "guided_backprop": "Saliency by guided backpropagation",
    "smooth_grad": "Saliency by SmoothGrad, {steps} noisy inputs",
    "integrated_gradients": "Saliency by integrated gradients, {steps} steps",
}


def saliency_maps(
    model: nn.Module,
    inputs: torch.Tensor,
    targets: Targets = None,
    method: str = "gradient",
    *,
    mean: ChannelValues = None,
    std: ChannelValues = None,
    class_names: ClassNames = None,
    labels: TrueClasses = None,
    steps: int | None = None,
    noise: float | None = None,
    baseline: torch.Tensor | float | None = None,
    seed: int | None = None,
    style: Style = "heat",
    weight: float = 0.5,
    colormap: str = "hot",
    percentile: float = 99.0,
    beside_input: bool = True,
    tag: str = "saliency",
) -> list[ImageRecord]:
    """Draw how strongly the score of a class depends on each pixel of each input.

    A map is the maximum magnitude, over the channels, of what `attributions` returns.

    Args:
        model: a classifier, or any model if `targets` are functions. It is left as it was.
        inputs: (N, C, H, W), (N, C, L) or (N, features) floats, as the model expects them.
        targets: one class index for all inputs, one for each input, or None for the predicted classes. For
            any other target, give a function that maps the output for one input to one number.
        method: "gradient", "input_x_gradient", "guided_backprop", "smooth_grad" or "integrated_gradients".
            `attributions` describes them.
        mean: with `std`, the normalization of the inputs, to be undone: one number for each channel, or one.
        std: see `mean`.
        class_names: names by class index.
        labels: the true class of each input, shown beside the prediction.
        steps: the number of gradients that smooth_grad and integrated_gradients average; 50, if None.
        noise: standard deviation of smooth_grad's noise, as a share of each input's range; 0.15, if None.
        baseline: the start of integrated_gradients: a number, or a tensor like the inputs; 0, if None.
        seed: the seed of smooth_grad's noise; 0, if None.
        style: "heat" and "grey" show the map alone, "overlay" blends it into the input.
        weight: the share of the map in the blend, 0 to 1.
        colormap: the name of a colour map.
        percentile: the percentile of a map that gets the last colour. With 100, a single bright pixel can
            darken all others.
        beside_input: whether to draw the input to the left of each map.
        tag: the record's tag is `<tag>/<method>`.

    Returns:
        One record: a grid of all inputs. Inputs (N, C, L) are drawn with L from left to right and C
        from top to bottom, and (N, features) as one line.

    Raises:
        InvalidValueError: a class is out of range, the inputs do not fit the model, or an option is wrong,
            or is none of the method's.
        InvalidTypeError: inputs or targets have a wrong type.

    Example:
        >>> import torch
        >>> from tblog.adapters.saliency import saliency_maps
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
        >>> records = saliency_maps(model, torch.rand(2, 1, 8, 8))
        >>> records[0].tag
        'saliency/gradient'
    """
    settings = _settings(method, steps, noise, baseline, seed)
    explained = _explained(model, inputs, targets, method, settings)
    pictures, maps = explained.inputs, explained.attributions.abs()
    title = _TITLES[method].format(steps=settings.steps)
    if maps.dim() == 4:
        require_channel_values(maps.shape[1], mean, std)
        title += " · greatest over channels" if maps.shape[1] > 1 else ""
        maps = maps.amax(dim=1)
    else:
        maps = maps if maps.dim() == 3 else maps[:, None]
        pictures = pictures.reshape(len(maps), 1, *maps.shape[1:])
    lines = target_labels(explained.outputs, explained.chosen, class_names, labels)
    grid = OverlayGrid(
        maps=snapshot(maps, tag),
        inputs=snapshot(pictures, tag),
        mean=mean,
        std=std,
        labels=lines if any(lines) else (),
        caption=title,
        style=style,
        weight=weight,
        colormap=colormap,
        percentile=percentile,
        beside_input=beside_input,
    )
    return [ImageRecord(tag=f"{tag}/{method}", image=grid, dataformats="HWC")]


def attributions(
    model: nn.Module,
    inputs: torch.Tensor,
    targets: Targets = None,
    method: str = "gradient",
    *,
    steps: int | None = None,
    noise: float | None = None,
    baseline: torch.Tensor | float | None = None,
    seed: int | None = None,
) -> torch.Tensor:
    """Return how each element of each input contributes to the score of its target, or changes it.

    The model runs in evaluation mode and without autocast, on any device. It is left as it was.

    Args:
        model: a classifier, or any model if `targets` are functions.
        inputs: (N, C, H, W), (N, C, L) or (N, features) floats, as the model expects them.
        targets: one class index for all inputs, one for each input, or None for the predicted classes. For
            any other target, give a function that maps the output for one input to one number.
        method: "gradient", "input_x_gradient", "guided_backprop" (each ReLU, module or function, passes only
            positive gradients), "smooth_grad" (gradients averaged over noisy inputs) or
            "integrated_gradients" (gradients averaged along the path from a baseline, times the length of
            the path; they add up to the difference of the two scores).
        steps: the number of gradients that smooth_grad and integrated_gradients average; 50, if None.
        noise: standard deviation of smooth_grad's noise, as a share of each input's range; 0.15, if None.
        baseline: the start of integrated_gradients: a number, or a tensor like the inputs. With
            normalized inputs, 0 is the mean colour.
        seed: the seed of smooth_grad's noise; 0, if None.

    Returns:
        A tensor like the inputs, on the model's device.

    Raises:
        InvalidValueError: a class is out of range, the inputs do not fit the model, or an option is wrong,
            or is none of the method's.
        InvalidTypeError: inputs or targets have a wrong type, or the model passes no gradient back to the inputs.

    Example:
        >>> import torch
        >>> from tblog.adapters.saliency import attributions
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> model.weight.data = torch.tensor([[1.0, -3.0]])
        >>> attributions(model, torch.ones(1, 2), targets=0)
        tensor([[ 1., -3.]])
    """
    settings = _settings(method, steps, noise, baseline, seed)
    return _explained(model, inputs, targets, method, settings).attributions


def _settings(
    method: str,
    steps: int | None,
    noise: float | None,
    baseline: torch.Tensor | float | None,
    seed: int | None,
) -> Averaging:
    if method not in METHODS:
        near = difflib.get_close_matches(str(method), METHODS, n=1)
        meant = f", did you mean {near[0]!r}?" if near else "."
        raise InvalidValueError(
            f"There is no saliency method {shortened(method)}{meant} There are {', '.join(METHODS)}"
        )
    return averaging(method, steps=steps, noise=noise, baseline=baseline, seed=seed)


class _Explained(NamedTuple):
    inputs: torch.Tensor
    chosen: list[Target]
    outputs: Any
    attributions: torch.Tensor


def _explained(
    model: nn.Module, inputs: torch.Tensor, targets: Targets, method: str, settings: Averaging
) -> _Explained:
    import torch

    with undisturbed(model):
        own = own_inputs(model, inputs, dimensions=_DIMENSIONS)
        with torch.no_grad():
            outputs = run(model, own)
        chosen = chosen_targets(targets, outputs, len(own))

        def gradient(at: torch.Tensor) -> torch.Tensor:
            at = at.detach().requires_grad_()
            scores = score(model(at.clone()), chosen)  # a copy: some models write to their input
            if not scores.requires_grad:
                raise InvalidValueError(
                    "The score of the target cannot be differentiated with respect to the input; give a function without "
                    "detach(), argmax() or comparisons, and a model that does not run under no_grad"
                )
            return input_gradient(scores, at)

        found = METHODS[method](gradient, own.detach(), settings)
    return _Explained(own.detach(), chosen, outputs, found)
