"""Curves in a terminal: a line of blocks, or a field of braille dots with its axes.

Lives here: numbers -> text. Must not: print, know runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tblog._cli import output

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCKS = "▁▂▃▄▅▆▇█"
_BLANK = 0x2800
# The dots of a braille character, by column and row: https://www.unicode.org/charts/PDF/U2800.pdf
_DOTS = np.array([[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]], np.uint8)


def sparkline(values: NDArray[np.float64], width: int) -> str:
    """Return a curve as one line of at most `width` characters: the mean of each stretch, blank if none is finite."""
    parts = np.array_split(values, min(width, len(values)))
    with np.errstate(over="ignore"):
        means = np.array([_mean(part) for part in parts])
    level = _levels(means, len(_BLOCKS))
    return "".join(_BLOCKS[one] if one >= 0 else " " for one in level)


def _mean(part: NDArray[np.float64]) -> float:
    finite = part[np.isfinite(part)]
    return float(finite.mean()) if len(finite) else float("nan")


def _levels(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the levels of values from the smallest to the largest: 0 to count - 1, or -1 for one that is not finite."""
    is_finite = np.isfinite(values)
    levels = np.full(len(values), -1, np.int64)
    if is_finite.any():
        inside = values[is_finite] / 2  # so that a difference of float64's largest numbers is finite
        low, high = inside.min(), inside.max()
        share = (inside - low) / (high - low) if high > low else np.full(len(inside), 0.5)
        levels[is_finite] = np.minimum((share * count).astype(np.int64), count - 1)
    return levels


def plot(steps: NDArray[np.int64], values: NDArray[np.float64], width: int, height: int) -> list[str]:
    """Return the lines of a plot of a curve over its steps, with labels for the ends of both axes.

    Args:
        steps: int64, (n,).
        values: float64, (n,); values that are not finite are left out.
        width: width of the field, in characters.
        height: height of the field, in lines.
    """
    is_finite = np.isfinite(values)
    if not is_finite.any():
        return ["no value is finite"]
    top, bottom = output.number(values[is_finite].max()), output.number(values[is_finite].min())
    margin = max(len(top), len(bottom))
    lines = _field(steps[is_finite], values[is_finite], width, height)
    labels = [top, *[""] * (height - 2), bottom] if height > 1 else [top]
    first, last = str(steps.min()), str(steps.max())
    axis = f"{first}{last.rjust(width - len(first))}" if first != last else first
    return [
        *(f"{label:>{margin}} ┤{line}" for label, line in zip(labels, lines, strict=True)),
        f"{'':{margin}}  {axis}",
    ]


def _field(steps: NDArray[np.int64], values: NDArray[np.float64], width: int, height: int) -> list[str]:
    order = np.argsort(steps, kind="stable")
    places, values = steps[order].astype(np.float64), values[order]
    between = np.linspace(places[0], places[-1], 2 * width)  # so that few values make a line, too
    x = _levels(np.concatenate([places, between]), 2 * width)
    y = 4 * height - 1 - _levels(np.concatenate([values, np.interp(between, places, values)]), 4 * height)
    cells = np.zeros((height, width), np.uint8)
    for column in range(2 * width):
        inside = y[x == column]
        if len(inside):  # everything between the extremes of a column, so no spike is lost
            rows = np.arange(inside.min(), inside.max() + 1)
            np.bitwise_or.at(cells, (rows // 4, np.full(len(rows), column // 2)), _DOTS[column % 2, rows % 4])
    return ["".join(chr(_BLANK + cell) for cell in row.tolist()).rstrip(chr(_BLANK)) for row in cells]
