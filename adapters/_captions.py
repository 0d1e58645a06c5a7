"""Text in an image: its caption, the legend of its colours, and the labels of its cells.

Lives here: font sizes, line breaking, and the strips of text above images and cells.
Must not: know of maps or layouts. Runs on the worker thread. Pillow draws the text with its own font.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog.adapters._colormaps import colormap_table

BACKGROUND: Final = (44, 46, 52)  # dark enough for bwr's white zero, light enough for viridis's dark end
INK: Final = (236, 236, 236)
# Pixels. TensorBoard's Images page scales each image to a card of half this width, by nearest
# neighbour. So strokes of letters are at least two pixels wide, and one of them remains.
WIDTH: Final = 700
CAPTION: Final = 24  # font size of a caption in an image of that width; larger in wider ones
LABEL: Final = 20  # font size of words above a cell
INDEX: Final = 15  # font size of a number above a cell; there may be hundreds
_LEAST_LABEL: Final = 10
_MARGIN: Final = 8


class Legend(NamedTuple):
    """A colour bar, and the meaning of its ends."""

    colormap: str
    low: str
    high: str


def captioned(picture: NDArray[np.uint8], text: str, legend: Legend | None = None) -> NDArray[np.uint8]:
    """Put a text above an image, (height, width, 3) uint8, with the same letter size on every card.

    Args:
        picture: the image. A narrow one is padded to `WIDTH`.
        text: the text. A long one is broken into lines. An empty one returns the image unchanged.
        legend: a colour bar to put between text and image.
    """
    if not text:
        return picture
    width = max(picture.shape[1], WIDTH)
    size = letters(CAPTION, width)
    parts = [_drawn(_broken(text, width - 2 * _MARGIN, size), width, size)]
    if legend is not None:
        parts.append(_bar(legend, width, size))
    return np.concatenate([*parts, filled(picture, width)])


def counted(shown: int, total: int, noun: str) -> str:
    """Return "16 channels", or "8 of 16 channels" if not all are shown."""
    return f"{shown} {noun}{'s' * (shown != 1)}" if shown == total else f"{shown} of {total} {noun}s"


def letters(size: int, width: int) -> int:
    """Return the font size that looks on a card like `size` in an image of width `WIDTH`."""
    return round(size * max(width, WIDTH) / WIDTH)


def label_size(texts: Sequence[str]) -> int:
    """Return the font size of labels: `INDEX` if all of them are as short as numbers, else `LABEL`."""
    return INDEX if max(map(len, texts), default=0) <= len("input") else LABEL


def label_strips(texts: Sequence[str], width: int, picture_width: int) -> NDArray[np.uint8]:
    """Draw texts as strips of one height, (n, height, width, 3) uint8, to put above cells.

    Args:
        texts: one text for each cell. Long ones are broken into lines.
        width: the width of a cell in pixels. If a word does not fit, the letters get smaller.
        picture_width: the width of the image in pixels, which determines the size of the letters.
    """
    room = width - _MARGIN // 2
    size = letters(label_size(texts), picture_width)
    longest = max(font(size).getlength(word) for text in texts for word in text.split() or [""])
    size = max(min(size, int(size * room / max(longest, 1))), letters(_LEAST_LABEL, picture_width))
    broken = [_broken(text, room, size) for text in texts]
    lines = max(map(len, broken))
    return np.stack([_drawn(one, width, size, lines=lines, margin=_MARGIN // 4) for one in broken])[
        :, : -_MARGIN // 4
    ]


def filled(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Pad an image with background on the right."""
    missing = width - picture.shape[1]
    if missing <= 0:
        return picture
    filling = np.empty((picture.shape[0], missing, 3), np.uint8)
    filling[...] = BACKGROUND
    return np.concatenate([picture, filling], axis=1)


@lru_cache(maxsize=32)
def font(size: int) -> Any:
    """Return Pillow's own font; `size` is in pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _broken(text: str, width: int, size: int) -> list[str]:
    """Break a text into lines of at most `width` pixels, between words if possible."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if font(size).getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines = lines if lines[-1] else []
        while font(size).getlength(word) > width and len(word) > 1:
            fits = next(
                n for n in range(len(word) - 1, 0, -1) if n == 1 or font(size).getlength(word[:n]) <= width
            )
            lines.append(word[:fits])
            word = word[fits:]  # noqa: PLW2901
        lines.append(word)
    return lines


def _drawn(
    text: list[str], width: int, size: int, *, lines: int | None = None, margin: int = _MARGIN
) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    pitch = round(size * 1.3)
    lines = lines or len(text)
    strip = Image.new("RGB", (width, pitch * lines + 2 * margin), BACKGROUND)
    draw = ImageDraw.Draw(strip)
    for number, line in enumerate(text, start=lines - len(text)):  # the last line touches the cell below
        draw.text((margin, margin + number * pitch), line, fill=INK, font=font(size))
    return np.array(strip)


def _bar(legend: Legend, width: int, size: int) -> NDArray[np.uint8]:
    strip = _drawn([legend.low], width, size, margin=_MARGIN)
    left, right = (round(font(size).getlength(text)) for text in (legend.low, legend.high))
    start = left + 2 * _MARGIN
    length = min(width // 3, width - start - right - 2 * _MARGIN)
    high = _drawn([legend.high], right + 2 * _MARGIN, size)[:, :width]
    if length > 0:
        colors = colormap_table(legend.colormap)[np.linspace(0, 255, length).astype(int)]
        strip[_MARGIN:-_MARGIN, start : start + length] = colors
    end = start + max(length, 0)
    strip[:, end : end + high.shape[1]] = high[:, : width - end]
    return strip[_MARGIN // 2 :]
