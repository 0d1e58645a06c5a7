"""Sound: the encoded bytes, and the decoded samples."""

from __future__ import annotations

import io
import wave
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._wire import parsing as wire
from tblog.reading import _events
from tblog.reading._items import Item, UnreadableError
from tblog.reading.tensors import array_of


class _Encoded(NamedTuple):
    sample_rate: float
    length_frames: int
    content_type: str
    clips: list[bytes]


class Audio(Item):
    """A clip of sound, usually WAV. A new-style summary may hold several.

    Example:
        >>> import numpy as np
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_audio("tone", np.sin(np.arange(8000) / 8), 1, sample_rate=8000)
        >>> (tone,) = tblog.read("runs").audio
        >>> tone.sample_rate, tone.samples().shape
        (8000.0, (8000, 1))
    """

    @property
    def encoded(self) -> bytes:
        """The first clip's bytes."""
        clips = self.all_encoded
        return clips[0] if clips else b""

    @property
    def all_encoded(self) -> list[bytes]:
        """The bytes of each clip of this summary."""
        return self._decoded(_encoded).clips

    @property
    def content_type(self) -> str:
        """The format of the bytes, such as "audio/wav"."""
        return self._decoded(_encoded).content_type

    @property
    def sample_rate(self) -> float:
        """Samples per second."""
        stated = self._decoded(_encoded).sample_rate
        return stated or float(self._wave(0)[0])

    @property
    def length_frames(self) -> int:
        """Length in samples per channel."""
        return self._decoded(_encoded).length_frames or len(self.samples())

    def samples(self, number: int = 0) -> NDArray[np.float32]:
        """Decode a clip of WAV, uncompressed; float32 (samples, channels), -1 to 1.

        Raises:
            UnreadableError: the bytes are not such a WAV, or there is no such clip.
        """
        return self._wave(number)[1]

    def _wave(self, number: int) -> tuple[int, NDArray[np.float32]]:
        try:
            with wave.open(io.BytesIO(self.all_encoded[number])) as clip:
                width, channels, rate = clip.getsampwidth(), clip.getnchannels(), clip.getframerate()
                return rate, _samples(clip.readframes(clip.getnframes()), width, channels)
        except (wave.Error, EOFError, IndexError, ValueError, RuntimeError) as error:
            raise UnreadableError(
                f"{self!r} cannot be decoded: {error or 'its bytes end too early'}"
            ) from error


def _encoded(form: int, content: bytes) -> _Encoded:
    if form != _events.AUDIO:
        array = array_of(form, content)
        clips = array[..., 0] if array.ndim > 1 else array
        return _Encoded(0.0, 0, "audio/wav", [bytes(clip) for clip in clips.reshape(-1)])
    rate, length, kind, encoded = 0.0, 0, b"", b""
    for field in wire.fields(content):
        if field.key == 1 and field.wire == wire.FIXED32:
            rate = wire.single(content, field.start)
        elif field.key == 3 and field.wire == wire.VARINT:
            length = wire.signed(field.number)
        elif field.key == 4 and field.wire == wire.BYTES:
            encoded = content[field.start : field.end]
        elif field.key == 5 and field.wire == wire.BYTES:
            kind = content[field.start : field.end]
    return _Encoded(rate, length, wire.text(kind), [encoded])


def _samples(raw: bytes, width: int, channels: int) -> NDArray[np.float32]:
    whole = raw[: len(raw) // (width * channels) * width * channels]
    if width == 1:
        numbers = (np.frombuffer(whole, np.uint8).astype(np.float64) - 128) / 128
    elif width == 3:
        padded = np.zeros((len(whole) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(whole, np.uint8).reshape(-1, 3)
        numbers = padded.view("<i4")[:, 0] / 2.0**31
    elif width in {2, 4}:
        numbers = np.frombuffer(whole, f"<i{width}") / 2.0 ** (8 * width - 1)
    else:
        raise ValueError(f"samples of {width} bytes")
    return numbers.astype(np.float32).reshape(-1, channels)
