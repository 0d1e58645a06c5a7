"""Snapshot: a change right after any call does not affect what is logged."""

from __future__ import annotations

import threading

import matplotlib.figure
import numpy as np
import pytest
import torch

from tblog import SummaryWriter, records
from tblog._delivery.channel import Channel
from tblog._entry_writer import EntryWriter
from tests import reading
from tests.reading import everything


class Changing:
    """An object whose `str()` is what it is at the moment."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


class Gate:
    """A deferred array that blocks the worker until it is opened."""

    nbytes = 0

    def __init__(self):
        self.opened = threading.Event()

    def numpy(self):
        assert self.opened.wait(60)
        return np.zeros(3)


def change(value):
    """Change in place everything mutable that a call was given."""
    for kind, make_other in CHANGES.items():
        if isinstance(value, kind):
            make_other(value)


def change_dict(value):
    """Change the contents of a dict, and the dict."""
    change(list(value.values()))
    value.clear()
    value["changed"] = 0


def change_items(value):
    """Change the contents of a list or tuple, and the list."""
    for inner in value:
        change(inner)
    if isinstance(value, list):
        value[:] = ["changed"]


CHANGES = {
    np.ndarray: lambda array: array.fill("changed" if array.dtype.kind == "U" else 0),
    torch.Tensor: lambda tensor: tensor.zero_(),
    Changing: lambda thing: setattr(thing, "text", "changed"),
    matplotlib.figure.Figure: lambda figure: figure.clear(),
    torch.nn.Module: lambda module: module.add_module("changed", torch.nn.ReLU()),
    dict: change_dict,
    (list, tuple): change_items,
}


def curves():
    """Return what `add_pr_curve_raw` takes: six curves of five thresholds."""
    return [np.linspace(0.1, 1, 5) + i for i in range(6)]


def drawn():
    """Return a figure with some content."""
    figure = matplotlib.figure.Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1])
    return figure


def images():
    """Return a batch of pictures."""
    return np.linspace(0.1, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)


POINTS = np.linspace(1, 2, 6)


def points():
    """Return three points for the projector."""
    return POINTS.reshape(3, 2).copy()


# A method, and a function that makes fresh arguments for each call.
CALLS = {
    "a scalar": ("add_scalar", lambda: ("t", np.array([0.5]), 1)),
    "a scalar of torch": ("add_scalar", lambda: ("t", torch.tensor(0.5), 1)),
    "a step and a time": ("add_scalar", lambda: ("t", 0.5, np.array(3), np.array(5.0))),
    "a described scalar": ("add_scalar", lambda: ("t", np.array(0.5), 1, None, "name", "text")),
    "scalars": ("add_scalars", lambda: ("t", {"a": np.array(0.5), "b": torch.tensor(2)}, 1)),
    "a dict of scalars": ("add_scalar_dict", lambda: ({"a": np.array(0.5), "b": torch.tensor(2)}, 1)),
    "a histogram": ("add_histogram", lambda: ("t", POINTS.copy(), 1)),
    "a histogram of bfloat16": ("add_histogram", lambda: ("t", torch.arange(9).to(torch.bfloat16), 1)),
    "bins as a list": ("add_histogram", lambda: ("t", POINTS.copy(), 1, [1.0, 1.5, 2.0])),
    "bins as an array": ("add_histogram", lambda: ("t", POINTS.copy(), 1, np.array([1.0, 1.5, 2.0]))),
    "bins as a tensor": ("add_histogram", lambda: ("t", POINTS.copy(), 1, torch.tensor([1.0, 1.5, 2.0]))),
    "a raw histogram": (
        "add_histogram_raw",
        lambda: ("t", *[np.array(1.0 + i) for i in range(5)], [1.0, 2.0], np.array([3, 4]), 1),
    ),
    "an image": ("add_image", lambda: ("t", images()[0], 1)),
    "a list of images": ("add_images", lambda: ("t", list(images()), 1, None, "CHW")),
    "boxes and their labels": (
        "add_image_with_boxes",
        lambda: (
            "t",
            images()[0].repeat(9, 1).repeat(9, 2),
            np.array([[1, 1, 30, 30]]),
            1,
            None,
            np.array(2.0),
            "CHW",
            [Changing("cat")],
        ),
    ),
    "a figure": ("add_figure", lambda: ("t", drawn(), 1)),
    "a video": ("add_video", lambda: ("t", images()[None], 1, np.array(8.0))),
    "a sound": ("add_audio", lambda: ("t", np.linspace(0.1, 1, 50), 1, np.array(8000))),
    "an object as a text": ("add_text", lambda: ("t", Changing("as it was"), 1)),
    "a tensor": ("add_tensor", lambda: ("t", np.arange(1, 5), 1)),
    "strings": ("add_tensor", lambda: ("t", np.array(["a", "b"]), 1)),
    "a curve": (
        "add_pr_curve",
        lambda: ("t", np.array([0, 1, 1]), torch.tensor([0.2, 0.6, 0.9]), 1, 5, [1.0, 2.0, 3.0]),
    ),
    "a raw curve": ("add_pr_curve_raw", lambda: ("t", *curves(), 1, 5)),
    "a mesh and its settings": (
        "add_mesh",
        lambda: (
            "t",
            POINTS.reshape(1, 2, 3).copy(),
            np.full((1, 2, 3), 200),
            np.ones((1, 1, 3)),
            {"camera": {"cls": "PerspectiveCamera", "lights": [1, 2]}},
            1,
        ),
    ),
    "labels as strings": ("add_embedding", lambda: (points(), ["a", "b", "c"], images()[[0, 1, 0]], 1)),
    "labels as objects": ("add_embedding", lambda: (points(), [Changing(name) for name in "abc"])),
    "labels as rows of a list": (
        "add_embedding",
        lambda: (points(), [["a", 1], ["b", 2], [Changing("c"), 3]], None, 1, "t", ["name", "index"]),
    ),
    "labels as rows of an array": (
        "add_embedding",
        lambda: (points(), np.arange(1, 7).reshape(3, 2), None, 1, "t", ["name", "index"]),
    ),
    "labels as a list of rows of an array": (
        "add_embedding",
        lambda: (points(), list(np.arange(1, 7).reshape(3, 2)), None, 1, "t", ["name", "index"]),
    ),
    "labels as a tensor": ("add_embedding", lambda: (points(), torch.arange(1, 4))),
    "labels as views of a tensor": ("add_embedding", lambda: (points(), list(torch.arange(1, 4)))),
    "labels as views of an array": ("add_embedding", lambda: (points(), list(np.arange(1, 7).reshape(3, 2)))),
    "a layout": (
        "add_custom_scalars",
        lambda: ({"losses": {"train": ["Multiline", ["a", "b"]], "all": ("Margin", ["a", "b", "c"])}},),
    ),
    "lines of a chart": ("add_custom_scalars_multilinechart", lambda: (["a", "b"], "losses", "train")),
    "a margin chart": ("add_custom_scalars_marginchart", lambda: (["a", "b", "c"], "losses", "train")),
    "hyperparameters and their domains": (
        "add_hparams",
        lambda: (
            {"lr": np.array(0.1), "name": "sgd"},
            {"loss": torch.tensor(0.5)},
            {"lr": [0.1, np.array(0.2)], "name": ["sgd", "adam"]},
            "run",
            1,
        ),
    ),
    "a run's own hyperparameters": ("log_hparams", lambda: ({"lr": torch.tensor(0.5)}, ["loss"])),
    "a graph": ("add_graph", lambda: (torch.nn.Sequential(torch.nn.Linear(3, 2)), torch.ones(1, 3))),
}

# Calls that read files at once, and calls that give their arrays away.
WITHOUT_A_SNAPSHOT = {"add_onnx_graph", "add_openvino_graph", "add_record", "add_records"}


def test_every_call_is_here():
    """The list of this file names each method that logs something."""
    methods = {name for name in vars(SummaryWriter) if name.startswith(("add_", "log_"))}
    inherited = {
        name for base in SummaryWriter.__mro__[1:-1] for name in vars(base) if name.startswith("add_")
    }
    assert {method for method, _ in CALLS.values()} == (methods | inherited) - WITHOUT_A_SNAPSHOT


def logged(logdir, method, arguments, *, changed):
    """Make a call, optionally change its arguments before the worker reads them, and return everything on disk."""
    gate = Gate()
    with SummaryWriter(logdir) as writer:
        writer.add_record(records.HistogramRecord(tag="gate", values=gate), 0)
        try:
            getattr(writer, method)(*arguments)
            if changed:
                change(arguments)
        finally:
            gate.opened.set()
    assert writer.stats.failed == 0
    return everything(logdir)


@pytest.mark.parametrize("call", CALLS)
def test_what_is_changed_right_after_the_call_changes_nothing_of_what_is_logged(call, tmp_path):
    """Arrays, lists, dicts, labels, edges, settings and objects are logged as they were at the call."""
    method, make = CALLS[call]
    untouched = logged(tmp_path / "untouched", method, make(), changed=False)
    assert logged(tmp_path / "changed", method, make(), changed=True) == untouched


@pytest.mark.parametrize("call", CALLS)
def test_the_worker_gets_nothing_of_torch_where_plain_values_do(call, tmp_path, monkeypatch):
    """Releasing a tensor on another thread while the interpreter exits can abort the process."""
    method, make = CALLS[call]
    with SummaryWriter(tmp_path) as writer:
        queued = []
        monkeypatch.setattr(Channel, "put", lambda _, entry: queued.append(entry))
        getattr(writer, method)(*make())
    assert queued
    assert not list(torch_objects(queued))


def torch_objects(value):
    """Yield the torch objects in a queued entry, including containers, records and the bases of arrays."""
    if type(value).__module__.partition(".")[0] == "torch":
        yield value
    elif isinstance(value, np.ndarray):
        if value.base is not None:
            yield from torch_objects(value.base)
    elif isinstance(value, dict):
        for each in value.items():
            yield from torch_objects(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from torch_objects(each)
    elif isinstance(value, records.Record):
        for name in type(value).__match_args__ or value.__dataclass_fields__:
            yield from torch_objects(getattr(value, name))


@pytest.mark.parametrize("method", ["add_scalar_dict", "add_scalars"])
def test_a_dict_that_changes_while_it_is_read_is_logged_as_it_was(tmp_path, monkeypatch, method):
    """What another thread, a signal handler or a value's own code does to the dict in the middle of the call is too late."""
    numbers = {"a": 1.0, "b": 2.0}
    writer = SummaryWriter(tmp_path)

    def change(tag, name=EntryWriter._name):
        numbers.update(a=3.0, c=4.0)
        return name(writer, tag)

    monkeypatch.setattr(writer, "_name", change)
    getattr(writer, method)(*(["main"] if method == "add_scalars" else []), numbers, 1)
    writer.close()
    logged = {folder.name: reading.points(folder) for folder in (tmp_path, *tmp_path.glob("main*"))}
    assert numbers == {"a": 3.0, "b": 2.0, "c": 4.0}
    assert (
        logged
        == {
            "add_scalar_dict": {tmp_path.name: {"a": [(1, 1.0)], "b": [(1, 2.0)]}},
            "add_scalars": {
                tmp_path.name: {},
                "main_a": {"main": [(1, 1.0)]},
                "main_b": {"main": [(1, 2.0)]},
            },
        }[method]
    )
