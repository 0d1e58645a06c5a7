"""Activation maximization: images that excite a filter of a layer, optimized from noise by gradient ascent."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tblog._require import require
from tblog._values.arrays import snapshot
from tblog.adapters._hooks import Hooks
from tblog.adapters._layers import LayerSpec, display_name, find_layer, require_ran
from tblog.adapters._overlays import PictureGrid
from tblog.adapters._pictures import ChannelValues, require_channel_values
from tblog.adapters._targets import input_gradient, run, undisturbed
from tblog.errors import InvalidTypeError, InvalidValueError, MissingDependencyError, shortened
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
    """Draw images that excite channels of a layer. One batch optimizes all of them together.

    Each image starts from the same noise and follows the gradient of the mean activation of its channel
    (https://arxiv.org/abs/1506.06579). The regularizers below suppress high frequencies. The model runs in
    evaluation mode, on any device, and is left as it was.

    Args:
        model: the model.
        layer: the path, pattern, type or module of one layer. Choose a convolution rather than the ReLU
            after it, whose gradient is 0 where it is inactive.
        channels: the index of an output channel of the layer (dimension 1), or a sequence of indices.
        input_size: (C, H, W) of the input.
        steps: the number of steps of gradient ascent.
        learning_rate: the size of a step. The gradient is scaled to a root mean square of 1.
        jitter: the maximum shift of the image before each step, in pixels and in any direction. None means
            1/56 of the shorter side: 4 pixels for 224, 1 for 32 to 64, and 0 for 28 or less.
        blur: standard deviation, in pixels, of the Gaussian that smooths the image in each step. 0 means no
            blur. None means 0.4, and less if the shorter side is below 32 pixels.
        decay: the share of the image that each step removes.
        mean: with `std`, the normalization of the inputs. The images then stay within the visible range from
            0 to 1. Without it, each image is scaled to its own range when it is drawn.
        std: see `mean`.
        seed: seed of the noise and the shifts. The caller's random state is neither used nor changed.
        progress: whether to show a progress bar.
        tag: the record's tag is `<tag>/<layer>`.

    Returns:
        One record: a grid with one image for each channel. Its label has the mean activation at the start and
        at the end, and says so if the end is not higher.

    Raises:
        InvalidValueError: the layer is not found or does not run, a channel is out of range, or the
            input size does not fit the model.
        InvalidTypeError: a channel is not an index, or the layer does not return a tensor.
        MissingDependencyError: `progress` is set and tqdm is not installed.

    Example:
        >>> import torch
        >>> from tblog.adapters.activation_maximization import activation_maximization
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
        >>> records = activation_maximization(model, "0", range(4), input_size=(1, 16, 16), steps=2)
        >>> records[0].tag
        'activation_maximization/0'
    """
    import torch

    path, module = find_layer(model, layer)
    name = display_name(model, path)
    wanted = _indices(channels)
    require(bool(wanted), "activation_maximization: channels", channels, "at least one channel")
    require(len(input_size) == 3, "activation_maximization: input_size", input_size, "(C, H, W)")
    require(steps >= 1, "activation_maximization: steps", steps, "1 or more")
    side = min(input_size[1:])
    jitter = round(side / 56) if jitter is None else jitter
    blur = 0.4 * min(1.0, side / 32) if blur is None else blur
    require(jitter >= 0, "activation_maximization: jitter", jitter, "a number of pixels, 0 or more")
    require(blur >= 0, "activation_maximization: blur", blur, "a number of pixels, 0 or more")
    random = torch.Generator("cpu").manual_seed(seed)  # the same numbers on every device
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
    """Measures how much images excite channels of a layer, one channel for each image."""

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
        """Return the gradient of the mean activations with respect to the images."""
        leaf = pictures.detach().requires_grad_()
        excitement = self.of(leaf)
        if not excitement.requires_grad:
            raise InvalidValueError(
                f"The output of {self._name} cannot be differentiated with respect to the input; give a model that "
                "does not run under no_grad, and a layer before any detach() or argmax()"
            )
        return input_gradient(excitement, leaf)

    def _output(self, pictures: torch.Tensor) -> Any:
        outputs: list[Any] = []

        def stop(_layer: nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
            outputs.append(output)
            raise _Reached  # the layers after it need not run

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
        require(
            not wrong,
            "activation_maximization: channels",
            wrong,
            f"0 to {number - 1}, which are the channels of {self._name}",
        )


class _Reached(Exception):  # noqa: N818 - not an error: it ends a forward pass early
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
            f"activation_maximization: channels was {shortened(channels)}; give an index or a sequence of them"
        ) from None


def _noise(model: nn.Module, input_size: Sequence[int], random: torch.Generator) -> torch.Tensor:
    import torch

    noise = 0.1 * torch.randn(1, *input_size, generator=random, device="cpu")
    parameter = next(model.parameters(), noise)
    return noise.to(parameter.device, parameter.dtype)


def _visible(
    pictures: torch.Tensor, mean: ChannelValues, std: ChannelValues
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the normalized values of black and white, or None if the inputs are not normalized."""
    import torch

    if mean is None and std is None:
        return None
    center, scale = (
        torch.as_tensor(default if given is None else given, device="cpu").to(pictures).reshape(-1, 1, 1)
        for given, default in ((mean, 0.0), (std, 1.0))
    )
    return (0 - center) / scale, (1 - center) / scale


def _scaled(gradient: torch.Tensor) -> torch.Tensor:
    """Scale the gradient of each image to a root mean square of 1. A gradient of zeros stays."""
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
