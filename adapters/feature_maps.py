"""Feature maps: outputs or inputs of layers, captured in a forward pass that runs anyway.

    with FeatureMaps(model, ["conv1", "layer1.*"]) as maps:
        loss = criterion(model(images), labels)
    writer.add_records(maps.records(), global_step)

The training thread copies only what is shown. The worker draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from tblog._values.arrays import snapshot
from tblog.adapters._attention import attention_type, attention_weights
from tblog.adapters._colormaps import colormap_table
from tblog.adapters._grids import MapGrid, Scale, check_scale
from tblog.adapters._hooks import Hooks
from tblog.adapters._layers import Layers, display_name, find_layers, require_ran
from tblog.adapters._pictures import ChannelValues, require_channel_values
from tblog.adapters._selection import Selection
from tblog.errors import InvalidTypeError, InvalidValueError, shortened
from tblog.records import Array, ImageRecord

if TYPE_CHECKING:
    from torch import Tensor, nn

Shown: TypeAlias = Literal["outputs", "inputs", "both", "attention"]


@dataclass(frozen=True)
class _Captured:
    maps: Array
    words: str
    labels: list[str]


class FeatureMaps:
    """Capture feature maps of layers inside a `with` block. `records()` returns one image per layer.

    If the model's input is an image, it is drawn before the maps.

    An activation of shape (N, C, H, W) becomes a grid of the C maps of one sample. For (N, C, D, H, W), the D
    slices of each map stand side by side in its cell. Attention of shape (N, heads, L, S) becomes a grid with a
    map for each head. A sequence (N, L, C) becomes one image, with positions from left to right and channels
    from top to bottom. (N, C) becomes one image with a row for each of the first samples. If a layer
    returns a tuple or a dict, its first tensor is shown.

    A map has the value that the layer returned, also if later code changes the tensor in place. The maps are
    those of the model's last forward pass, and of a layer's last call in it.

    Args:
        model: the model, on any device. Not a model returned by torch.compile: it runs modules without hooks.
        layers: paths, patterns, types or modules (see `find_layers`).
        show: "outputs", "inputs" or "both". "attention" shows the weights of each head of
            `nn.MultiheadAttention` layers, computed a second time for the shown sample.
        channels: the number of channels to show, from the first one on, or their indices.
        sample: the index in the batch of the sample to show.
        max_side: the maximum length of a map's longer side, which limits memory. Of a larger map only
            every second, third, ... row and column is kept.
        batch_dim: the axis of the batch. 1 for sequences of shape (L, N, C).
        transform: a function that takes a layer's output (or its input, as the tuple of its arguments) and
            returns the tensor to show. Vision transformers need one that turns tokens into maps.
        mean: with `std`, the normalization of the model's input, to be undone: one number for each channel, or
            one.
        std: see `mean`.
        scale: "map" lets each map use all colours, "layer" gives all maps of a layer one scale.
        symmetric: whether 0 has the middle colour. Use it with the colour map "bwr".
        colormap: a name that `colormap_table` knows: "viridis", "grey", "bwr", ...
        tag: the first part of the records' tags, `<tag>/<layer>`.

    Raises:
        InvalidValueError: a layer does not exist, or a shape, an index or an argument does not fit.

    Example:
        >>> import torch
        >>> from tblog.adapters.feature_maps import FeatureMaps
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
        >>> with FeatureMaps(model, ["0", "1"]) as maps:
        ...     _ = model(torch.rand(1, 1, 8, 8))
        >>> [record.tag for record in maps.records()]
        ['feature_maps/0', 'feature_maps/1']
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Layers,
        *,
        show: Shown = "outputs",
        channels: int | Sequence[int] = 100,
        sample: int = 0,
        max_side: int = 256,
        batch_dim: int = 0,
        transform: Callable[[Any], Tensor] | None = None,
        mean: ChannelValues = None,
        std: ChannelValues = None,
        scale: Scale = "map",
        symmetric: bool = False,
        colormap: str = "viridis",
        tag: str = "feature_maps",
    ) -> None:
        if show not in {"outputs", "inputs", "both", "attention"}:
            raise InvalidValueError(
                f'FeatureMaps: show was {shortened(show)}; give "outputs", "inputs", "both" or "attention"'
            )
        if (channels if isinstance(channels, int) else len(channels)) < 1:
            raise InvalidValueError(
                f"FeatureMaps: channels was {shortened(channels)}; give 1 or more, or some indices"
            )
        if max_side < 1:
            raise InvalidValueError(f"FeatureMaps: max_side was {max_side}; give 1 pixel or more")
        check_scale(scale)
        colormap_table(colormap)
        require_channel_values(None, mean, std)
        self._model = model
        self._layers = find_layers(model, layers, attention_type() if show == "attention" else None)
        self._show = show
        self._selection = Selection(channels=channels, sample=sample, batch_dim=batch_dim, max_side=max_side)
        self._transform = transform
        self._mean, self._std = mean, std
        self._scale = scale
        self._symmetric = symmetric
        self._colormap = colormap
        self._tag = tag
        self._hooks = Hooks()
        self._captured: dict[tuple[str, str], _Captured] = {}
        self._picture: Array | None = None
        self._was_entered = False

    def __enter__(self) -> Self:
        """Register the hooks."""
        self._was_entered = True
        try:
            self._hooks.forward_pre(self._model, self._begin)
            for path, layer in self._layers.items():
                self._watch(path, layer)
        except BaseException:
            self._hooks.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.remove()

    def records(self) -> list[ImageRecord]:
        """Return one image for each layer, from the last forward pass. Works also after the block.

        Raises:
            InvalidValueError: a layer did not run in that pass, or the block was never entered.
        """
        if not self._was_entered:
            raise InvalidValueError(
                "FeatureMaps: records() was called before its `with` block, which captures the maps; "
                "run the model in the block first"
            )
        require_ran(self._model, self._layers, (path for path, _ in self._captured))
        order = list(self._layers)
        captured = sorted(self._captured.items(), key=lambda item: order.index(item[0][0]))
        return [self._record(path, side, maps) for (path, side), maps in captured]

    def _record(self, path: str, side: str, captured: _Captured) -> ImageRecord:
        name = display_name(self._model, path)
        kind = type(self._layers[path]).__name__
        grid = MapGrid(
            maps=captured.maps,
            caption=f"{name} · {kind} {side} · {captured.words}",
            labels=captured.labels,
            picture=self._picture if captured.labels else None,
            mean=self._mean,
            std=self._std,
            colormap=self._colormap,
            scale=self._scale,
            symmetric=self._symmetric,
        )
        suffix = f"/{side}" if self._show == "both" else ""
        return ImageRecord(tag=f"{self._tag}/{name}{suffix}", image=grid, dataformats="HWC")

    def _begin(self, _model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Drop the maps of the last forward pass, and keep the shown sample of this one if it is an image."""
        self._captured.clear()
        self._picture = None
        given = _first_tensor((*args, *kwargs.values()))
        if given is not None and given.dim() == 4 and given.shape[1] in {1, 3}:
            require_channel_values(given.shape[1], self._mean, self._std)
            picture = self._selection.picture(given.detach())
            if picture is not None:
                self._picture = snapshot(picture, f"{self._tag}: the input")

    def _watch(self, path: str, layer: Any) -> None:
        # Not inside the hook: torch.compile cannot trace a hook that inspects its own model.
        name = display_name(self._model, path)

        def take_input(_layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._capture(path, name, "input", (*args, *kwargs.values()), self._selection)

        def take_output(_layer: Any, _args: Any, _kwargs: Any, output: Any) -> None:
            self._capture(path, name, "output", output, self._selection)

        def take_attention(_layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _output: Any) -> None:
            weights = attention_weights(layer, args, kwargs, self._selection.sample)
            self._capture(path, name, "attention", weights, replace(self._selection, sample=0, batch_dim=0))

        if self._show in {"inputs", "both"}:
            self._hooks.forward_pre(layer, take_input)  # before a layer that works in place
        if self._show in {"outputs", "both"}:
            self._hooks.forward(layer, take_output)
        if self._show == "attention":
            self._hooks.forward(layer, take_attention)

    def _capture(self, path: str, name: str, side: str, value: Any, selection: Selection) -> None:
        transform = self._transform or _first_tensor
        tensor = transform(value)
        if tensor is None:
            raise InvalidTypeError(
                f"FeatureMaps: the {side} of {name} is a {type(value).__name__} without a tensor; "
                "give a transform that returns the tensor to show"
            )
        maps, words, labels = selection.maps(
            tensor.detach(), name, "head" if side == "attention" else "channel"
        )
        self._captured[path, side] = _Captured(snapshot(maps, f"{self._tag}/{name}"), words, labels)


def _first_tensor(value: Any) -> Tensor | None:
    if hasattr(value, "detach"):
        tensor: Tensor = value
        return tensor
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        parts = value
    firsts = (_first_tensor(part) for part in parts)
    return next((first for first in firsts if first is not None), None)
