"""The same call on an original and on tblog gives the same summaries; see docs/differences.md for exceptions."""

from __future__ import annotations

import enum
import inspect
import io
import time
import wave

import numpy as np
import pytest
import tensorboardX
import torch
import torch.utils.tensorboard
from PIL import Image

from tblog import SummaryWriter, WriterOptions, records
from tests.reading import everything, run_events

ORIGINALS = {"torch": torch.utils.tensorboard.SummaryWriter, "tensorboardX": tensorboardX.SummaryWriter}
WALL_TIME = 1_700_000_000.25

generator = np.random.default_rng(7)
IMAGE = generator.integers(0, 256, (3, 12, 10), dtype=np.uint8)
FLOAT_IMAGE = generator.random((3, 12, 10), dtype=np.float32)
LABELS = generator.integers(0, 2, 200)
PREDICTIONS = generator.random(200)
COUNTS = np.arange(127.0)
LAYOUT = {
    "Taiwan": {"twse": ["Multiline", ["twse/0050", "twse/2330"]]},
    "USA": {"dow": ["Margin", ["a", "b", "c"]]},
}

BOTH = [
    ("add_scalar", ("loss", 0.25, 3)),
    ("add_scalar", ("loss", 1, None)),
    ("add_scalar", ("int64", 2**40 + 1, -3)),
    ("add_scalar", ("loss/train of #1", 0.1, 2**62)),
    ("add_scalar", ("nan", float("nan"), 1)),
    ("add_scalar", ("inf", float("-inf"), 1)),
    ("add_scalar", ("numpy", np.float32(0.1), np.int64(4))),
    ("add_scalar", ("numpy", np.array([[7]]), 1)),
    ("add_scalar", ("tensor", torch.tensor(0.1, dtype=torch.float64), 1)),
    ("add_scalar", ("half", torch.tensor([0.1], dtype=torch.float16), 1)),
    ("add_scalar", ("bool", torch.tensor(True), 1)),
    ("add_histogram", ("h", generator.normal(size=1000), 3)),
    ("add_histogram", ("h", generator.normal(size=(10, 10)).astype(np.float32), 3)),
    ("add_histogram", ("h", np.arange(100), 3, "auto")),
    ("add_histogram", ("h", torch.linspace(-1, 1, 50), 3, "fd")),
    ("add_histogram", ("h", np.arange(10.0), 3, [0, 2, 4, 10])),
    ("add_histogram", ("h", generator.normal(size=1000), 3, "tensorflow", None, 20)),
    ("add_histogram_raw", ("raw", 0.0, 5.0, 10, 25.0, 125.0, [1.0, 2.0, 5.0], [3, 3, 4], 2)),
    ("add_image", ("i", IMAGE, 1)),
    ("add_image", ("i", torch.from_numpy(FLOAT_IMAGE), 1)),
    ("add_image", ("i", IMAGE.transpose(1, 2, 0), 1, None, "HWC")),
    ("add_image", ("i", IMAGE[0], 1, None, "HW")),
    ("add_image", ("i", IMAGE[:1], 1)),
    ("add_images", ("batch", np.stack([IMAGE] * 5), 1)),
    ("add_images", ("batch", torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)), 1)),
    ("add_images", ("batch", np.stack([IMAGE.transpose(1, 2, 0)] * 2), 1, None, "NHWC")),
    ("add_text", ("t", "# A title\n\n|a|b|\n|-|-|\n|1|2|", 1)),
    ("add_pr_curve", ("pr", LABELS, PREDICTIONS, 1)),
    ("add_pr_curve", ("pr", torch.from_numpy(LABELS), torch.from_numpy(PREDICTIONS), 1, 50)),
    ("add_pr_curve", ("pr", LABELS, PREDICTIONS, 1, 127, PREDICTIONS)),
    ("add_pr_curve_raw", ("raw", COUNTS, COUNTS, COUNTS, COUNTS, COUNTS / 127, COUNTS / 127, 1)),
    ("add_custom_scalars", (LAYOUT,)),
    ("add_custom_scalars_multilinechart", (["a", "b"], "c", "d")),
    ("add_custom_scalars_marginchart", (["a", "b", "c"],)),
]
ONLY = {
    "torch": [
        (
            "add_mesh",
            (
                "m",
                np.zeros((1, 4, 3), np.float32),
                np.zeros((1, 4, 3), np.uint8),
                np.zeros((1, 2, 3), np.int32),
            ),
        ),
        ("add_mesh", ("points", torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0)))),
        ("add_scalar", ("new", 0.5, 1, None, True)),
        ("add_scalar", ("new", 0.1, 1, None, True, True)),
        ("add_tensor", ("t", torch.arange(6, dtype=torch.int32).reshape(2, 3), 1)),
        ("add_tensor", ("t", torch.tensor([0.1, 0.2], dtype=torch.float64), 1)),
        ("add_audio", ("a", torch.sin(torch.arange(400) / 9.0)[None], 1)),
        ("add_image_with_boxes", ("b", IMAGE, np.array([[1, 1, 6, 6]]), 1)),
    ],
    "tensorboardX": [
        ("add_scalar", ("told", 0.5, 1, None, "A name", "What it means")),
        ("add_scalar", ("list", [0.5], 1)),
        ("add_audio", ("a", np.sin(np.arange(400) / 9.0), 1)),
        ("add_audio", ("a", np.stack([np.sin(np.arange(400) / 9.0)] * 2, 1), 1, 8000)),
        ("add_image_with_boxes", ("b", IMAGE, np.array([[1, 1, 6, 6]]), 1)),
    ],
}
CALLS = [(flavor, *call) for flavor in ORIGINALS for call in BOTH + ONLY[flavor]]


