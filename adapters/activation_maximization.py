"""Activation maximization: pictures that excite a filter of a layer, grown from noise by gradient ascent."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tblog._values.arrays import snapshot
from tblog.adapters._hooks import Hooks
from tblog.adapters._layers import LayerSpec, display_name, find_layer, require_ran
from tblog.adapters._overlays import PictureGrid
from tblog.adapters._pictures import ChannelValues, require_channel_values
from tblog.adapters._targets import run, undisturbed
from tblog.errors import InvalidTypeError, InvalidValueError, MissingDependencyError
from tblog.records import ImageRecord

if TYPE_CHECKING:
    import torch
    from torch import nn


def activation_maximization(
    model: nn.Module,
    layer: LayerSpec,
    channels: int | Sequence[int],
    input_size: Sequence[int] = (3, 224, 224),
    *,
    steps: int = 128,
    learning_rate: float = 0.1,
    jitter: int | None = None,
    blur: float | None = None,
    decay: float = 0.01,
    mean: ChannelValues = None,
    std: ChannelValues = None,
    seed: int = 0,
    progress: bool = False,
    tag: str = "activation_maximization",
) -> list[ImageRecord]:
    """Draw pictures that excite channels of a layer, all of them grown at once in one batch.

    Each picture starts as the same noise and follows the gradient of its channel's mean activation
    (https://arxiv.org/abs/1506.06579), with the regularizers below, which keep it from high
    frequencies. The model is run in evaluation mode, on any device, and left as it was.

    Args:
        model: the model.
        layer: the path, pattern, type or module of one layer, rather a convolution than the ReLU behind
            it, whose gradient is 0 where it is not active.
        channels: an index of the layer's output channels (its dimension 1), or a sequence of them.
        input_size: (C, H, W) of the input.
        steps: steps of gradient ascent.
        learning_rate: how far one step goes; the gradient is scaled to a root mean square of 1.
        jitter: pixels by which the picture is shifted at most before each step, in any direction. None takes
            1/56 of its shorter side: 4 pixels of 224, 1 of 32 to 64, none of 28 and less.
        blur: standard deviation, in pixels, of the Gaussian that smooths the picture in each step; 0 for none.
            None takes 0.4, and less where the shorter side is below 32 pixels.
        decay: share of the picture that each step takes away.
        mean: with `std`, what inputs are normalized with; keeps the pictures to those that can be
            seen, from 0 to 1. Without, each picture is scaled to its own range when it is drawn.
        std: see `mean`.
        seed: of the noise and the shifts. The caller's random state is neither used nor changed.
        progress: whether to show a progress bar.
        tag: the record's tag is `<tag>/<layer>`.

    Returns:
        One record, a grid of a picture for each channel, labelled with its mean activation at the start
        and at the end, and with a word where the end is no higher.

    Raises:
        InvalidValueError: the layer is not found or does not run, a channel is out of range, or the
            input size does not fit the model.
        InvalidTypeError: a channel is no index, or the layer does not return a tensor.
        MissingDependencyError: a progress bar is wanted and tqdm is not installed.
    """
    import torch

    path, module = find_layer(model, layer)
    name = display_name(model, path)
    wanted = _indices(channels)
    _require(bool(wanted), "channels", channels, "at least one channel")
    _require(len(input_size) == 3, "input_size", input_size, "(C, H, W)")
    _require(steps >= 1, "steps", steps, "1 or more")
    side = min(input_size[1:])
    jitter = round(side / 56) if jitter is None else jitter
    blur = 0.4 * min(1.0, side / 32) if blur is None else blur
    _require(jitter >= 0, "jitter", jitter, "a number of pixels, 0 or more")
    _require(blur >= 0, "blur", blur, "a number of pixels, 0 or more")
    random = torch.Generator("cpu").manual_seed(seed)  # so that all devices see the same
    with undisturbed(model):
        pictures = _noise(model, input_size, random).expand(len(wanted), -1, -1, -1)
        require_channel_values(pictures.shape[1], mean, std)
        limits = _visible(pictures, mean, std)
        excitement = _Excitement(model, module, name, wanted, pictures)
        began = excitement.of(pictures).tolist()
        for _ in _counted(steps, name, shown=progress):
            shift = torch.randint(-jitter, jitter + 1, (2,), generator=random, device="cpu").tolist()
            direction = _scaled(excitement.gradient(pictures.roll(shift, (2, 3)))).roll(
                [-pixels for pixels in shift], (2, 3)
            )
            pictures = _blurred((pictures + learning_rate * direction) * (1 - decay), blur)
            if limits is not None:
                pictures = pictures.clamp(*limits)
        reached = excitement.of(pictures).tolist()
    grid = PictureGrid(
        inputs=snapshot(pictures, tag),
        mean=mean,
        std=std,
        labels=[_label(*ends) for ends in zip(wanted, began, reached, strict=True)],
        caption=f"{name}: what excites each channel, and its mean activation from noise to there",
    )
    return [ImageRecord(tag=f"{tag}/{name}", image=grid, dataformats="HWC")]


class _Excitement:
    """How much pictures excite channels of a layer, one channel for each picture."""

    def __init__(
        self, model: nn.Module, layer: nn.Module, name: str, channels: Sequence[int], pictures: torch.Tensor
    ) -> None:
        self._model, self._layer, self._name, self._channels = model, layer, name, channels
        self._check(self._output(pictures))

    def of(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the mean activation of each picture's channel, (N,)."""
        output: torch.Tensor = self._output(pictures)
        number = len(pictures)
        return output[range(number), self._channels].reshape(number, -1).mean(1)

    def gradient(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return how the mean activations change with the pictures."""
        import torch

        leaf = pictures.detach().requires_grad_()
        return torch.autograd.grad(self.of(leaf).sum(), leaf, materialize_grads=True)[0]

    def _output(self, pictures: torch.Tensor) -> Any:
        outputs: list[Any] = []

        def stop(_layer: nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
            outputs.append(output)
            raise _Reached  # what comes behind the layer need not run

        with Hooks() as hooks, suppress(_Reached):
            hooks.forward(self._layer, stop)
            run(self._model, pictures)
        require_ran(self._model, [self._name], [self._name] if outputs else [])
        return outputs[0]

    def _check(self, output: Any) -> None:
        import torch

        if not isinstance(output, torch.Tensor) or output.dim() < 2:
            shown = (
                f"shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
            )
            raise InvalidTypeError(
                f"Layer {self._name} returns {shown}; choose one that returns a tensor (N, C, ...)"
            )
        number = output.shape[1]
        wrong = [channel for channel in self._channels if not 0 <= channel < number]
        _require(not wrong, "channels", wrong, f"0 to {number - 1}, which are the channels of {self._name}")


class _Reached(Exception):  # noqa: N818  (no error: it ends a forward pass where its result is known)
    """The layer has run."""


def _label(channel: int, began: float, reached: float) -> str:
    words = f"{channel}: {began:.2g} to {reached:.3g}"
    return words if reached > began else f"{words}, not excited"


def _indices(channels: Any) -> list[int]:
    try:
        return [operator.index(channels)]
    except TypeError:
        pass
    try:
        return [operator.index(channel) for channel in channels]
    except TypeError:
        raise InvalidTypeError(
            f"activation_maximization: channels was {channels!r}; give an index or a sequence of them"
        ) from None


def _noise(model: nn.Module, input_size: Sequence[int], random: torch.Generator) -> torch.Tensor:
    import torch

    noise = 0.1 * torch.randn(1, *input_size, generator=random, device="cpu")
    parameter = next(model.parameters(), noise)
    return noise.to(parameter.device, parameter.dtype)


def _visible(
    pictures: torch.Tensor, mean: ChannelValues, std: ChannelValues
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return what black and white are for a model whose inputs are normalized, if they are."""
    import torch

    if mean is None and std is None:
        return None
    center, scale = (
        torch.as_tensor(default if given is None else given, device="cpu").to(pictures).reshape(-1, 1, 1)
        for given, default in ((mean, 0.0), (std, 1.0))
    )
    return (0 - center) / scale, (1 - center) / scale


def _scaled(gradient: torch.Tensor) -> torch.Tensor:
    """Scale each picture's gradient to a root mean square of 1; one of zeros stays."""
    import torch

    size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
    return gradient / size.clamp(min=max(1e-12, torch.finfo(gradient.dtype).tiny))


def _blurred(pictures: torch.Tensor, deviation: float) -> torch.Tensor:
    """Convolve with a Gaussian of that standard deviation in pixels."""
    import torch
    from torch.nn import functional

    if not deviation:
        return pictures
    reach = math.ceil(3 * deviation)
    offsets = torch.arange(-reach, reach + 1, dtype=pictures.dtype, device=pictures.device)
    kernel = (-(offsets**2) / (2 * deviation**2)).exp()
    kernel = kernel / kernel.sum()
    number, channels, height, width = pictures.shape
    flat = pictures.reshape(number * channels, 1, height, width)
    flat = functional.pad(flat, (reach,) * 4, mode="replicate")
    flat = functional.conv2d(
        functional.conv2d(flat, kernel.reshape(1, 1, -1, 1)), kernel.reshape(1, 1, 1, -1)
    )
    return flat.reshape(number, channels, height, width)


def _counted(steps: int, name: str, *, shown: bool) -> Iterable[int]:
    if not shown:
        return range(steps)
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "tqdm", "adapters", "The progress bar of activation_maximization"
        ) from None
    bar: Iterable[int] = tqdm(range(steps), desc=f"exciting {name}")
    return bar


def _require(holds: bool, name: str, given: object, wanted: str) -> None:
    if not holds:
        raise InvalidValueError(f"activation_maximization: {name} was {given!r}; give {wanted}")
