"""Heat maps on the images that they explain, drawn as one captioned grid.

Lives here: `OverlayGrid`, the deferred image of class activation and saliency maps, and `PictureGrid`, a deferred
grid of images alone. Must not: touch a model, or import torch or matplotlib.
Everything runs on the worker thread, except the check of `OverlayGrid`'s arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tblog._values.arrays import to_numpy
from tblog.adapters._captions import Legend, captioned
from tblog.adapters._colormaps import colorize, colormap_table
from tblog.adapters._layout import arranged
from tblog.adapters._pictures import ChannelValues, as_pictures
from tblog.errors import InvalidValueError, shortened
from tblog.records import Array

Style: TypeAlias = Literal["overlay", "heat", "grey"]
_STYLES: Final = ("overlay", "heat", "grey")
_EMPTY: Final = "empty: nothing positive"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OverlayGrid:
    """Maps over or beside their inputs: an HWC uint8 image, made when the worker asks for it.

    Attributes:
        maps: (n, H, W) numbers of 0 and more. Each map has its own scale.
        inputs: (n, C, H, W), the inputs of the model, drawn by `as_pictures`.
        mean: see `as_pictures`.
        std: see `as_pictures`.
        labels: a line above each cell, or none at all. A map without a value above 0 is marked as empty.
        caption: the text above the grid.
        style: "overlay" blends the coloured map into the input, "heat" shows it alone, and "grey"
            shows it alone without colours.
        colormap: a name that `colormap_table` knows.
        weight: the share of the map in the blend, 0 to 1.
        percentile: the percentile of a map from which on values have the last colour.
        beside_input: whether to draw the input to the left of each map.
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

    def __post_init__(self) -> None:
        colormap_table(self.colormap)
        if self.style not in _STYLES:
            raise InvalidValueError(f"style was {shortened(self.style)}; give one of {_STYLES}")
        if not 0 <= self.weight <= 1:
            raise InvalidValueError(f"weight was {shortened(self.weight)}; give a number from 0 to 1")

    @property
    def nbytes(self) -> int:
        """Return the size of the maps and inputs in bytes."""
        return self.maps.nbytes + self.inputs.nbytes

    def numpy(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        pictures, maps = as_pictures(to_numpy(self.inputs), self.mean, self.std), to_numpy(self.maps)
        colored = self._colored(intensities(maps, self.percentile), pictures)
        cells = np.stack([pictures, colored], axis=1) if self.beside_input else colored
        return captioned(arranged(cells, self.labels_of(maps)), self.caption, self.legend)

    def _colored(self, values: NDArray[Any], pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        colors = colorize(values, self._colors())
        if self.style != "overlay":
            return colors
        return np.rint(self.weight * colors + (1 - self.weight) * pictures).astype(np.uint8)

    def _colors(self) -> str:
        return "grey" if self.style == "grey" else self.colormap

    @property
    def legend(self) -> Legend:
        """Return the legend of the colours."""
        of_each = "greatest" if self.percentile == 100 else f"{self.percentile:g}th percentile"
        return Legend(self._colors(), "0", f"{of_each} of each map")

    def labels_of(self, maps: NDArray[Any]) -> Sequence[str]:
        """Return the labels. Those of empty maps say so."""
        empty = [not (one > 0).any() and bool(np.isfinite(one).all()) for one in maps]
        labels = self.labels or [""] * len(maps)
        words = [f"{label} · {_EMPTY}" if label else _EMPTY for label in labels]
        labels = [
            word if is_empty else label for label, word, is_empty in zip(labels, words, empty, strict=True)
        ]
        return labels if any(labels) else ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PictureGrid:
    """Images in a labelled grid: an HWC uint8 image, made when the worker asks for it.

    Attributes:
        inputs: (n, C, H, W), drawn like the `inputs` of an `OverlayGrid`. `mean`, `std`, `labels` and
            `caption` are also as there.
    """

    inputs: Array
    mean: ChannelValues = None
    std: ChannelValues = None
    labels: Sequence[str] = ()
    caption: str = ""

    @property
    def nbytes(self) -> int:
        """Return the size of the images in bytes."""
        return self.inputs.nbytes

    def numpy(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        pictures = as_pictures(to_numpy(self.inputs), self.mean, self.std)
        return captioned(arranged(pictures, self.labels), self.caption)


def intensities(maps: NDArray[Any], percentile: float) -> NDArray[Any]:
    """Scale each of (n, H, W) maps so that 0 stays and the percentile becomes 1. A map of zeros stays."""
    finite = np.where(np.isfinite(maps), maps, 0.0)
    highest = np.percentile(finite, percentile, axis=(1, 2), keepdims=True)
    # A map of few points can have a percentile of 0. Then use its greatest value.
    highest = np.where(highest > 0, highest, finite.max(axis=(1, 2), keepdims=True))
    scaled: NDArray[Any] = maps / np.where(highest > 0, highest, 1.0)
    return scaled