def logged(writer, method, args):
    """Make one call on a writer, close it, and return (step, value) of each value in its file."""
    getattr(writer, method)(*args)
    writer.close()
    return [
        (event.step, value) for event in run_events(writer.file_writer_dir) for value in event.summary.value
    ]


def pixels(encoded):
    """Return the pixels of a picture."""
    return np.asarray(Image.open(io.BytesIO(encoded)))


def samples(audio):
    """Return the samples of a 16-bit WAV."""
    with wave.open(io.BytesIO(audio.encoded_audio_string)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(int)


def assert_same(ours, theirs):
    """Compare two Summary.Value messages: field by field, pictures by their pixels."""
    assert ours.tag == theirs.tag
    assert ours.WhichOneof("value") == theirs.WhichOneof("value")
    assert ours.metadata == theirs.metadata
    kind = ours.WhichOneof("value")
    if kind == "image":
        assert (ours.image.height, ours.image.width) == (theirs.image.height, theirs.image.width)
        assert ours.image.colorspace == theirs.image.colorspace
        np.testing.assert_array_equal(
            pixels(ours.image.encoded_image_string), pixels(theirs.image.encoded_image_string)
        )
    elif kind == "histo":
        for field in ("min", "max", "num", "sum", "sum_squares", "bucket", "bucket_limit"):
            np.testing.assert_allclose(getattr(ours.histo, field), getattr(theirs.histo, field), rtol=1e-12)
    elif kind == "audio":
        assert (ours.audio.sample_rate, ours.audio.num_channels) == (
            theirs.audio.sample_rate,
            theirs.audio.num_channels,
        )
        assert ours.audio.length_frames == theirs.audio.length_frames
        np.testing.assert_allclose(
            samples(ours.audio), samples(theirs.audio), atol=2
        )  # libsndfile scales by 2^15 and rounds
    elif kind == "simple_value":
        np.testing.assert_array_equal(ours.simple_value, theirs.simple_value)
    else:
        assert getattr(ours, kind) == getattr(theirs, kind)


@pytest.mark.parametrize(
    ("flavor", "method", "args"), CALLS, ids=[f"{call[0]}-{call[1]}-{i}" for i, call in enumerate(CALLS)]
)
def test_a_call_gives_the_summaries_of_the_original(tmp_path, flavor, method, args):
    """Tags, steps, values, pixels and metadata are those of the flavor's original."""
    theirs_writer = ORIGINALS[flavor](str(tmp_path / "theirs"))
    theirs_writer.file_writer_dir = tmp_path / "theirs"
    ours_writer = SummaryWriter(tmp_path / "ours", options=WriterOptions(flavor=flavor))
    ours_writer.file_writer_dir = tmp_path / "ours"
    theirs = logged(theirs_writer, method, args)
    ours = logged(ours_writer, method, args)
    assert ours_writer.stats.failed == 0
    assert theirs
    assert [step for step, _ in ours] == [step for step, _ in theirs]
    for (_, our_value), (_, their_value) in zip(ours, theirs, strict=True):
        assert_same(our_value, their_value)


class Loud(str):
    """A string whose `str()` shows another text."""

    __slots__ = ()

    def __str__(self):
        return "LOUD"

    def __format__(self, _spec):
        return "LOUD"

    __repr__ = __str__


ODD_STRINGS = {
    "a member of an enumeration": lambda text: enum.Enum("Metric", {"MEMBER": text}, type=str).MEMBER,
    "a string that shows itself as another": Loud,
    "numpy's string": np.str_,
}
# Calls with strings, each with the flavors whose original has it.
WITH_STRINGS = {
    "a tag": (ORIGINALS, lambda writer, text: writer.add_scalar(text("train/loss"), 0.5, 1)),
    "a known tag": (
        ORIGINALS,
        lambda writer, text: [writer.add_scalar(text("train/loss"), 0.5, step) for step in range(3)],
    ),
    "a histogram's tag": (ORIGINALS, lambda writer, text: writer.add_histogram(text("h"), IMAGE, 1)),
    "an image's tag": (ORIGINALS, lambda writer, text: writer.add_image(text("i"), IMAGE, 1)),
    "a text": (ORIGINALS, lambda writer, text: writer.add_text(text("t"), text("as it is"), 1)),
    "a curve's tag": (ORIGINALS, lambda writer, text: writer.add_pr_curve(text("p"), LABELS, PREDICTIONS, 1)),
    "a main tag and keys": (
        ORIGINALS,
        lambda writer, text: writer.add_scalars(text("a/b"), {text("x"): 1.0, text("y z"): 2.0}, 1),
    ),
    "hyperparameters": (
        ORIGINALS,
        lambda writer, text: writer.add_hparams(
            {text("name"): text("adam"), text("lr"): 0.1}, {text("accuracy"): 0.5}
        ),
    ),
    "a layout": (
        ORIGINALS,
        lambda writer, text: writer.add_custom_scalars({text("a"): {text("b"): ["Margin", [text("c")] * 3]}}),
    ),
    "labels": (
        (),
        lambda writer, text: writer.add_embedding(
            np.zeros((2, 2)), [[text("a"), "b"]] * 2, None, 1, text("e"), [text("c"), "d"]
        ),
    ),
    "labels of boxes": (
        (),
        lambda writer, text: writer.add_image_with_boxes(
            text("b"), IMAGE, np.array([[1, 1, 9, 9]]), labels=[text("cat")]
        ),
    ),
    "a mesh and its settings": (
        (),
        lambda writer, text: writer.add_mesh(
            text("m"), np.zeros((1, 4, 3)), config_dict={text("a"): text("b")}
        ),
    ),
    "names of axes and bins": (
        (),
        lambda writer, text: (
            writer.add_image("i", IMAGE[0], 1, None, text("HW")),
            writer.add_histogram("h", IMAGE, 1, text("auto")),
        ),
    ),
    "a domain and a run": (
        (),
        lambda writer, text: writer.add_hparams(
            {"name": "adam"}, {"accuracy": 0.5}, {text("name"): [text("adam"), "sgd"]}, text("run"), 1
        ),
    ),
    "a record": (
        (),
        lambda writer, text: (
            writer.add_record(records.EmbeddingRecord(tag=text("e"), matrix=np.zeros((1, 2)))),
            writer.add_record(records.TextRecord(tag=text("t"), text=text("as it is"))),
        ),
    ),
}


def tags_of(events):
    """Return the tags of all values, in alphabetical order."""
    return sorted(value.tag for event in events for value in event.summary.value)


@pytest.mark.parametrize("flavor", ORIGINALS)
@pytest.mark.parametrize("odd", ODD_STRINGS)
@pytest.mark.parametrize("call", WITH_STRINGS)
def test_a_string_is_what_it_holds_whatever_its_class_shows(call, odd, flavor, tmp_path, monkeypatch):
    """Tags, runs, keys, texts and labels are written as those of plain strings, and as the original writes them."""
    monkeypatch.setattr(time, "time", lambda: WALL_TIME)  # names the run of `add_hparams`
    flavors, log = WITH_STRINGS[call]
    for name, text in (("plain", str), ("odd", ODD_STRINGS[odd])):
        with SummaryWriter(tmp_path / name, options=WriterOptions(flavor=flavor)) as writer:
            log(writer, text)
        assert writer.stats.failed == 0
    ours = everything(tmp_path / "odd")
    assert ours == everything(tmp_path / "plain")
    if flavor in flavors:
        with ORIGINALS[flavor](str(tmp_path / "theirs")) as writer:
            log(writer, ODD_STRINGS[odd])
        theirs = everything(tmp_path / "theirs")
        assert ours.keys() == theirs.keys()
        for run, events in theirs.items():
            assert tags_of(events) == tags_of(ours[run])


@pytest.mark.parametrize("flavor", ORIGINALS)
def test_wall_times_are_written_as_given(tmp_path, flavor):
    """The event has the caller's wall time."""
    with SummaryWriter(tmp_path, options=WriterOptions(flavor=flavor)) as writer:
        writer.add_scalar("x", 1.0, 1, WALL_TIME)
        writer.add_scalar("x", np.float32(1), 2, walltime=WALL_TIME)
        writer.add_text("t", "x", 1, WALL_TIME)
    assert [event.wall_time for event in run_events(tmp_path)] == [WALL_TIME] * 3


@pytest.mark.parametrize("flavor", ORIGINALS)
def test_every_public_name_of_the_original_exists_and_takes_its_arguments(flavor):
    """Each method takes the original's arguments by keyword, and the first ones in its order."""
    missing = []
    for name, method in inspect.getmembers(ORIGINALS[flavor], inspect.isfunction):
        if name.startswith("_") and name != "__init__":
            continue
        ours = inspect.signature(getattr(SummaryWriter, name)).parameters
        wanted = [
            parameter.name
            for parameter in inspect.signature(method).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        missing += [(name, parameter) for parameter in wanted if parameter not in ours]
    assert missing == []


@pytest.mark.parametrize("flavor", ORIGINALS)
def test_add_scalars_makes_the_runs_of_the_original(tmp_path, flavor):
    """The directories, the tag and the points are those of the flavor's original."""
    found = {}
    for name, kind, options in (
        ("theirs", ORIGINALS[flavor], {}),
        ("ours", SummaryWriter, {"options": WriterOptions(flavor=flavor)}),
    ):
        with kind(str(tmp_path / name), **options) as writer:
            for step in range(3):
                writer.add_scalars("a/b", {"x": float(step), "y z": 2.0}, step)
            keys = sorted(key.removeprefix(str(tmp_path / name)) for key in writer.all_writers)
        runs = sorted(path.parent for path in (tmp_path / name).rglob("*tfevents*"))
        values = {
            str(run.relative_to(tmp_path / name)): [
                (event.step, value.tag, value.simple_value)
                for event in run_events(run)
                for value in event.summary.value
            ]
            for run in runs
        }
        found[name] = (keys, values)
    assert found["ours"] == found["theirs"]


@pytest.mark.parametrize("flavor", ORIGINALS)
def test_add_hparams_writes_a_run_that_tensorboard_reads_as_the_originals(tmp_path, flavor):
    """Experiment, session start and end, and metrics agree with the flavor's original."""
    third = {"torch": (None, "run"), "tensorboardX": ("run",)}[flavor]
    hparams = {"lr": 0.1, "layers": 3, "optimizer": "adam"}
    found = {}
    for name, kind, options in (
        ("theirs", ORIGINALS[flavor], {}),
        ("ours", SummaryWriter, {"options": WriterOptions(flavor=flavor)}),
    ):
        with kind(str(tmp_path / name), **options) as writer:
            writer.add_hparams(hparams, {"accuracy": 0.5}, *third, 7)
        found[name] = [
            (event.step, value)
            for event in run_events(tmp_path / name / "run")
            for value in event.summary.value
        ]
        found[name].sort(key=lambda logged: logged[1].tag)  # metrics and hyperparameters use two lanes
    assert found["ours"] == found["theirs"]
