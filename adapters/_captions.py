"""Words above a picture: what it shows, and the colours with the numbers that they stand for.

Runs on the worker thread. Text is drawn by Pillow with the font that it brings.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tblog.adapters._colormaps import colormap_table

BACKGROUND: Final = (44, 46, 52)  # dark enough for bwr's white zero, light enough for viridis's dark end
CARD_WIDTH: Final = 350  # pixels to which TensorBoard's Images page scales a picture, by nearest neighbour
_INK: Final = (236, 236, 236)
_MARGIN: Final = 4


def captioned(
    picture: NDArray[np.uint8],
    text: str,
    colormap: str | None = None,
    limits: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """Put a text above a picture, (height, width, 3) uint8, in letters that can be read on a card.

    A picture that TensorBoard makes smaller gets letters of larger pixels, so that no stroke is lost.

    Args:
        picture: narrow ones are filled up to the width of a card.
        text: long ones are broken into lines; an empty one leaves the picture alone.
        colormap: see `caption_strips`.
        limits: see `caption_strips`.
    """
    if not text:
        return picture
    width = max(picture.shape[1], CARD_WIDTH)
    factor = -(-width // CARD_WIDTH)
    strip = caption_strips([text], -(-width // factor), colormap, limits)[0]
    return stacked(strip.repeat(factor, axis=0).repeat(factor, axis=1)[:, :width], picture)


def counted(shown: int, total: int, noun: str) -> str:
    """Return "16 channels", or "8 of 16 channels" where not all are shown."""
    return f"{shown} {noun}{'s' * (shown != 1)}" if shown == total else f"{shown} of {total} {noun}s"


def caption_strips(
    texts: Sequence[str],
    width: int,
    colormap: str | None = None,
    limits: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """Draw texts as strips of one height, (n, height, at least width, 3) uint8.

    Args:
        texts: one for each strip; long ones are broken into lines.
        width: pixels of the picture that the strip belongs to; very narrow ones get a wider strip.
        colormap: with `limits`, adds a bar of these colours between the two numbers.
        limits: what the first and the last colour stand for.
    """
    width = max(width, 160)
    size = min(max(width // 27, 12), 40)
    line_height = round(size * 1.35)
    letters = int((width - 2 * _MARGIN) / _font(size).getlength("abcdefghij 0123456789") * 21)
    broken = [textwrap.wrap(text, letters) for text in texts]
    height = max(map(len, broken)) * line_height + 2 * _MARGIN
    strips = np.stack([_text("\n".join(lines), width, height, size) for lines in broken])
    if colormap is None or limits is None:
        return strips
    legend = _legend(colormap, limits, width, line_height, size)
    return np.concatenate([strips, np.broadcast_to(legend, (len(strips), *legend.shape))], axis=1)


def _text(text: str, width: int, height: int, size: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (width, height), BACKGROUND)
    spacing = size * 0.35
    ImageDraw.Draw(strip).multiline_text(
        (_MARGIN, _MARGIN), text, fill=_INK, font=_font(size), spacing=spacing
    )
    return np.array(strip)


def _legend(
    colormap: str, limits: tuple[float, float], width: int, line_height: int, size: int
) -> NDArray[np.uint8]:
    low, high = (_text(f"{limit:.3g}", width, line_height + _MARGIN, size) for limit in limits)
    left, right = (_inked_width(text) for text in (low, high))
    bar_width = min(256, width - left - right - 2 * _MARGIN)
    legend: NDArray[np.uint8] = low.copy()
    if bar_width > 0:
        colors = colormap_table(colormap)[np.linspace(0, 255, bar_width).astype(int)]
        legend[_MARGIN:-_MARGIN, left + _MARGIN : left + _MARGIN + bar_width] = colors
        end = left + _MARGIN + bar_width
        legend[:, end : end + right] = high[:, :right]
    return legend


def _inked_width(strip: NDArray[np.uint8]) -> int:
    return int(np.flatnonzero((strip != BACKGROUND).any(axis=(0, 2)))[-1]) + 1


def stacked(strip: NDArray[np.uint8], picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put a strip above a picture, (height, width, 3) both; the narrower one is filled up at its right."""
    width = max(strip.shape[1], picture.shape[1])
    return np.concatenate([_filled(strip, width), _filled(picture, width)])


def _filled(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    missing = width - picture.shape[1]
    if not missing:
        return picture
    filling = np.empty((picture.shape[0], missing, 3), np.uint8)
    filling[...] = BACKGROUND
    return np.concatenate([picture, filling], axis=1)


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
