"""Images: one, or a batch as a grid, with boxes drawn on it if there are any."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tblog._require import require
from tblog._values.arrays import to_numpy
from tblog._values.checks import check_real, shape_of
from tblog._wire import summaries
from tblog.summaries._labels import label_text
from tblog.summaries._pixels import check_axes, ordered, report_white, tile
from tblog.summaries._png import encode_png

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from tblog.records import ImageRecord
    from tblog.summaries._context import EncodeContext

GRID_COLUMNS = 8
_LINE_WIDTH = 2


def check_image(record: ImageRecord) -> None:
    """Check the axes, the channels, the scale and the boxes.

    Raises:
        InvalidValueError: one of them cannot be drawn.
        UnsupportedTypeError: the image or the boxes do not hold real numbers.
    """
    what = f"image {record.tag!r}"
    check_axes(record.image, record.dataformats, ("HW", "CHW", "NCHW"), what)
    require(0 < record.rescale < math.inf, f"{what}: rescale", record.rescale, "a number above 0")
    if record.boxes is None:
        return
    check_real(record.boxes, f"{what}: boxes")
    shape = shape_of(record.boxes)
    if shape is not None and shape[:1] != (0,):
        fits = len(shape) == 2 and shape[1] >= 4
        require(fits, f"{what}: the shape of boxes", shape, "(n, 4): xmin, ymin, xmax, ymax in pixels")


def is_plain_image(record: ImageRecord) -> bool:
    """Return whether Pillow is not needed: it draws boxes, changes sizes, and writes adapters' captions."""
    return record.boxes is None and record.rescale == 1 and isinstance(record.image, np.ndarray)


def encode_image(record: ImageRecord, context: EncodeContext) -> list[bytes]:
    """Encode an image as PNG. If the number of labels is not that of the boxes, all are left out and reported."""
    images = ordered(to_numpy(record.image), record.dataformats, "NHWC")
    report_white(images, record.tag, "image", context)
    pixels = tile(images, columns=min(len(images), GRID_COLUMNS))
    if record.boxes is not None:
        pixels = _with_boxes(pixels, record, context)
    if record.rescale != 1:
        pixels = _rescaled(pixels, record.rescale)
    height, width, channels = pixels.shape
    return [
        summaries.summary(
            record.tag,
            *summaries.image(height, width, channels, encode_png(pixels, context.png_compress_level)),
        )
    ]


def _rescaled(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    from PIL import Image

    image = Image.fromarray(pixels)
    width, height = (max(1, int(side * scale)) for side in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _with_boxes(pixels: NDArray[np.uint8], record: ImageRecord, context: EncodeContext) -> NDArray[np.uint8]:
    from PIL import Image

    boxes = to_numpy(record.boxes)
    labels = [""] * len(boxes)
    if record.labels is not None:
        given = [record.labels] if isinstance(record.labels, str) else record.labels
        if len(given) == len(boxes):
            labels = ["" if label is None else label_text(label) for label in given]
        else:
            context.report(record.tag, f"image: labels for {len(boxes)} boxes were left out", len(given))
    image = Image.fromarray(pixels)
    for box, label in zip(boxes.tolist(), labels, strict=True):
        _draw_box(image, box, label)
    return np.asarray(image)


def _draw_box(image: Image.Image, box: Sequence[float], label: str) -> None:
    """Draw a red frame, and the label in black on red in the lower left corner."""
    from PIL import ImageDraw, ImageFont

    left, top, right, bottom = box[:4]
    draw = ImageDraw.Draw(image)
    frame = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)]
    draw.line(frame, width=_LINE_WIDTH, fill="Red")
    if not label:
        return
    font = ImageFont.load_default()
    text_left, text_top, text_right, text_bottom = font.getbbox(label)
    width, height = text_right - text_left, text_bottom - text_top
    margin = math.ceil(0.05 * height)
    draw.rectangle([(left, bottom - height - 2 * margin), (left + width, bottom)], fill="Red")
    draw.text((left + margin, bottom - height - margin), label, fill="black", font=font)
