"""Records encoded by tblog, and the originals' summaries, both parsed with TensorBoard's messages."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from tensorboard.compat.proto.summary_pb2 import Summary

from tblog import summaries
from tblog.records import Record


class Reports(list[tuple[str, str, int]]):
    """Collects what an encoder reports."""

    def __call__(self, tag: str, what: str, count: int) -> None:
        self.append((tag, what, count))


def parsed(summary: Any) -> Summary:
    """Return the same summary as a TensorBoard message."""
    serialized = summary if isinstance(summary, bytes) else summary.SerializeToString()
    return Summary.FromString(serialized)


def encoded(record: Record, reports: Reports | None = None, png_compress_level: int = 1) -> list[Summary]:
    """Return a record's summaries; reports go to `reports`, and fail the test without it."""
    told = Reports() if reports is None else reports
    context = summaries.EncodeContext(png_compress_level, told)
    made = [parsed(summary) for summary in summaries.encode(record, context)]
    assert reports is not None or not told
    return made


def one(record: Record, reports: Reports | None = None) -> Any:
    """Return the only value of the only summary of a record."""
    (summary,) = encoded(record, reports)
    (value,) = summary.value
    return value


def pixels(value: Any) -> NDArray[Any]:
    """Return the pixels of an image value."""
    picture = Image.open(io.BytesIO(value.image.encoded_image_string))
    picture.load()
    return np.asarray(picture)


def frames(value: Any) -> tuple[NDArray[Any], list[int]]:
    """Return the frames of an animated image value in RGB, shape (T, H, W, 3), and their durations in ms."""
    picture = Image.open(io.BytesIO(value.image.encoded_image_string))
    shown = [
        (np.asarray(frame.convert("RGB")), frame.info["duration"])
        for frame in ImageSequence.Iterator(picture)
    ]
    return np.stack([frame for frame, _ in shown]), [duration for _, duration in shown]


def samples(value: Any) -> tuple[NDArray[Any], int]:
    """Return the samples of a sound value, shape (L, C), and the sample rate."""
    with wave.open(io.BytesIO(value.audio.encoded_audio_string)) as sound:
        words = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
        return words.reshape(-1, sound.getnchannels()), sound.getframerate()
