"""Heat maps on the pictures that they explain, drawn as one captioned grid.

Lives here: `OverlayGrid`, the deferred image of class activation and saliency maps. Must not: touch a
model, or import torch or matplotlib.
Everything runs on the worker thread but the check of `OverlayGrid`'s arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tblog._arrays import to_numpy
from tblog.adapters._captions import BACKGROUND, caption_strips, stacked
from tblog.adapters._colormaps import colorize, colormap_table
from tblog.adapters._grids import GAP, enlarged, square_columns, tiled
from tblog.errors import InvalidValueError
from tblog.records import Array

Style: TypeAlias = Literal["overlay", "heat", "grey"]
ChannelValues: TypeAlias = "float | Sequence[float] | None"
_STYLES: Final = ("overlay", "heat", "grey")
_LEAST_CELL: Final = 160  # pixels; narrower cells leave no room for a label


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OverlayGrid:
    """Maps over or beside their inputs, an HWC uint8 image, when the worker asks for it.

    Attributes:
        maps: (n, H, W) numbers from 0 up; each map is scaled on its own.
        inputs: (n, C, H, W) as the model saw them. One channel is drawn grey, three in colour, of
            any other number the mean.
        mean: with `std`, undoes a normalization: inputs * std + mean is in [0, 1]; one number for
            each channel, or one for all. Without them inputs outside [0, 1] are scaled to it.
        std: see `mean`.
        labels: a line above each cell, or none at all.
        caption: what is written above the grid.
        style: "overlay" blends the coloured map into the input, "heat" shows it alone, and "grey"
            shows it alone without colours.
        colormap: a name that `colormap_table` knows.
        weight: of the map in the blend, 0 to 1.
        percentile: which value of a map has the last colour; what is above has it too.
        beside_input: whether the input stands at the left of each cell.
        min_side: pixels; smaller grids are enlarged by a whole factor to about this.
    """

    maps: Array
    inputs: Array
    mean: ChannelValues = None
    std: ChannelValues = None
    labels: Sequence[str] = ()
    caption: str = ""
    style: Style = "overlay"
    colormap: str = "jet"
    weight: float = 0.5
    percentile: float = 100.0
    beside_input: bool = True
    min_side: int = 512

    def __post_init__(self) -> None:
        colormap_table(self.colormap)
        if self.style not in _STYLES:
            raise InvalidValueError(f"Maps were asked for with style={self.style!r}; give one of {_STYLES}")
        if not 0 <= self.weight <= 1:
            raise InvalidValueError(f"The weight of the maps was {self.weight!r}; give a number from 0 to 1")

    @property
    def nbytes(self) -> int:
        """Return the size of the maps and inputs in bytes."""
        return self.maps.nbytes + self.inputs.nbytes

    def numpy(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        pictures = as_pictures(to_numpy(self.inputs), self.mean, self.std)
        colored = self._colored(intensities(to_numpy(self.maps), self.percentile), pictures)
        parts = [pictures, colored] if self.beside_input else [colored]
        return _laid_out(parts, self.labels, self.caption, self.min_side)

    def _colored(self, values: NDArray[Any], pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        colors = colorize(values, "grey" if self.style == "grey" else self.colormap)
        if self.style != "overlay":
            return colors
        return np.rint(self.weight * colors + (1 - self.weight) * pictures).astype(np.uint8)


def _side_by_side(parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    gap = np.empty((*parts[0].shape[:2], GAP, 3), np.uint8)
    gap[...] = BACKGROUND
    return np.concatenate([part for each in parts for part in (gap, each)][1:], axis=2)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PictureGrid:
    """Pictures in a labelled grid, an HWC uint8 image, when the worker asks for it.

    Attributes:
        inputs: (n, C, H, W), drawn as the `inputs` of an `OverlayGrid`; with `mean`, `std`, `labels`,
            `caption` and `min_side` as there.
    """

    inputs: Array
    mean: ChannelValues = None
    std: ChannelValues = None
    labels: Sequence[str] = ()
    caption: str = ""
    min_side: int = 512

    @property
    def nbytes(self) -> int:
        """Return the size of the pictures in bytes."""
        return self.inputs.nbytes

    def numpy(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        pictures = as_pictures(to_numpy(self.inputs), self.mean, self.std)
        return _laid_out([pictures], self.labels, self.caption, self.min_side)


def _laid_out(
    parts: Sequence[NDArray[np.uint8]], labels: Sequence[str], caption: str, min_side: int
) -> NDArray[np.uint8]:
    """Draw the parts of each cell side by side, its label above them, and the cells in rows."""
    number, height, width, _ = parts[0].shape
    width *= len(parts)
    columns = square_columns(number, height, width)
    longer_side = max(-(-number // columns) * height, columns * width)
    least = -(-_LEAST_CELL // width) if labels else 1
    factor = max(round(min_side / longer_side), least, 1)
    cells = _side_by_side([enlarged(part, factor) for part in parts])
    if labels:
        cells = np.concatenate([caption_strips(labels, cells.shape[2]), cells], axis=1)
    grid = tiled(cells, columns=columns)
    return stacked(caption_strips([caption], grid.shape[1])[0], grid) if caption else grid


def intensities(maps: NDArray[Any], percentile: float) -> NDArray[Any]:
    """Scale each of (n, H, W) maps so that 0 stays and the percentile becomes 1; a map of zeros stays."""
    finite = np.where(np.isfinite(maps), maps, 0.0)
    highest = np.percentile(finite, percentile, axis=(1, 2), keepdims=True)
    # A map of few points has a percentile of 0: then its greatest value counts.
    highest = np.where(highest > 0, highest, finite.max(axis=(1, 2), keepdims=True))
    scaled: NDArray[Any] = maps / np.where(highest > 0, highest, 1.0)
    return scaled


def as_pictures(inputs: NDArray[Any], mean: ChannelValues, std: ChannelValues) -> NDArray[np.uint8]:
    """Turn (n, C, H, W) inputs of a model into (n, H, W, 3) uint8 pictures."""
    pictures = inputs.astype(np.float32)
    if std is not None:
        pictures *= np.asarray(std, np.float32).reshape(-1, 1, 1)
    if mean is not None:
        pictures += np.asarray(mean, np.float32).reshape(-1, 1, 1)
    pictures = np.nan_to_num(pictures, posinf=1.0, neginf=0.0)
    if mean is None and std is None and (pictures.min() < 0 or pictures.max() > 1):
        axes = (1, 2, 3)
        low, high = pictures.min(axes, keepdims=True), pictures.max(axes, keepdims=True)
        pictures = (pictures - low) / np.where(high > low, high - low, 1.0)
    if pictures.shape[1] != 3:
        pictures = pictures.mean(axis=1, keepdims=True).repeat(3, axis=1)
    colors: NDArray[np.uint8] = np.rint(pictures.transpose(0, 2, 3, 1).clip(0, 1) * 255).astype(np.uint8)
    return colors


def require_channel_values(inputs_shape: Sequence[int], **values: ChannelValues) -> None:
    """Raise if the `mean` or `std` given is neither one number nor one for each channel.

    Raises:
        InvalidValueError: it has any other number of values.
    """
    for name, given in values.items():
        if given is not None and np.size(given) not in {1, inputs_shape[1]}:
            raise InvalidValueError(
                f"{name} was {given!r} and the inputs have {inputs_shape[1]} channels; give one number for each"
            )
