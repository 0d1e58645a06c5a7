"""One image of all layers in depth order: the size of their gradients, and how much a step changes them.

Runs on the worker thread. Pillow draws it, without matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tblog.adapters._captions import BACKGROUND, INK, WIDTH, captioned, font
from tblog.adapters._colormaps import NON_FINITE
from tblog.adapters._layer_report import LayerReport, Row

_GOOD: Final = (106, 168, 255)
_MARKED: Final = (255, 122, 80)
_LINES: Final = (84, 88, 98)
_LEFT: Final = 64  # pixels, for the numbers of an axis
_PANEL: Final = 140  # height of one
_TITLE: Final = 28
_LETTERS: Final = 18
_MOST_NAMES: Final = 50  # more do not fit
_LONGEST_NAME: Final = 18
_MOST_DECADES: Final = 20
_MOST_TOLD: Final = 2  # findings, in the caption


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LayerChart:
    """Bars for each layer on logarithmic axes: an HWC uint8 image, made when the worker asks for it."""

    report: LayerReport

    @property
    def nbytes(self) -> int:
        """Return the approximate size of the figures in bytes."""
        return self.report.nbytes

    def numpy(self) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        rows = [row for row in self.report.rows() if row.layer.has_parameters]
        gradients, updates = self.report.tells
        panels = [_panel("gradient norm", rows, [row.gradient_norm for row in rows])] if gradients else []
        if updates:
            panels.append(
                _panel("update ratio: change / parameters", rows, [row.update_ratio for row in rows])
            )
        return captioned(np.concatenate([*panels, _names(rows)]), self._caption())

    def _caption(self) -> str:
        found = [f"{layers}: {finding}" for layers, finding in self.report.summary()]
        more = [f"{len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else []
        return " · ".join(["Layers from input to output", *found[:_MOST_TOLD], *more])


def _panel(title: str, rows: Sequence[Row], values: Sequence[float | None]) -> NDArray[np.uint8]:
    """Draw one bar for each value. A 0 is a mark at the bottom. A value that is not finite has a colour of its own."""
    from PIL import Image, ImageDraw

    panel = Image.new("RGB", (WIDTH, _TITLE + _PANEL), BACKGROUND)
    draw = ImageDraw.Draw(panel)
    draw.text((_LEFT, 2), title, fill=INK, font=font(_LETTERS + 2))
    low, high = _decades([value for value in values if value is not None])
    bottom = _TITLE + _PANEL - 6

    def height_of(exponent: float) -> float:
        return bottom - (exponent - low) / (high - low) * (_PANEL - 14)

    for exponent in range(low, high + 1, -(-(high - low) // 4)):
        y = height_of(exponent)
        draw.line([(_LEFT, y), (WIDTH, y)], fill=_LINES, width=2)  # visible on a card of half the size
        draw.text((_LEFT - 6, y), f"1e{exponent}", fill=INK, font=font(_LETTERS), anchor="rm")
    for (left, right), row, value in zip(_places(len(rows)), rows, values, strict=True):
        if value is None:
            continue
        color, top = (_MARKED if row.findings else _GOOD), bottom - 3.0
        if not math.isfinite(value):
            color, top = NON_FINITE, height_of(high)
        elif value > 0:
            top = min(height_of(max(math.log10(value), low)), top)
        draw.rectangle([left, top, right, bottom], fill=color)
    return np.asarray(panel)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten that enclose the positive values, at least one apart."""
    exponents = [math.log10(value) for value in values if math.isfinite(value) and value > 0]
    high = math.ceil(max(exponents, default=0.0) + 1e-9)
    low = min(math.floor(min(exponents, default=0.0)), high - 1)
    return max(low, high - _MOST_DECADES), high


def _places(number: int) -> list[tuple[float, float]]:
    """Return the left and the right end of each bar."""
    pitch = (WIDTH - _LEFT - 4) / max(number, 1)
    width = max(1.0, min(0.75 * pitch, 40))
    middles = [_LEFT + (index + 0.5) * pitch for index in range(number)]
    return [(middle - width / 2, middle + width / 2) for middle in middles]


def _names(rows: Sequence[Row]) -> NDArray[np.uint8]:
    """Draw the layers' names upright below their bars. If they are too many, draw those of marked layers that fit."""
    from PIL import Image, ImageDraw

    places = _places(len(rows))
    pitch = (WIDTH - _LEFT) / max(len(rows), 1)
    size = max(12, min(_LETTERS, int(pitch)))
    texts = [_shortened(row.layer.name) for row in rows]
    height = math.ceil(max(map(font(size).getlength, texts), default=0)) + 12
    strip = Image.new("RGB", (height, WIDTH), BACKGROUND)  # rotated by 90 degrees later
    draw = ImageDraw.Draw(strip)
    free_from = 0.0
    for (left, right), row, text in zip(places, rows, texts, strict=True):
        middle = (left + right) / 2
        wanted = bool(row.findings) or len(rows) <= _MOST_NAMES
        if wanted and middle - size / 2 >= free_from:
            color: Any = _MARKED if row.findings else INK
            draw.text((height - 6, middle), text, fill=color, font=font(size), anchor="rm")
            free_from = middle + size / 2
    return np.asarray(strip.transpose(Image.Transpose.ROTATE_90))[:, :WIDTH]


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]
