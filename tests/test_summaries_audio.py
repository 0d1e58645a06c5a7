"""Sound equals torch's WAV for mono, and is right for stereo; samples that both originals distort are kept."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import tensorboardX.summary
import torch.utils.tensorboard.summary

from tblog.errors import InvalidValueError, UnsupportedTypeError
from tblog.records import AudioRecord
from tblog.summaries import check
from tests.encoded import Reports, one, parsed, samples

generator = np.random.default_rng(5)
MONO = generator.uniform(-1, 1, 500)
STEREO = generator.uniform(-1, 1, (500, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(500,), (1, 500), (500, 1), (1, 1, 500)])
def test_mono_is_torchs_byte_by_byte(shape, dtype):
    """The same WAV, header included, at any sample rate."""
    sound = MONO.astype(dtype).reshape(shape)
    theirs = parsed(torch.utils.tensorboard.summary.audio("a", sound, 8000)).value[0]
    assert one(AudioRecord(tag="a", samples=sound, sample_rate=8000)) == theirs


@pytest.mark.parametrize("transposed", [False, True])
def test_stereo_is_tensorboardxs_but_for_its_scale(transposed):
    """(L, 2) and (2, L) are two channels; full amplitude is 32,767, as in torch, where soundfile takes 32,768."""
    value = one(AudioRecord(tag="a", samples=STEREO.T if transposed else STEREO, sample_rate=22050))
    theirs = parsed(tensorboardX.summary.audio("a", STEREO, 22050)).value[0]
    expected, rate = soundfile.read(io.BytesIO(theirs.audio.encoded_audio_string), dtype="int16")
    words, own_rate = samples(value)
    assert np.abs(words.astype(int) - expected).max() <= 2
    assert own_rate == rate == value.audio.sample_rate
    for name in ("num_channels", "length_frames", "content_type"):
        assert getattr(value.audio, name) == getattr(theirs.audio, name)


def test_what_is_too_loud_is_clipped_and_reported():
    """Samples outside [-1, 1] are clipped to full amplitude, and NaN becomes silence."""
    reports = Reports()
    sound = np.array([0.5, 1.5, -7.0, np.nan, np.inf, 1.0])
    words, _ = samples(one(AudioRecord(tag="a", samples=sound), reports))
    assert words[:, 0].tolist() == [16383, 32767, -32767, 0, 32767, 32767]
    assert [(tag, count) for tag, _, count in reports] == [("a", 4)]


def test_int16_is_kept_as_it_is():
    """Samples of 16 bits are a WAV's own: both originals clip them to [-1, 1]."""
    sound = generator.integers(-(2**15), 2**15, (300, 2), dtype=np.int16)
    words, _ = samples(one(AudioRecord(tag="a", samples=sound)))
    assert (words == sound).all()


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.int64, bool])
def test_other_dtypes_are_amplitudes(dtype):
    """The full amplitude of every other dtype is 1."""
    words, _ = samples(one(AudioRecord(tag="a", samples=np.array([0, 1, 1, 0], dtype))))
    assert words[:, 0].tolist() == [0, 32767, 32767, 0]


def test_two_samples_of_stereo_have_their_channels_last():
    """In a (2, 2) array the last axis is the channels, as in tensorboardX."""
    words, _ = samples(one(AudioRecord(tag="a", samples=np.array([[1.0, 0.0], [1.0, 0.0]]))))
    assert words.tolist() == [[32767, 0], [32767, 0]]


@pytest.mark.parametrize(
    ("sound", "rate", "error"),
    [
        (np.zeros((500, 3)), 44100, InvalidValueError),
        (np.zeros((2, 2, 500)), 44100, InvalidValueError),
        (np.zeros(0), 44100, InvalidValueError),
        (np.zeros((2, 0)), 44100, InvalidValueError),
        (MONO, 0, InvalidValueError),
        (MONO * 1j, 44100, UnsupportedTypeError),
    ],
)
def test_what_is_no_sound_is_refused(sound, rate, error):
    """Sound needs one or two channels of real numbers and a sample rate."""
    with pytest.raises(error, match="'a'"):
        check(AudioRecord(tag="a", samples=sound, sample_rate=rate))
