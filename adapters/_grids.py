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
from tblog.adapters._captions import BACKGROUND, CARD_WIDTH, captioned
from tblog.adapters._colormaps import NON_FINITE, colorize, colormap_table
from tblog.errors import InvalidValueError
from tblog.records import Array

Scale: TypeAlias = Literal["map", "layer"]
GAP: Final = 2  # pixels between cells
_MOST_HEIGHT: Final = 600  # pixels to which a grid is enlarged


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MapGrid:
    """Maps that become one captioned grid, an HWC uint8 image, when the worker asks for it.

    Attributes:
        maps: (n, H, W) numbers of any real dtype, a snapshot that the grid owns; or (n, P, H, W),
            where P panels stand side by side and count as one map.
        caption: what is written above the grid, beside the limits of the scale.
        colormap: a name that `colormap_table` knows.
        scale: "map" lets each map use all colours; "layer" gives all maps one scale, so that they
            can be compared.
        symmetric: scale from -m to m, where m is the greatest magnitude, so that 0 has the middle
            colour; else from the least to the greatest value.
    """

    maps: Array
    caption: str = ""
    colormap: str = "viridis"
    scale: Scale = "map"
    symmetric: bool = False

    def __post_init__(self) -> None:
        colormap_table(self.colormap)
        check_scale(self.scale)

    @property
    def nbytes(self) -> int:
        """Return the size of the snapshot in bytes."""
        return self.maps.nbytes

    def numpy(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        maps = to_numpy(self.maps)
        values, low, high = scaled(maps, scale=self.scale, symmetric=self.symmetric)
        grid = grid_of(colorize(values, self.colormap))
        limits = None if self.scale == "map" and len(maps) > 1 else (low, high)
        return captioned(grid, self.caption, self.colormap, limits)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColorGrid:
    """Maps of three channels, drawn in their own colours: 0 is mid-grey. Else as `MapGrid`.

    Attributes:
        maps: (n, 3, H, W) numbers, scaled from -m to m, where m is the greatest magnitude.
        caption: what is written above the grid.
        scale: whether m is of each "map" or of the whole "layer".
    """

    maps: Array
    caption: str = ""
    scale: Scale = "map"

    def __post_init__(self) -> None:
        check_scale(self.scale)

    @property
    def nbytes(self) -> int:
        """Return the size of the snapshot in bytes."""
        return self.maps.nbytes

    def numpy(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        values, _, greatest = scaled(to_numpy(self.maps), scale=self.scale, symmetric=True)
        finite = np.isfinite(values)
        pixels = np.rint(255 * np.where(finite, values, 0.0)).astype(np.uint8)
        pixels = np.moveaxis(pixels, 1, -1)
        pixels[~finite.all(axis=1)] = NON_FINITE
        limits = f" · from -{greatest:.3g} to {greatest:.3g}" if self.scale == "layer" else ""
        return captioned(grid_of(pixels), self.caption and self.caption + limits)


def scaled(maps: NDArray[Any], *, scale: Scale, symmetric: bool) -> tuple[NDArray[Any], float, float]:
    """Map numbers to [0, 1], and return them with the least and the greatest limit that was used.

    Args:
        maps: (n, ...) real numbers. What is not finite stays so and does not count.
        scale: one pair of limits for each "map", maps[i], or one for the whole "layer".
        symmetric: whether the limits are -m and m for the greatest magnitude m.
    """
    maps = maps if maps.dtype.kind == "f" else maps.astype(np.float32)
    limits = np.array([_finite_limits(one) for one in maps], np.float64)
    if scale == "layer":
        known = limits[np.isfinite(limits[:, 0])]
        limits = np.array([[known[:, 0].min(), known[:, 1].max()]]) if len(known) else np.zeros((1, 2))
    low, high = np.nan_to_num(limits).T.reshape(2, -1, *[1] * (maps.ndim - 1))
    if symmetric:
        high = np.maximum(np.abs(low), np.abs(high))
        low = -high
    span = high - low
    # float32 is exact enough for 256 colours, unless the difference of two values overflows in it.
    dtype = np.float32 if maps.dtype.itemsize <= 4 and span.max() < 1e38 else np.float64
    with np.errstate(invalid="ignore"):
        values = (maps - low.astype(dtype)) / np.where(span > 0, span, 1.0).astype(dtype)
    if symmetric:
        values += np.where(span > 0, 0.0, 0.5).astype(dtype)  # a map of zeros has the middle colour
    return values, float(low.min()), float(high.max())


def _finite_limits(one: NDArray[Any]) -> tuple[float, float]:
    """Return the least and the greatest finite value, NaN if there is none."""
    low, high = one.min(), one.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = one[np.isfinite(one)]
        low, high = (finite.min(), finite.max()) if finite.size else (np.nan, np.nan)
    return float(low), float(high)


def grid_of(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay cells out in an about square grid, enlarged by a whole factor to the width of a card at most.

    Args:
        cells: (n, H, W, 3) uint8, or (n, P, H, W, 3) for cells of P panels side by side, which thin
            lines part.
    """
    cells = _stretched(cells)
    if cells.ndim == 4:
        return _laid_out(cells, GAP, 0)
    if cells.shape[1] == 1:
        return _laid_out(cells[:, 0], GAP, 0)
    return _laid_out(cells, 2 * GAP, 1)


def _laid_out(cells: NDArray[np.uint8], gap: int, line: int) -> NDArray[np.uint8]:
    panels = cells.shape[1] if cells.ndim == 5 else 1
    number, height, width = len(cells), cells.shape[-3], cells.shape[-2] * panels
    columns = square_columns(number, height, width)
    room = CARD_WIDTH - (columns + 1) * gap - columns * (panels + 1) * line
    factor = max(1, min(room // (columns * width), _MOST_HEIGHT // (-(-number // columns) * height)))
    if cells.ndim == 5:
        joined = [tiled(enlarged(cell, factor), columns=panels, gap=line) for cell in cells]
        return tiled(joined, columns=columns, gap=gap)
    return tiled(enlarged(cells, factor), columns=columns, gap=gap)


def _stretched(cells: NDArray[np.uint8], most: int = 8) -> NDArray[np.uint8]:
    """Widen the short side of cells that are more than `most` times as long as wide, as (1, 1000) is."""
    height, width = cells.shape[-3:-1]
    if width > most * height:
        return cells.repeat(width // (most * height), axis=-3)
    if height > most * width:
        return cells.repeat(height // (most * width), axis=-2)
    return cells


def square_columns(number: int, height: int, width: int) -> int:
    """Return how many cells of that size a row takes for the grid to be about square."""
    return min(math.ceil(math.sqrt(number * height / width)), number)


def enlarged(cells: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Repeat each pixel of (n, H, W, 3) `factor` times along both sides."""
    if factor == 1:
        return cells
    number, height, width, channels = cells.shape
    # An assignment lets go of the interpreter lock, numpy.repeat does not.
    pixels = np.empty((number, height, factor, width, factor, channels), np.uint8)
    pixels[...] = cells[:, :, None, :, None]
    return pixels.reshape(number, height * factor, width * factor, channels)


def tiled(
    cells: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], *, columns: int, gap: int = GAP
) -> NDArray[np.uint8]:
    """Lay (n, H, W, 3) cells out in rows, with `gap` pixels of background around each."""
    cells = np.asarray(cells)
    number, height, width, _ = cells.shape
    rows = -(-number // columns)
    framed = _background((rows * columns, height + gap), width + gap)
    framed[:number, gap:, gap:] = cells
    framed = framed.reshape(rows, columns, height + gap, width + gap, 3).swapaxes(1, 2)
    picture = _background((rows * (height + gap) + gap,), columns * (width + gap) + gap)
    picture[: -gap or None, : -gap or None] = framed.reshape(
        rows * (height + gap), columns * (width + gap), 3
    )
    return picture


def check_scale(scale: str) -> None:
    """Raise InvalidValueError for a scale that does not exist."""
    if scale not in {"map", "layer"}:
        raise InvalidValueError(f'A grid was asked for with scale={scale!r}; give "map" or "layer"')


def _background(rows: tuple[int, ...], width: int) -> NDArray[np.uint8]:
    pixels = np.empty((*rows, width * 3), np.uint8)
    pixels[...] = np.array(BACKGROUND * width, np.uint8)  # by whole rows: many times faster than by pixels
    return pixels.reshape(*rows, width, 3)
