"""Videos are what tensorboardX writes by moviepy, and need no moviepy."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import tensorboardX.summary
import torch
from torch.utils.tensorboard._utils import _prepare_video

from tblog.errors import InvalidValueError
from tblog.records import VideoRecord
from tblog.summaries import check
from tests.encoded import Reports, frames, one, parsed
from tests.needs import need_package

generator = np.random.default_rng(5)
COLOURS = (generator.integers(0, 3, (1, 6, 3, 8, 10)) * 100).astype(np.uint8)  # few: a GIF keeps them all
NOISE = generator.integers(0, 256, (2, 5, 3, 20, 30), dtype=np.uint8)


def tensorboardx(*args, **kwargs):
    """Return tensorboardX's video value."""
    return parsed(tensorboardX.summary.video("v", *args, **kwargs)).value[0]


@pytest.mark.parametrize("fps", [1, 4, 12.5, 50])
@pytest.mark.parametrize(
    "video", [COLOURS, NOISE, COLOURS / 255, NOISE[:, :, :1]], ids=["few", "noise", "float", "grey"]
)
def test_the_file_is_tensorboardxs_byte_by_byte(video, fps):
    """The same GIF, palette, durations and endless loop included."""
    need_package("moviepy")  # which tensorboardX needs to write it
    assert one(VideoRecord(tag="v", frames=video, fps=fps)) == tensorboardx(video, fps)


@pytest.mark.parametrize("fps", [10, 15, 30])
def test_every_frame_is_shown_once(fps):
    """Also at rates at which moviepy loses frames or shows them twice."""
    video = np.zeros((1, 30, 3, 4, 4), np.uint8)
    video[0, :, 0] = 8 * np.arange(30)[:, None, None]
    shown, durations = frames(one(VideoRecord(tag="v", frames=video, fps=fps)))
    assert (shown == video[0].transpose(0, 2, 3, 1)).all()
    assert len(set(durations)) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 17])
def test_a_batch_is_the_originals_grid(count):
    """Videos of a batch lie side by side in the grid that both originals make, padded with black."""
    batch = (generator.integers(0, 2, (count, 2, 3, 4, 6)) * 255).astype(np.uint8)
    shown, _ = frames(one(VideoRecord(tag="v", frames=batch)))
    assert (shown == np.rint(_prepare_video(batch) * 255)).all()


@pytest.mark.parametrize("dataformats", ["".join(p) for p in itertools.permutations("NTCHW")][::17])
def test_axes_may_come_in_any_order(dataformats):
    """`dataformats` names the axes, whatever their order."""
    video = NOISE.transpose(["NTCHW".index(letter) for letter in dataformats])
    ours = one(VideoRecord(tag="v", frames=video, dataformats=dataformats))
    assert ours == one(VideoRecord(tag="v", frames=NOISE))


def test_a_tensor_is_taken_as_it_is():
    """A record may hold a CPU tensor."""
    assert one(VideoRecord(tag="v", frames=torch.from_numpy(NOISE))) == one(
        VideoRecord(tag="v", frames=NOISE)
    )


def test_moviepy_is_not_needed(monkeypatch):
    """A process without moviepy writes the same file."""
    expected = one(VideoRecord(tag="v", frames=COLOURS))
    monkeypatch.setitem(sys.modules, "moviepy", None)
    assert one(VideoRecord(tag="v", frames=COLOURS)) == expected


def test_a_video_up_to_255_that_is_no_uint8_is_reported():
    """Like such a picture."""
    reports = Reports()
    one(VideoRecord(tag="v", frames=np.full((1, 2, 3, 4, 4), 200.0)), reports)
    ((tag, what, count),) = reports
    assert (tag, count) == ("v", 96)
    assert "divide by 255 or give uint8" in what


def test_frames_are_never_shorter_than_browsers_show_them():
    """Browsers give a frame of less than 20 ms a whole 100 ms: 60 a second are shown at 50."""
    _, durations = frames(one(VideoRecord(tag="v", frames=COLOURS, fps=60)))
    assert set(durations) == {20}


def test_a_picture_that_stands_still_is_shown_as_long_as_a_gif_can():
    """Equal frames are one frame of the GIF, of 655 seconds at most, and what follows is still there."""
    still = np.repeat(COLOURS[:, :1], 8, axis=1)
    shown, durations = frames(one(VideoRecord(tag="v", frames=still, fps=0.01)))
    assert (len(shown), sum(durations)) == (1, 655_350)
    moving = np.concatenate([still, COLOURS[:, 1:2]], axis=1)
    shown, durations = frames(one(VideoRecord(tag="v", frames=moving, fps=0.01)))
    assert durations == [655_350, 100_000]
    assert len(shown) == 2


@pytest.mark.parametrize(
    ("shape", "fps", "dataformats"),
    [
        ((2, 3, 8, 8), 4, "NTCHW"),
        ((1, 2, 5, 8, 8), 4, "NTCHW"),
        ((1, 0, 3, 8, 8), 4, "NTCHW"),
        ((1, 2, 3, 8, 8), 0, "NTCHW"),
        ((1, 2, 3, 8, 8), 4, "TCHW"),
        ((1, 2, 3, 8, 8), 4, "NTCHX"),
    ],
)
def test_what_is_no_video_is_refused(shape, fps, dataformats):
    """A video needs five axes, one to four channels, at least one frame and a frame rate."""
    with pytest.raises(InvalidValueError, match="'v'"):
        check(VideoRecord(tag="v", frames=np.zeros(shape), fps=fps, dataformats=dataformats))
