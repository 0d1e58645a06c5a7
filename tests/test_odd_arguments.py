"""Odd arguments other than the value raise at the call, by name, with what to give."""

from __future__ import annotations

import pathlib
import pickle

import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard.util.tensor_util import make_ndarray

from tblog import GlobalSummaryWriter, SummaryWriter
from tblog.errors import InvalidTypeError, InvalidValueError, MissingDependencyError, UnsupportedTypeError
from tests.reading import points, run_events

IMAGE = np.zeros((3, 8, 8), np.uint8)
VIDEO = np.zeros((1, 2, 3, 8, 8), np.uint8)
VIDEO[:, 1] = 255

CYCLE = {}
CYCLE["Loss"] = CYCLE

REFUSED = {  # by the text of the error
    r"image 'TG': dataformats was None; give": (
        InvalidValueError,
        lambda writer: writer.add_images("TG", [IMAGE], dataformats=None),
    ),
    r"the name of a hyperparameter or metric was \(1, 2\) of type tuple; give a string": (
        InvalidTypeError,
        lambda writer: writer.add_hparams({(1, 2): 3}, {}),
    ),
    r"\{'Loss': \{...\}\} contains itself": (
        InvalidValueError,
        lambda writer: writer.add_custom_scalars(CYCLE),
    ),
    r"tensor 'TG': the size in bytes was 4398046511104; give less than 2 GiB": (  # not copied: no machine has as much
        InvalidValueError,
        lambda writer: writer.add_tensor("TG", np.broadcast_to(np.float32(1), (1 << 40,))),
    ),
    r"the hyperparameter 'a' was \[1\] of type list; give a bool": (
        InvalidValueError,
        lambda writer: writer.log_hparams({"a": [1]}),
    ),
    r"the domain of the hyperparameter \(1,\) was \[1\]": (
        InvalidTypeError,
        lambda writer: writer.add_hparams({"a": 3}, {}, {(1,): [1]}),
    ),
    r"the name of a run was 5 of type int; give a string": (
        InvalidTypeError,
        lambda writer: writer.add_hparams({"a": 3}, {}, run_name=5),
    ),
    r"custom scalars: a category was \(1,\) of type tuple; give a string": (
        InvalidTypeError,
        lambda writer: writer.add_custom_scalars({(1,): {"a": ["Multiline", ["x"]]}}),
    ),
    r"a multiline chart: tags was 'loss'; give a list of tags": (
        InvalidTypeError,
        lambda writer: writer.add_custom_scalars_multilinechart("loss"),
    ),
    r"a multiline chart: tags was None; give a list of tags": (
        InvalidTypeError,
        lambda writer: writer.add_custom_scalars_multilinechart(None),
    ),
    r"a margin chart: tags was 'abc'; give a list of tags": (
        InvalidTypeError,
        lambda writer: writer.add_custom_scalars_marginchart("abc"),
    ),
    r"mesh 'TG': config was \{\(1, 2\): 3\}, which JSON cannot represent": (
        InvalidTypeError,
        lambda writer: writer.add_mesh("TG", np.zeros((1, 2, 3)), config_dict={(1, 2): 3}),
    ),
    r"video 'TG': fps was 0\.001; give frames per second, 0\.00153 or more": (
        InvalidValueError,
        lambda writer: writer.add_video("TG", VIDEO, fps=0.001),
    ),
    r"video 'TG': the size with all of the batch was \(70000, 2\); give 65535 pixels at most": (
        InvalidValueError,
        lambda writer: writer.add_video("TG", np.broadcast_to(np.uint8(0), (1, 1, 3, 2, 70_000))),
    ),
    r"image 'TG': the shape of boxes was \(4, 0\); give \(n, 4\)": (
        InvalidValueError,
        lambda writer: writer.add_image_with_boxes("TG", IMAGE, np.zeros((4, 0))),
    ),
    r"histogram 'TG': bucket_limits has dtype <U1; give real numbers": (
        UnsupportedTypeError,
        lambda writer: writer.add_histogram_raw("TG", 0, 1, 2, 3, 4, ["a"], [1]),
    ),
    r"histogram 'TG': bucket_counts has dtype complex128; give real numbers": (
        UnsupportedTypeError,
        lambda writer: writer.add_histogram_raw("TG", 0, 1, 2, 3, 4, [1], [1j]),
    ),
    r"audio 'TG': sample_rate was 2147483648; give samples per second, 1 to 1073741823": (
        InvalidValueError,
        lambda writer: writer.add_audio("TG", [0.0], sample_rate=1 << 31),
    ),
    r"add_figure got figures of 100x100 and 200x100 pixels; give figures of one size": (
        InvalidValueError,
        lambda writer: writer.add_figure("TG", [Figure((1, 1), 100), Figure((2, 1), 100)]),
    ),
    r"'TG': global_step was <int, whose repr\(\) raised ValueError>; give an int within 64 bits": (
        InvalidValueError,
        lambda writer: writer.add_scalar("TG", 1.0, 1 << 20_000),
    ),
    r"'TG': walltime was <int, whose repr\(\) raised ValueError>; give seconds": (
        InvalidValueError,
        lambda writer: writer.add_scalar("TG", 1.0, 1, 1 << 20_000),
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_an_odd_argument_is_refused_at_the_call(message, tmp_path):
    """Nothing of the call is logged, and nothing fails later."""
    error, call = REFUSED[message]
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(error, match=message):
            call(writer)
        assert writer.stats.queued == 0


def test_the_slowest_video_is_written(tmp_path):
    """Its frames last as long as a GIF can express."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_video("v", VIDEO, fps=0.00153)
    assert (writer.stats.written, writer.stats.failed) == (1, 0)


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.arange(3, dtype=">f2"), np.arange(3, dtype=np.float16)),
        (np.array([1 + 2j], np.clongdouble), np.array([1 + 2j], np.complex128)),
        (np.array(["a\ud800b"]), np.array([b"a?b"], object)),
    ],
    ids=["big-endian half", "long complex", "half a surrogate"],
)
def test_tensors_of_odd_dtypes_are_written_as_the_nearest_that_the_format_has(tmp_path, array, wanted):
    """The call accepts them, so they must not fail later."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_tensor("t", array)
    assert writer.stats.failed == 0
    found = make_ndarray(run_events(tmp_path)[0].summary.value[0].tensor)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_a_path_names_a_run_as_it_does_for_the_original(tmp_path):
    """Torch joins it with the log directory."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"a": 3}, {"m": 1.0}, run_name=pathlib.Path("one") / "two")
    assert points(tmp_path / "one" / "two")["m"] == [(0, 1.0)]


def test_a_figure_is_still_open_where_the_call_is_refused(tmp_path):
    """The tag is looked at before anything is drawn or closed."""
    from matplotlib import pyplot as plt

    figure = plt.figure()
    with SummaryWriter(tmp_path) as writer, pytest.raises(InvalidTypeError, match="the tag was 5"):
        writer.add_figure(5, figure)
    assert plt.fignum_exists(figure.number)
    plt.close(figure)


def test_the_global_writer_names_the_tag_of_a_wrong_time(tmp_path):
    """As for a writer in a single process."""
    writer = GlobalSummaryWriter(tmp_path)
    with pytest.raises(InvalidValueError, match="'TG': walltime was nan; give finite"):
        writer.add_scalar("TG", 1.0, walltime=float("nan"))
    writer.close()


def test_an_error_comes_out_of_another_process_as_it_was():
    """A worker's errors reach a training as pickles; an unreadable one hangs or hides the error."""
    error = MissingDependencyError("matplotlib", "demo", "add_figure")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.name) == (MissingDependencyError, str(error), "matplotlib")
