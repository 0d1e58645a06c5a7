"""Feature maps: what layers put out, or take in, in a forward pass that runs anyway.

    with FeatureMaps(model, ["conv1", "layer1.*"]) as maps:
        loss = criterion(model(images), labels)
    writer.add_records(maps.records(), global_step)

The training thread copies what is shown and no more; the worker draws it.
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
from tblog.errors import InvalidTypeError, InvalidValueError
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
    """Capture layers' feature maps while the `with` block lasts; `records()` gives one image per layer.

    Before the maps stands the model's input, where that is a picture.

    An activation of shape (N, C, H, W) becomes a grid of C maps of one sample, (N, C, D, H, W) such a
    grid with the D slices of a map side by side, attention of shape (N, heads, L, S) a grid of heads.
    A sequence, (N, L, C), becomes one picture with its positions from left to right and its channels
    from top to bottom, and (N, C) one with a row for each of the first samples. Where a layer gives
    a tuple or a dict, its first tensor counts.

    Captured is the value at the moment that the layer returns, whatever works on it in place later,
    of the model's last forward pass; of a layer that runs several times in it, the last time.

    Args:
        model: the model, on any device; not what torch.compile returned, where modules run without hooks.
        layers: paths, patterns, types or modules (see `find_layers`).
        show: "outputs", "inputs" or "both"; "attention" shows the weights of each head of
            `nn.MultiheadAttention` layers, computed once more for the shown sample.
        channels: the first so many channels, or the indices of those to show.
        sample: index in the batch of the sample to show.
        max_side: longer maps are thinned to every second, third, ... row and column until their longer
            side is at most this; it bounds memory where maps are large.
        batch_dim: the axis of the batch; 1 for sequences as (L, N, C).
        transform: a function of what a layer gives (or takes, the tuple of its arguments), which
            returns the tensor to show; for vision transformers, one that turns tokens into maps.
        mean: with `std`, undoes the normalization of the model's input; one number for each channel, or one.
        std: see `mean`.
        scale: "map" lets each map use all colours, "layer" gives the layer's maps one scale.
        symmetric: whether 0 has the middle colour, as suits the colour map "bwr".
        colormap: "viridis", "grey", "bwr", ...: a name that `colormap_table` knows.
        tag: the first part of the records' tags, `<tag>/<layer>`.

    Raises:
        InvalidValueError: a layer does not exist; a shape, index or argument does not fit.
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
                f'FeatureMaps: show was {show!r}; give "outputs", "inputs", "both" or "attention"'
            )
        if (channels if isinstance(channels, int) else len(channels)) < 1:
            raise InvalidValueError(
                f"FeatureMaps: channels was {channels!r}; give 1 or more, or some indices"
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
        """Return an image for each layer, of the last forward pass; also after the block.

        Raises:
            InvalidValueError: a layer did not run in it, or the block never began.
        """
        if not self._was_entered:
            raise InvalidValueError(
                "FeatureMaps: records() was called before its `with` block began, in which maps are captured; "
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
        """Forget the last forward pass; keep what the shown sample of this one looks like, if it is a picture."""
        self._captured.clear()
        self._picture = None
        given = _first_tensor((*args, *kwargs.values()))
        if given is not None and given.dim() == 4 and given.shape[1] in {1, 3}:
            require_channel_values(given.shape[1], self._mean, self._std)
            picture = self._selection.picture(given.detach())
            if picture is not None:
                self._picture = snapshot(picture, f"{self._tag}: the input")

    def _watch(self, path: str, layer: Any) -> None:
        # Not in the hook: torch.compile cannot trace one that looks at its own model.
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
