"""Convolution kernels: the filters of each layer as a grid, and how large they are.

    writer.add_records(conv_kernels(model), global_step)

The training thread copies the kernels that are shown and takes the statistics; the worker draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tblog._values.arrays import scalar, snapshot
from tblog.adapters._captions import counted
from tblog.adapters._colormaps import colormap_table
from tblog.adapters._grids import ColorGrid, MapGrid, Scale
from tblog.adapters._layers import Layers, display_name, find_layers
from tblog.adapters._model_state import model_state_kept, require_initialized
from tblog.adapters._selection import names, take
from tblog.errors import InvalidValueError
from tblog.records import Deferred, HistogramRecord, ImageRecord, Record, ScalarRecord

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.nn.modules.conv import _ConvNd


def conv_kernels(
    model: nn.Module,
    layers: Layers | None = None,
    *,
    filters: int = 64,
    channels: int | Sequence[int] | None = None,
    scale: Scale = "layer",
    colormap: str = "bwr",
    statistics: bool = True,
    tag: str = "conv_kernels",
) -> list[Record]:
    """Draw the kernels of convolutions, scaled symmetrically about 0, and tell their statistics.

    A cell of the grid is a filter, that is, all that one output channel is computed from. In a
    2-d layer of three input channels it is one picture in colours, where 0 is grey; else the kernels
    of the chosen input channels stand side by side in it, and in a 3-d layer their slices. In a 1-d
    layer the cell has a row for each input channel. 1x1 kernels make one picture, a row for each filter.

    Args:
        model: the model, on any device.
        layers: paths, patterns, types or modules (see `find_layers`), of which the convolutions,
            transposed ones included, are taken; None takes all of the model.
        filters: the first so many filters are drawn.
        channels: the first so many input channels, or the indices of those to draw. None draws
            three as colours, else 8, and 64 in 1-d layers and of 1x1 kernels.
        scale: "layer" gives all filters one scale, "map" each filter its own.
        colormap: a diverging one, whose middle stands for 0.
        statistics: adds the mean, the standard deviation and the extremes of the layer's weights as
            scalars, and a histogram of its filters' Euclidean norms, in which dead filters lie at 0.
        tag: the first part of the records' tags: `<tag>/<layer>`, and `<tag>_<statistic>/<layer>`.

    Raises:
        InvalidValueError: there is no such layer, filter or input channel.
    """
    import torch
    from torch.nn.modules.conv import _ConvNd as AnyConvolution

    if filters < 1:
        raise InvalidValueError(f"conv_kernels: filters was {filters}; give 1 or more")
    colormap_table(colormap)
    records: list[Record] = []
    wanted = AnyConvolution if layers is None else layers
    for path, layer in find_layers(model, wanted, AnyConvolution).items():
        name = display_name(model, path)
        with torch.no_grad():
            weight = _filters_first(layer)
            grid = _grid(weight, name, type(layer).__name__, filters, channels, scale, colormap)
            records.append(ImageRecord(tag=f"{tag}/{name}", image=grid, dataformats="HWC"))
            if statistics:
                records += _statistics(weight, tag, name)
    return records


def _filters_first(layer: _ConvNd) -> Tensor:
    """Return the weight as (filters, input channels of a filter, ...), float32 or float64."""
    require_initialized(layer)
    with ExitStack() as stack:
        if hasattr(layer, "parametrizations"):  # reading a spectral norm in training mode would update it
            stack.enter_context(model_state_kept(layer, training=False))
        weight: Tensor = layer.weight.detach()
    if weight.element_size() < 4:
        weight = weight.float()
    if not layer.transposed:
        return weight
    inputs, outputs, *size = weight.shape
    grouped = weight.reshape(layer.groups, inputs // layer.groups, outputs, *size)
    return grouped.transpose(1, 2).reshape(layer.groups * outputs, inputs // layer.groups, *size)


def _grid(
    weight: Tensor,
    name: str,
    kind: str,
    filters: int,
    channels: int | Sequence[int] | None,
    scale: Scale,
    colormap: str,
) -> Deferred:
    number, inputs, *size = weight.shape
    caption = f"{name} · {kind} · {'x'.join(map(str, weight.shape))}"
    shown = weight[:filters]
    words = counted(len(shown), number, "filter")
    if channels is None and inputs == 3 and len(size) == 2 and max(size) > 1:
        kernels = snapshot(shown, name)
        words += ", input channels as colours"
        return ColorGrid(
            maps=kernels, caption=f"{caption} · {words}", labels=names(filters, number), scale=scale
        )
    if channels is None:
        channels = 64 if len(size) == 1 or max(size) == 1 else 8
    shown = take(shown, channels, 1, f"{name} input channels")
    words += f", {counted(shown.shape[1], inputs, 'input channel')}"
    labels = names(filters, number)
    if max(size) == 1:
        labels, shown = [], shown.reshape(1, *shown.shape[:2])
        words += " · filters down, channels across"
    elif len(size) == 3:
        shown = shown.flatten(1, 2)
        words += f", each in {size[0]} slices"
    maps = snapshot(shown, name)
    return MapGrid(
        maps=maps,
        caption=f"{caption} · {words}",
        labels=labels,
        scale=scale,
        colormap=colormap,
        symmetric=True,
    )


def _statistics(weight: Tensor, tag: str, name: str) -> Iterator[Record]:
    import torch

    std, mean = torch.std_mean(weight, correction=0)
    low, high = torch.aminmax(weight)
    for statistic, value in {"mean": mean, "std": std, "min": low, "max": high}.items():
        own = f"{tag}_{statistic}/{name}"
        yield ScalarRecord(tag=own, value=scalar(value, own))
    own = f"{tag}_filter_norms/{name}"
    yield HistogramRecord(tag=own, values=snapshot(torch.linalg.vector_norm(weight.flatten(1), dim=1), own))
