"""Points for the projector: three files below the log directory, and an entry in its configuration.

This is the only kind that writes files, because TensorBoard's projector does not read event files. It runs on the
worker thread, except for `check_embedding`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._require import require
from tblog._values.arrays import to_numpy
from tblog._values.checks import check_real, shape_of
from tblog.summaries import _projector
from tblog.summaries._context import EncodeContext
from tblog.summaries._labels import label_rows, label_texts
from tblog.summaries._pixels import check_axes, ordered, report_white, tile
from tblog.summaries._png import encode_png
from tblog.summaries._settle import settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tblog.records import EmbeddingRecord

# The projector does not show a larger sprite: https://github.com/lanpa/tensorboardX/issues/516
LARGEST_SPRITE = 8192

_NUMBERS_AT_ONCE = 2048  # formatted before another thread may take the interpreter lock
_TO_SPACES = str.maketrans("\t\n\r", "   ")


def check_embedding(record: EmbeddingRecord) -> None:
    """Check that matrix, labels, header and images fit together, and that tag and sprite are not too large.

    Raises:
        InvalidValueError: they do not fit, or are too large.
        UnsupportedTypeError: the matrix or the images do not hold real numbers.
    """
    length, most = len(_projector.name_of(record.tag).encode()), _projector.LONGEST_NAME
    require(
        length <= most,
        "embedding: the length of the tag in bytes",
        length,
        f"{most} at most: it names a folder",
    )
    what = f"embedding {record.tag!r}"
    check_real(record.matrix, f"{what}: the matrix")
    shape = shape_of(record.matrix)
    rows = None
    if shape is not None:
        require(len(shape) == 2, f"{what}: the shape of the matrix", shape, "(N, D), one row for each point")
        rows = shape[0]
    if record.labels is not None:
        labels = len(record.labels)
        fits = rows is None or rows == labels
        require(fits, f"{what}: the number of labels", labels, f"one for each row, {rows}")
        _check_columns(record.labels, record.header, what)
    if record.images is not None:
        _check_images(record.images, rows, what)


def _check_columns(labels: Sequence[Any], header: Sequence[str] | None, what: str) -> None:
    if not header:
        return
    columns = len(header)
    for label in labels:
        fits = not isinstance(label, str) and hasattr(label, "__len__") and len(label) == columns
        require(fits, f"{what}: a label", label, f"{columns} values, one for each column of the header")


def _check_images(images: Any, rows: int | None, what: str) -> None:
    check_axes(images, "NCHW", ("NCHW",), f"{what}: images")
    shape = shape_of(images)
    if shape is None:
        return
    count = shape[0]
    fits = rows is None or rows == count
    require(fits, f"{what}: the number of images", count, f"one for each row, {rows}")
    side = _images_a_row(count) * max(shape[2:])
    wanted = f"fewer or smaller images, for at most {LARGEST_SPRITE}"
    require(side <= LARGEST_SPRITE, f"{what}: the sprite's side in pixels", side, wanted)


def write_embedding(
    record: EmbeddingRecord, logdir: str, step: int, context: EncodeContext | None = None
) -> None:
    """Write the files of an embedding and add it to the projector's configuration.

    The files are `<logdir>/<step, five digits or more>/<tag>/tensors.tsv`, with labels also `metadata.tsv`,
    and with images also `sprite.png`. Other entries in `<logdir>/projector_config.pbtxt` stay.

    After an error, another call with the same arguments writes everything again.

    Args:
        record: the points, checked by `check_embedding`.
        logdir: the run's directory, created if necessary.
        step: the global step.
        context: how to encode the sprite, and who gets a warning about pixels that are white by mistake.

    Raises:
        OSError: a file cannot be written.
        TblogError: as `check_embedding`, for arrays whose shape was not known before.
    """
    context = context or EncodeContext()
    record = settle(record)
    check_embedding(record)
    entry = _projector.Entry(record.tag, step)
    entry.write_file(logdir, "tensors.tsv", _tensor_lines(to_numpy(record.matrix)))
    if record.labels is not None:
        entry.write_file(logdir, "metadata.tsv", _label_lines(record.labels, record.header))
    if record.images is not None:
        sprite, entry.image_side = _sprite(to_numpy(record.images))
        entry.write_file(logdir, "sprite.png", [encode_png(sprite, context.png_compress_level)])
    entry.enter(logdir)
    if record.images is not None:  # told when all is written: what fails is tried again
        report_white(to_numpy(record.images), record.tag, "embedding", context)


def _tensor_lines(matrix: NDArray[Any]) -> Iterator[bytes]:
    rows_at_once = max(1, _NUMBERS_AT_ONCE // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), rows_at_once):
        rows = matrix[start : start + rows_at_once].tolist()
        yield "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()


def _label_lines(labels: Sequence[Any], header: Sequence[str] | None) -> Iterator[bytes]:
    """Yield one line for each label, after the header if it names more than one column.

    The projector reads the first line as a header if it contains a tab, and skips blank lines.
    """
    rows = label_rows(labels, "labels") if header else [[text] for text in label_texts(labels, "labels")]
    if header and len(header) > 1:
        rows.insert(0, label_texts(header, "header"))
    for row in rows:
        line = "\t".join(cell.translate(_TO_SPACES) for cell in row)
        yield f"{line if line.strip() else f'-{line}'}\n".encode(errors="replace")


def _sprite(images: NDArray[Any]) -> tuple[NDArray[np.uint8], int]:
    """Lay out the images on a square, each padded to a square. Return it and the side of an image."""
    pictures = ordered(images, "NCHW", "NHWC")
    count, height, width, _ = pictures.shape
    side = max(height, width)
    if height != width:
        edges = [((side - length) // 2, (side - length + 1) // 2) for length in (height, width)]
        pictures = np.pad(pictures, [(0, 0), *edges, (0, 0)])
    across = _images_a_row(count)
    return tile(pictures, across, across), side


def _images_a_row(count: int) -> int:
    return math.ceil(math.sqrt(count))
