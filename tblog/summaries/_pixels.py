"""Converts arrays to uint8 pixels: orders the axes, scales the values, and lays out batches as a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._require import require
from tblog._values.checks import check_real, plain_text, shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tblog.summaries._context import EncodeContext

_NO_ROUNDING = 2  # no rounding turns a value meant as 1 into this
CHANNELS = (1, 2, 3, 4)  # grey, grey and alpha, RGB, RGBA


def check_axes(array: Any, dataformats: str, layouts: Sequence[str], what: str) -> None:
    """Check that an array has the axes in `dataformats` and a number of channels that can be drawn.

    Args:
        array: anything with a shape. Without one, it passes.
        dataformats: one letter for each axis, in any order and case.
        layouts: the allowed sets of letters.
        what: the beginning of the message.

    Raises:
        InvalidValueError: it does not.
        UnsupportedTypeError: the array does not hold real numbers.
    """
    letters = plain_text(dataformats).upper()
    known = sorted(letters) in [sorted(layout) for layout in layouts]
    require(
        known, f"{what}: dataformats", dataformats, f"the letters of {' or '.join(layouts)}, in any order"
    )
    check_real(array, f"{what}: the array")
    shape = shape_of(array)
    if shape is None:
        return
    require(len(shape) == len(letters), f"{what}: the shape", shape, f"one axis for each of {dataformats!r}")
    require(0 not in shape, f"{what}: the shape", shape, "at least one element on each axis")
    channels = shape[letters.index("C")] if "C" in letters else 1
    require(
        channels in CHANNELS,
        f"{what}: with dataformats {dataformats!r} and shape {shape}, the number of channels",
        channels,
        "1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA), or another dataformats",
    )


def ordered(array: NDArray[Any], dataformats: str, wanted: str) -> NDArray[Any]:
    """Return a view with the axes in the wanted order. Axes that `dataformats` lacks have length 1."""
    letters = dataformats.upper()
    missing = [axis for axis in wanted if axis not in letters]
    expanded = array.reshape((1,) * len(missing) + array.shape)
    view: NDArray[Any] = expanded.transpose([[*missing, *letters].index(axis) for axis in wanted])
    return view


def to_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels: uint8 unchanged, other values times 255 in float32, clipped to [0, 255]. NaN is black."""
    if array.dtype == np.uint8:
        return array
    with np.errstate(over="ignore"):
        scaled: NDArray[np.float32] = np.multiply(array, np.float32(255), dtype=np.float32, casting="unsafe")
    np.fmax(scaled, 0, out=scaled)
    np.fmin(scaled, 255, out=scaled)
    return scaled.astype(np.uint8)


def report_white(array: NDArray[Any], tag: str, what: str, context: EncodeContext) -> None:
    """Report values above 1, unless rounding explains them. Most likely the caller's range ends at 255."""
    if array.dtype != np.uint8 and np.fmax.reduce(array, axis=None) >= _NO_ROUNDING:
        message = f"{what}: {array.dtype} values above 1 are white; if they range to 255, divide by 255 or give uint8"
        context.report(tag, message, int(np.count_nonzero(array > 1)))


def tile(images: NDArray[Any], columns: int, rows: int | None = None) -> NDArray[np.uint8]:
    """Lay out images in rows, from the top left. Empty cells are black.

    Args:
        images: shape (n, height, width, channels), of any real dtype. Grey becomes RGB.
        columns: the number of images per row.
        rows: the number of rows. None means as many as the images need.

    Returns:
        uint8 of shape (rows * height, columns * width, 2, 3 or 4).
    """
    count, height, width, channels = images.shape
    rows = -(-count // columns) if rows is None else rows
    grid = np.zeros((rows * height, columns * width, 3 if channels == 1 else channels), np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * height, index % columns * width
        _place(to_uint8(image), grid[top : top + height, left : left + width])
    return grid


def _place(pixels: NDArray[np.uint8], cell: NDArray[np.uint8]) -> None:
    """Copy an image into its cell, a channel at a time if each lies by itself: numpy takes a third of the time then."""
    if pixels.strides[2] == 1:
        cell[...] = pixels
        return
    for channel in range(cell.shape[2]):
        cell[..., channel] = pixels[..., min(channel, pixels.shape[2] - 1)]
