"""Convolution kernels: a grid of the filters of each layer, and their statistics.

    writer.add_records(conv_kernels(model), global_step)

The training thread copies the kernels to show and computes the statistics. The worker draws.
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
from tblog.errors import InvalidValueError, UnsupportedTypeError
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
    """Draw the kernels of convolutions, scaled symmetrically about 0, and return their statistics.

    Each cell of the grid is a filter: the kernels that compute one output channel. In a 2-d layer with three
    input channels, a filter is one colour image in which 0 is grey. Otherwise the cell shows the kernels of the
    chosen input channels side by side, and for a 3-d layer their slices. In a 1-d layer, the cell has a row for
    each input channel. 1x1 kernels make a single image with a row for each filter.

    Args:
        model: the model, on any device.
        layers: paths, patterns, types or modules (see `find_layers`). Their convolutions are drawn,
            transposed ones included. None means all convolutions of the model.
        filters: the maximum number of filters to draw, from the first one on.
        channels: the number of input channels to draw, from the first one on, or their indices. None draws
            three channels as colours, and otherwise 8, or 64 for 1-d layers and 1x1 kernels.
        scale: "layer" gives all filters one scale, "map" each filter its own.
        colormap: a diverging colour map, whose middle stands for 0.
        statistics: whether to add the mean, the standard deviation, the minimum and the maximum of the
            layer's weights as scalars, and a histogram of the Euclidean norms of its filters. Dead filters lie
            at 0 in the histogram.
        tag: the first part of the records' tags: `<tag>/<layer>`, and `<tag>_<statistic>/<layer>`.

    Raises:
        InvalidValueError: there is no such layer, filter or input channel.
        UnsupportedTypeError: kernels are complex.

    Example:
        >>> import torch
        >>> from tblog.adapters.conv_kernels import conv_kernels
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5))
        >>> [record.tag for record in conv_kernels(model, statistics=False)]
        ['conv_kernels/0']
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
            if weight.is_complex():
                raise UnsupportedTypeError(
                    f"conv_kernels: the kernels of {name!r} were {weight.dtype}; choose layers whose kernels are real"
                )
            grid = _grid(weight, name, type(layer).__name__, filters, channels, scale, colormap)
            records.append(ImageRecord(tag=f"{tag}/{name}", image=grid, dataformats="HWC"))
            if statistics:
                records += _statistics(weight, tag, name)
    return records


def _filters_first(layer: _ConvNd) -> Tensor:
    """Return the weight as (filters, input channels of a filter, ...), float32 or float64."""
    require_initialized(layer)
    with ExitStack() as stack:
        if hasattr(layer, "parametrizations"):  # in training mode, reading a spectral norm updates it
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
