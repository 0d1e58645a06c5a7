"""Many maps drawn as one picture: scaling, colours, enlargement, layout and captions.

Lives here: `MapGrid`, the deferred image that adapters put into an `ImageRecord`, and the steps it
is made of. Must not: touch a model, or import torch or matplotlib.
Everything runs on the worker thread but the check of `MapGrid`'s arguments. The steps are numpy
operations on whole arrays, which let go of the interpreter lock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tblog._arrays import to_numpy
from tblog.adapters._captions import BACKGROUND, caption_strips, stacked
from tblog.adapters._colormaps import colorize, colormap_table
from tblog.errors import InvalidValueError
from tblog.records import Array

Scale: TypeAlias = Literal["map", "layer"]
GAP: Final = 2  # pixels between cells


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MapGrid:
    """Maps that become one captioned grid, an HWC uint8 image, when the worker asks for it.

    Attributes:
        maps: (n, H, W) numbers of any real dtype, a snapshot that the grid owns.
        caption: what is written above the grid, beside the limits of the scale.
        colormap: a name that `colormap_table` knows.
        scale: "map" lets each map use all colours; "layer" gives all maps one scale, so that they
            can be compared.
        symmetric: scale from -m to m, where m is the greatest magnitude, so that 0 has the middle
            colour; else from the least to the greatest value.
        columns: maps in a row; None makes the grid about square.
        min_side: pixels; the cells are enlarged by a whole factor until the grid's longer side is
            about as long.
    """

    maps: Array
    caption: str = ""
    colormap: str = "viridis"
    scale: Scale = "map"
    symmetric: bool = False
    columns: int | None = None
    min_side: int = 512

    def __post_init__(self) -> None:
        colormap_table(self.colormap)
        if self.scale not in {"map", "layer"}:
            raise InvalidValueError(f'A grid was asked for with scale={self.scale!r}; give "map" or "layer"')

    @property
    def nbytes(self) -> int:
        """Return the size of the snapshot in bytes."""
        return self.maps.nbytes

    def numpy(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        maps = to_numpy(self.maps)
        values, low, high = scaled(maps, scale=self.scale, symmetric=self.symmetric)
        grid = grid_of(colorize(values, self.colormap), columns=self.columns, min_side=self.min_side)
        if not self.caption:
            return grid
        limits = None if self.scale == "map" and len(maps) > 1 else (low, high)
        return stacked(caption_strips([self.caption], grid.shape[1], self.colormap, limits)[0], grid)


def scaled(maps: NDArray[Any], *, scale: Scale, symmetric: bool) -> tuple[NDArray[Any], float, float]:
    """Map numbers to [0, 1], and return them with the least and the greatest limit that was used.

    Args:
        maps: (n, H, W) real numbers. What is not finite stays so and does not count.
        scale: one pair of limits for each "map", or one for the whole "layer".
        symmetric: whether the limits are -m and m for the greatest magnitude m.
    """
    axes = (1, 2) if scale == "map" else (0, 1, 2)
    finite = np.isfinite(maps)
    high = np.max(maps, axes, keepdims=True, where=finite, initial=-np.inf).astype(np.float64)
    low = np.min(maps, axes, keepdims=True, where=finite, initial=np.inf).astype(np.float64)
    low, high = (
        np.where(np.isfinite(limit), limit, 0.0) for limit in (low, high)
    )  # maps without a finite value
    if symmetric:
        high = np.maximum(np.abs(low), np.abs(high))
        low = -high
    span = high - low
    # float32 is exact enough for 256 colours, unless the difference of two values overflows in it.
    dtype = np.float32 if span.max(initial=0) < 1e38 and maps.dtype.itemsize <= 4 else np.float64
    with np.errstate(invalid="ignore"):
        values = (maps - low.astype(dtype)) / np.where(span > 0, span, 1.0).astype(dtype)
    if symmetric:
        values += np.where(span > 0, 0.0, 0.5).astype(dtype)  # a map of zeros has the middle colour
    return values, float(low.min(initial=0)), float(high.max(initial=0))


def grid_of(
    cells: NDArray[np.uint8], *, columns: int | None = None, min_side: int = 512, gap: int = GAP
) -> NDArray[np.uint8]:
    """Return one picture of cells in rows, enlarged by a whole factor so that small cells can be seen.

    Args:
        cells: (n, H, W, 3) uint8.
        columns: cells in a row; None makes the grid about square.
        min_side: pixels of the longer side; what is smaller is enlarged to about this.
        gap: pixels between cells and around them.
    """
    number, height, width, _ = cells.shape
    columns = columns or square_columns(number, height, width)
    rows = -(-number // columns)
    factor = max(1, round(min_side / max(rows * height, columns * width)))
    return tiled(enlarged(cells, factor), columns=columns, gap=gap)


def square_columns(number: int, height: int, width: int) -> int:
    """Return how many cells of that size a row takes for the grid to be about square."""
    return min(math.ceil(math.sqrt(number * height / width)), number)


def enlarged(cells: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Repeat each pixel of (n, H, W, 3) `factor` times along both sides."""
    return cells if factor == 1 else cells.repeat(factor, axis=1).repeat(factor, axis=2)


def tiled(
    cells: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], *, columns: int, gap: int = GAP
) -> NDArray[np.uint8]:
    """Lay (n, H, W, 3) cells out in rows, with `gap` pixels of background around each."""
    cells = np.asarray(cells)
    number, height, width, channels = cells.shape
    rows = -(-number // columns)
    framed = _background(rows * columns, height + gap, width + gap, channels)
    framed[:number, gap:, gap:] = cells
    framed = framed.reshape(rows, columns, height + gap, width + gap, channels).swapaxes(1, 2)
    picture = _background(rows * (height + gap) + gap, columns * (width + gap) + gap, channels)
    picture[: -gap or None, : -gap or None] = framed.reshape(
        rows * (height + gap), columns * (width + gap), channels
    )
    return picture


def _background(*shape: int) -> NDArray[np.uint8]:
    pixels = np.empty(shape, np.uint8)
    pixels[...] = BACKGROUND
    return pixels
