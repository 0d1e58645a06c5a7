"""Audio, as a WAV file with 16 bits per sample."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._require import require
from tblog._values.arrays import to_numpy
from tblog._values.checks import check_real, shape_of
from tblog._wire import summaries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tblog.records import AudioRecord
    from tblog.summaries._context import EncodeContext

_FULL_SCALE = 32767
_STEREO = 2
_MOST_RATE = (1 << 30) - 1  # a WAV file has 32 bits for the bytes a second


def check_audio(record: AudioRecord) -> None:
    """Check that the samples are one or two channels of real numbers, and the sample rate.

    Raises:
        InvalidValueError: there are no samples, more than two channels, or no sample rate.
        UnsupportedTypeError: the samples are not real numbers.
    """
    what = f"audio {record.tag!r}"
    check_real(record.samples, f"{what}: the array")
    rate = record.sample_rate
    require(1 <= rate <= _MOST_RATE, f"{what}: sample_rate", rate, f"samples per second, 1 to {_MOST_RATE}")
    shape = shape_of(record.samples)
    if shape is None:
        return
    axes = [length for length in shape if length != 1]
    fits = 0 not in axes and (len(axes) < 2 or (len(axes) == 2 and _STEREO in axes))
    require(fits, f"{what}: the shape", shape, "(L,), or (L, C) or (C, L) with C 1 or 2, and L 1 or more")


def encode_audio(record: AudioRecord, context: EncodeContext) -> list[bytes]:
    """Encode audio. Samples outside [-1, 1] are clipped and reported."""
    samples = _channels_last(to_numpy(record.samples))
    words = _to_int16(samples, record, context)
    length, channels = words.shape
    wav = _wav(words, record.sample_rate)
    return [summaries.summary(record.tag, *summaries.audio(record.sample_rate, channels, length, wav))]


def _channels_last(samples: NDArray[Any]) -> NDArray[Any]:
    """Return shape (L, C). In shape (2, 2), the last axis is the channels."""
    samples = samples.squeeze()
    if samples.ndim < 2:
        return samples.reshape(-1, 1)
    return samples if samples.shape[1] == _STEREO else samples.T


def _to_int16(samples: NDArray[Any], record: AudioRecord, context: EncodeContext) -> NDArray[np.int16]:
    """Return samples in the format of a WAV file. int16 samples already have it."""
    if samples.dtype == np.int16:
        return samples
    wide = samples.astype(np.result_type(samples, np.float32))
    clipped = np.nan_to_num(wide).clip(-1, 1)
    changed = int(np.count_nonzero(clipped != wide))
    if changed:
        context.report(record.tag, "audio: samples outside [-1, 1] were clipped", changed)
    words: NDArray[np.int16] = (clipped * _FULL_SCALE).astype(np.int16)
    return words


def _wav(words: NDArray[np.int16], sample_rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(words.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(words.astype("<i2").tobytes())
    return file.getvalue()
