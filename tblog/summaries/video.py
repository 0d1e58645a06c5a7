"""Videos, as animated GIF by Pillow: byte for byte the file of moviepy 2, which uses Pillow, too."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from tblog._require import require
from tblog._values.arrays import to_numpy
from tblog._values.checks import shape_of
from tblog._wire import summaries
from tblog.summaries._pixels import check_axes, ordered, report_white, tile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from tblog.records import VideoRecord
    from tblog.summaries._context import EncodeContext

_LONGEST_SIDE = 65_535  # of a GIF, in pixels
_SLOWEST_FPS = 0.00153  # a GIF has 16 bits for hundredths of a second
_LONGEST_MS = 655_350
_SHORTEST_MS = 20  # browsers show shorter GIF frames for 100 ms


class _Duration(float):
    """The time of a frame in milliseconds. Pillow adds up those of equal frames: a GIF has no place for more."""

    def __add__(self, other: float) -> _Duration:
        return _Duration(min(float(self) + other, _LONGEST_MS))


def check_video(record: VideoRecord) -> None:
    """Check the axes, the channels and the frame rate.

    Raises:
        InvalidValueError: one of them cannot be drawn.
        UnsupportedTypeError: the frames do not hold real numbers.
    """
    what = f"video {record.tag!r}"
    check_axes(record.frames, record.dataformats, ("NTCHW",), what)
    wanted = f"frames per second, {_SLOWEST_FPS} or more: a GIF shows a frame for 655 seconds at most"
    require(_SLOWEST_FPS <= record.fps < math.inf, f"{what}: fps", record.fps, wanted)
    shape = shape_of(record.frames)
    if shape is not None:
        sizes = dict(zip(record.dataformats.upper(), shape, strict=True))
        columns, rows = _grid(sizes["N"])
        sides = columns * sizes["W"], rows * sizes["H"]
        wanted = f"{_LONGEST_SIDE} pixels at most on each side, as a GIF has them"
        require(max(sides) <= _LONGEST_SIDE, f"{what}: the size with all of the batch", sides, wanted)


def encode_video(record: VideoRecord, context: EncodeContext) -> list[bytes]:
    """Encode a video, or a batch of them side by side, as an endless loop."""
    from PIL import Image

    videos = ordered(to_numpy(record.frames), record.dataformats, "NTHWC")
    report_white(videos, record.tag, "video", context)
    first, *others = (Image.fromarray(frame) for frame in _frames(videos))
    gif = io.BytesIO()
    first.save(
        gif,
        "GIF",
        save_all=True,
        append_images=others,
        duration=_Duration(max(1000 / record.fps, _SHORTEST_MS)),
        loop=0,
    )
    return [
        summaries.summary(
            record.tag, *summaries.image(first.height, first.width, videos.shape[-1], gif.getvalue())
        )
    ]


def _frames(videos: NDArray[np.generic]) -> Iterator[NDArray[np.uint8]]:
    """Yield each frame of a batch as a grid, padded to a power of two as in both originals."""
    columns, rows = _grid(len(videos))
    for time in range(videos.shape[1]):
        yield tile(videos[:, time], columns, rows)


def _grid(count: int) -> tuple[int, int]:
    """Return the columns and rows of the grid."""
    places = 1 << (count - 1).bit_length()
    rows = 1 << (count.bit_length() - 1) // 2
    return places // rows, rows
