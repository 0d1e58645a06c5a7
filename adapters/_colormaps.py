"""Colour maps as tables of 256 colours. The common ones need no matplotlib.

Lives here: the tables, and the mapping of numbers in [0, 1] to colours. The tables equal matplotlib's
to within 1/255, and the tests compare them.
Must not: scale values or lay out images (`_grids` does).
`colormap_table` runs on the caller's thread, so that a wrong name fails in the call. `colorize` runs on the worker.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tblog.errors import InvalidValueError, MissingDependencyError, shortened

NON_FINITE: Final = (255, 0, 255)  # magenta, which none of the colour maps below contains

# Piecewise linear through (position, red, green, blue), each one byte in hexadecimal. The knots of
# viridis and magma are the fewest that keep every entry within 1/255.
_KNOTS: Final = {
    "grey": "00000000 ffffffff",
    "viridis": (
        "00440154 0f481769 1d482979 2e433e85 3f3b518b 582f6b8e 7823898e 8b1e9b8a 9520a486 a129af7f "
        "ae3bbb75 ba52c569 c569cd5b d48ed645 e9c5e021 f2dde318 f7eae51a fbf4e61e fffde725"
    ),
    "magma": (
        "00000004 0502020b 0e08071e 1d19103f 27271258 3036106b 37420f75 4254137d 536e1e81 69912b81 "
        "7fb5367a 91d2426f 9fe55064 a7ee5b5e b0f56b5c b9f97b5d c2fc8c63 cefea36f e0fec488 f6fcecae fffcfdbf"
    ),
}
# matplotlib's segmented maps: for each channel the points (position, value) to interpolate between,
# https://github.com/matplotlib/matplotlib/blob/v3.10.0/lib/matplotlib/_cm.py
_SEGMENTS: Final[dict[str, tuple[tuple[tuple[float, float], ...], ...]]] = {
    "jet": (
        ((0, 0), (0.35, 0), (0.66, 1), (0.89, 1), (1, 0.5)),
        ((0, 0), (0.125, 0), (0.375, 1), (0.64, 1), (0.91, 0), (1, 0)),
        ((0, 0.5), (0.11, 1), (0.34, 1), (0.65, 0), (1, 0)),
    ),
    "hot": (
        ((0, 0.0416), (0.365079, 1), (1, 1)),
        ((0, 0), (0.365079, 0), (0.746032, 1), (1, 1)),
        ((0, 0), (0.746032, 0), (1, 1)),
    ),
    "bwr": (((0, 0), (0.5, 1), (1, 1)), ((0, 0), (0.5, 1), (1, 0)), ((0, 1), (0.5, 1), (1, 0))),
    "seismic": (
        ((0, 0), (0.25, 0), (0.5, 1), (0.75, 1), (1, 0.5)),
        ((0, 0), (0.25, 0), (0.5, 1), (0.75, 0), (1, 0)),
        ((0, 0.3), (0.25, 1), (0.5, 1), (0.75, 0), (1, 0)),
    ),
}
_ALIASES: Final = {"gray": "grey", "Greys_r": "grey"}


@lru_cache(maxsize=32)
def colormap_table(name: str) -> NDArray[np.uint8]:
    """Return the colours of a map, (256, 3) uint8, read-only.

    Args:
        name: grey (or gray), viridis, magma, jet, hot, bwr or seismic. For any other name, matplotlib must be
            installed.

    Raises:
        InvalidValueError: no map has this name.
        MissingDependencyError: the name is not built in, and matplotlib is not installed.
    """
    own = _ALIASES.get(name, name)
    if own in _KNOTS:
        table = _from_knots(_KNOTS[own])
    elif own in _SEGMENTS:
        table = _from_segments(_SEGMENTS[own])
    else:
        table = _from_matplotlib(name)
    table.flags.writeable = False
    return table


def colorize(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Map floats in [0, 1] of shape (...) to colours of shape (..., 3) uint8.

    Values outside [0, 1] get the colour of the nearer end. NaN and infinities become `NON_FINITE`.
    """
    table = np.concatenate([colormap_table(name), np.array([NON_FINITE], np.uint8)])
    finite = np.isfinite(values)
    index = np.where(finite, values, 0.0).clip(0.0, 1.0)
    index *= 256
    cells = np.minimum(index, 255).astype(np.intp)  # matplotlib's rule: 256 equal intervals
    cells[~finite] = 256
    colors: NDArray[np.uint8] = np.take(table, cells, axis=0)
    return colors


def _from_knots(knots: str) -> NDArray[np.uint8]:
    points = np.array([list(bytes.fromhex(knot)) for knot in knots.split()], np.float64)
    entries = np.arange(256)
    return _to_bytes([np.interp(entries, points[:, 0], points[:, 1 + channel]) for channel in range(3)])


def _from_segments(segments: tuple[tuple[tuple[float, float], ...], ...]) -> NDArray[np.uint8]:
    entries = np.arange(256) / 255
    points = [np.array(channel) for channel in segments]
    return _to_bytes([255 * np.interp(entries, channel[:, 0], channel[:, 1]) for channel in points])


def _to_bytes(channels: list[NDArray[Any]]) -> NDArray[np.uint8]:
    table: NDArray[np.uint8] = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return table


def _from_matplotlib(name: str) -> NDArray[np.uint8]:
    built_in = [*_KNOTS, *_SEGMENTS]
    try:
        from matplotlib import colormaps
    except ImportError:
        raise MissingDependencyError(
            "matplotlib", "adapters", f"The colour map {shortened(name)} (built in are {', '.join(built_in)})"
        ) from None
    if name not in colormaps:
        known = list(dict.fromkeys([*built_in, *colormaps]))
        near = difflib.get_close_matches(name, known, n=3) or built_in
        raise InvalidValueError(
            f"There is no colour map named {shortened(name)}; the nearest are {', '.join(near)}"
        )
    table: NDArray[np.uint8] = colormaps[name].resampled(256)(np.arange(256), bytes=True)[:, :3].copy()
    return table
