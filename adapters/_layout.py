"""Layout of cells in rows: their number per row, their size, and their labels.

Must not: know what a cell shows. Runs on the worker thread. The operations of numpy and Pillow work on whole
arrays and release the interpreter lock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog.adapters._captions import BACKGROUND, WIDTH, label_size, label_strips

GAP: Final = 2  # pixels between cells
_MOST_HEIGHT: Final = 1200  # pixels, the maximum to which a grid is enlarged
_LEAST_LABELLED: Final = 24  # pixels; narrower cells have no room for a label
_LEAST_SIDE: Final = 40  # pixels; smaller cells are hard to see


class Arrangement(NamedTuple):
    """The number of cells per row, and the size in pixels of each panel of a cell."""

    columns: int
    height: int
    width: int
    gap: int
    line: int


def arranged(
    cells: NDArray[np.uint8], labels: Sequence[str] = (), first: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Lay out cells in rows that fill an image of width `WIDTH`. Cells that are too large keep their size.

    Args:
        cells: (n, H, W, 3) uint8, or (n, P, H, W, 3) for cells of P panels side by side, separated by
            thin lines.
        labels: a text above each cell, or none at all.
        first: (h, w, 3), the input. It is scaled to fit into a cell, which comes first.
    """
    cells = _stretched(cells)
    panels = cells.reshape(-1, *cells.shape[-3:])
    per_cell = len(panels) // len(cells)
    number = len(cells) + (first is not None)
    above = round(1.4 * label_size(labels)) if labels else 0
    place = arrangement(number, *cells.shape[-3:-1], panels=per_cell, above=above)
    drawn = resized(panels, place.height, place.width).reshape(len(cells), per_cell, place.height, -1, 3)
    joined = _joined(drawn, place.line)
    if first is not None:
        joined = np.concatenate([_fitted(first, *joined.shape[1:3])[None], joined])
        labels = ["input", *labels] if labels else ()
    if labels and joined.shape[2] >= _LEAST_LABELLED:
        picture_width = place.columns * (joined.shape[2] + place.gap) + place.gap
        joined = np.concatenate([label_strips(labels, joined.shape[2], picture_width), joined], axis=1)
    return tiled(joined, columns=place.columns, gap=place.gap)


def arrangement(number: int, height: int, width: int, *, panels: int = 1, above: int = 0) -> Arrangement:
    """Return an arrangement with few gaps and a small margin, an almost square grid, and cells that are not tiny.

    Args:
        number: the number of cells.
        height: the height of a panel before scaling, in pixels.
        width: the width of a panel before scaling, in pixels.
        panels: the number of panels of a cell.
        above: the height of the label above each cell, in pixels.
    """
    gap, line = (GAP, 0) if panels == 1 else (3 * GAP, GAP)

    def drawn(columns: int) -> tuple[float, float]:
        rows = -(-number // columns)
        lines = gap * (columns + 1) + line * (panels - 1) * columns
        between = (gap + above) * rows
        natural = columns * panels * width
        factor = max(1.0, min((WIDTH - lines) / natural, (_MOST_HEIGHT - between) / (rows * height)))
        across, down = natural * factor + lines, rows * height * factor + between
        margin = max(0.0, 1 - across / WIDTH)
        empty = (rows * columns - number) / number
        tiny = max(0.0, 1 - min(height, panels * width) * factor / _LEAST_SIDE)
        return empty + 1.5 * margin + 0.3 * tiny + 0.1 * abs(math.log2(across / down)), factor

    columns = min(range(1, number + 1), key=lambda columns: drawn(columns)[0])
    factor = drawn(columns)[1]
    return Arrangement(columns, int(height * factor + 1e-6), int(width * factor + 1e-6), gap, line)


def resized(cells: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Scale (n, H, W, 3) cells to a size in pixels. Pixels keep their area, and colours mix only at their edges."""
    from PIL import Image

    number, rows, columns, _ = cells.shape
    cells = _enlarged(cells, max(1, -(-height // rows), -(-width // columns)))
    if cells.shape[1:3] == (height, width):
        return cells
    sheet = Image.fromarray(cells.reshape(-1, *cells.shape[2:]))
    return np.asarray(sheet.resize((width, number * height), Image.Resampling.BOX)).reshape(
        number, height, width, 3
    )


def tiled(
    cells: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], *, columns: int, gap: int = GAP
) -> NDArray[np.uint8]:
    """Lay out (n, H, W, 3) cells in rows, with `gap` pixels of background around each."""
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


def _fitted(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Scale an image to fit into a size in pixels, and centre it on background."""
    rows, columns, _ = picture.shape
    factor = min(height / rows, width / columns)
    size = max(1, int(rows * factor + 1e-6)), max(1, int(columns * factor + 1e-6))
    fitted = _background((height,), width)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    fitted[top : top + size[0], left : left + size[1]] = resized(picture[None], *size)[0]
    return fitted


def _joined(panels: NDArray[np.uint8], line: int) -> NDArray[np.uint8]:
    """Join the panels of (n, P, H, W, 3) side by side, with a line of background between them."""
    number, count, height, width, _ = panels.shape
    joined = _background((number, height), count * (width + line) - line)
    for index in range(count):
        start = index * (width + line)
        joined[:, :, start : start + width] = panels[:, index]
    return joined


def _stretched(cells: NDArray[np.uint8], most: int = 8) -> NDArray[np.uint8]:
    """Widen the short side of cells, such as (1, 1000), that are more than `most` times as long as wide."""
    height, width = cells.shape[-3:-1]
    if width > most * height:
        return cells.repeat(width // (most * height), axis=-3)
    if height > most * width:
        return cells.repeat(height // (most * width), axis=-2)
    return cells


def _enlarged(cells: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Repeat each pixel of (n, H, W, 3) `factor` times along both sides."""
    if factor == 1:
        return cells
    number, height, width, channels = cells.shape
    # An assignment releases the interpreter lock, numpy.repeat does not.
    pixels = np.empty((number, height, factor, width, factor, channels), np.uint8)
    pixels[...] = cells[:, :, None, :, None]
    return pixels.reshape(number, height * factor, width * factor, channels)


def _background(rows: tuple[int, ...], width: int) -> NDArray[np.uint8]:
    pixels = np.empty((*rows, width * 3), np.uint8)
    pixels[...] = np.array(
        BACKGROUND * width, np.uint8
    )  # whole rows are many times faster than single pixels
    return pixels.reshape(*rows, width, 3)
