"""Many maps drawn as one image.

Lives here: `MapGrid` and `ColorGrid`, the deferred images that adapters put into an `ImageRecord`, and the scaling
of numbers to colours. Must not: touch a model, or import torch or matplotlib.
Everything runs on the worker thread, except the check of `MapGrid`'s arguments. The steps are numpy
operations on whole arrays, which release the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tblog._values.arrays import to_numpy
from tblog.adapters._captions import Legend, captioned
from tblog.adapters._colormaps import NON_FINITE, colorize, colormap_table
from tblog.adapters._layout import arranged
from tblog.adapters._pictures import ChannelValues, as_pictures
from tblog.errors import InvalidValueError, shortened
from tblog.records import Array

Scale: TypeAlias = Literal["map", "layer"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MapGrid:
    """Maps that become one captioned grid, an HWC uint8 image, when the worker asks for it.

    Attributes:
        maps: (n, H, W) numbers of any real dtype, as a snapshot that the grid owns. In (n, P, H, W), P panels
            stand side by side and count as one map.
        caption: the text above the grid, beside the colour bar.
        labels: a word above each map, or none at all.
        colormap: a name that `colormap_table` knows.
        scale: "map" lets each map use all colours. "layer" gives all maps one scale, so that they
            can be compared.
        symmetric: scale from -m to m, where m is the greatest magnitude, so that 0 has the middle
            colour. Otherwise the scale goes from the least to the greatest value.
        picture: (1, C, H, W), the input of all maps. `as_pictures` draws it before the first map.
        mean: the mean of the picture, see `as_pictures`.
        std: see `mean`.
    """

    maps: Array
    caption: str = ""
    labels: Sequence[str] = ()
    colormap: str = "viridis"
    scale: Scale = "map"
    symmetric: bool = False
    picture: Array | None = None
    mean: ChannelValues = None
    std: ChannelValues = None

    def __post_init__(self) -> None:
        colormap_table(self.colormap)
        check_scale(self.scale)

    @property
    def nbytes(self) -> int:
        """Return the size of the snapshots in bytes."""
        return self.maps.nbytes + (0 if self.picture is None else self.picture.nbytes)

    def numpy(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        maps = to_numpy(self.maps)
        values, low, high = scaled(maps, scale=self.scale, symmetric=self.symmetric)
        first = None
        if self.picture is not None:
            first = as_pictures(to_numpy(self.picture), self.mean, self.std)[0]
        grid = arranged(colorize(values, self.colormap), self.labels, first)
        ends = (f"{low:.3g}", f"{high:.3g}")
        if self.scale == "map" and len(maps) > 1:
            ends = (
                ("-m", "m, its greatest magnitude, of each")
                if self.symmetric
                else ("least", "greatest of each map")
            )
        return captioned(grid, self.caption, Legend(self.colormap, *ends))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColorGrid:
    """Maps of three channels, drawn in colour with 0 as mid-grey. Otherwise like `MapGrid`.

    Attributes:
        maps: (n, 3, H, W) numbers, scaled from -m to m, where m is the greatest magnitude.
        caption: the text above the grid.
        labels: a word above each map, or none at all.
        scale: "map" computes m for each map, "layer" for all together.
    """

    maps: Array
    caption: str = ""
    labels: Sequence[str] = ()
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
        limits = (
            f"from -{greatest:.3g} to {greatest:.3g}" if self.scale == "layer" else "each on its own scale"
        )
        words = f"{self.caption} · grey is 0, {limits}" if self.caption else ""
        return captioned(arranged(pixels, self.labels), words)


def scaled(maps: NDArray[Any], *, scale: Scale, symmetric: bool) -> tuple[NDArray[Any], float, float]:
    """Scale numbers to [0, 1], and return them with the least and the greatest limit.

    Args:
        maps: (n, ...) real numbers. Values that are not finite stay so, and do not affect the limits.
        scale: "map" uses a pair of limits for each maps[i], "layer" one pair for all.
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
    # float32 is exact enough for 256 colours, unless a difference of two values overflows.
    dtype = np.float32 if maps.dtype.itemsize <= 4 and span.max() < 1e38 else np.float64
    with np.errstate(invalid="ignore"):
        values = (maps - low.astype(dtype)) / np.where(span > 0, span, 1.0).astype(dtype)
    if symmetric:
        values += np.where(span > 0, 0.0, 0.5).astype(dtype)  # a map of zeros has the middle colour
    return values, float(low.min()), float(high.max())


def _finite_limits(one: NDArray[Any]) -> tuple[float, float]:
    """Return the least and the greatest finite value, or NaN if there is none."""
    low, high = one.min(), one.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = one[np.isfinite(one)]
        low, high = (finite.min(), finite.max()) if finite.size else (np.nan, np.nan)
    return float(low), float(high)


def check_scale(scale: str) -> None:
    """Raise InvalidValueError for a scale that does not exist."""
    if scale not in {"map", "layer"}:
        raise InvalidValueError(f'scale was {shortened(scale)}; give "map" or "layer"')
