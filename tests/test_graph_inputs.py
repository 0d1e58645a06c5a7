"""Arguments and results of any structure: each tensor in them is an input or an output of the graph."""

from __future__ import annotations

import threading
from collections import OrderedDict, UserDict
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import nn

from tblog.errors import InvalidTypeError, InvalidValueError
from tblog.graph import read_graph
from tests import graph_models
from tests.graph_checks import assert_sound
from tests.waiting import run_threads

X = torch.ones(2, 4)
WAYS = ["export", "trace", "hooks"]


class Pair(NamedTuple):
    """Two things in a named tuple."""

    left: Any
    right: Any


@dataclass
class Batch:
    """An image in a dataclass."""

    image: torch.Tensor
    count: int = 2
    label: Any = None


class Plain:
    """A plain object with a tensor attribute."""

    def __init__(self, x):
        self.x, self.name = x, "plain"


class Slotted:
    """An object without a `__dict__`."""

    __slots__ = ("rest", "x")

    def __init__(self, x):
        self.x = x


class Linear(nn.Module):
    """A base for models with different arguments and results."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)


def model_of(forward):
    """Return a module with a forward that calls `forward(self, ...)`."""
    return type("Model", (Linear,), {"forward": forward})()


def ends(graph):
    """Return the names of inputs and outputs."""
    assert_sound(graph)
    return [node.name for node in graph.nodes if node.op in {"input", "output"}]


@pytest.mark.parametrize("source", WAYS)
@pytest.mark.parametrize(
    ("forward", "inputs", "expected"),
    [
        (lambda self, x: self.fc(x), X, ["input/x", "output/output"]),
        (lambda self, x: self.fc(x), (X,), ["input/x", "output/output"]),
        (lambda self, x, y: self.fc(x) + y, (X, X), ["input/x", "input/y", "output/output"]),
        (lambda self, x, y: self.fc(x) + y, [X, X], ["input/x", "input/y", "output/output"]),
        (lambda self, *xs: self.fc(xs[0]) + xs[1], (X, X), ["input/xs.0", "input/xs.1", "output/output"]),
        (lambda self: self.fc(torch.ones(2, 4)), None, ["output/output"]),
        (lambda self, n=2: self.fc(torch.ones(n, 4)), None, ["output/output"]),
        (
            lambda self, x, y, n=1: self.fc(x) * (n if y is None else 0),
            (X, None, 3),
            ["input/x", "output/output"],
        ),
        (lambda self, n: self.fc(torch.ones(n, 4)), 3, ["output/output"]),
        (lambda self, x, mode: self.fc(x) if mode == "on" else x, (X, "on"), ["input/x", "output/output"]),
        (lambda self, x, scale=1.0: self.fc(x) * scale, {"x": X, "scale": 2.0}, ["input/x", "output/output"]),
        (lambda self, **given: self.fc(given["x"]), {"x": X}, ["input/x", "output/output"]),
        (lambda self, batch: self.fc(batch["x"]), {"x": X}, ["input/batch.x", "output/output"]),
        (lambda self, batch: self.fc(batch["x"]), UserDict(x=X), ["input/batch.x", "output/output"]),
        (
            lambda self, batch: self.fc(batch.image) * batch.count,
            Batch(X),
            ["input/batch.image", "output/output"],
        ),
        (lambda self, pair: self.fc(pair.left), Pair(X, 1), ["input/pair.left", "output/output"]),
        (lambda self, held: self.fc(held.x), Plain(X), ["input/held.x", "output/output"]),
        (
            lambda self, a, b: self.fc(a[0]["k"][1]) + b[0],
            ([{"k": (None, X)}], [X]),
            ["input/a.0.k.1", "input/b.0", "output/output"],
        ),
        (lambda self, x: {"logits": self.fc(x), "n": 1}, X, ["input/x", "output/logits"]),
        (lambda self, x: OrderedDict(a=self.fc(x), b=[x + 1]), X, ["input/x", "output/a", "output/b.0"]),
        (lambda self, x: Batch(self.fc(x), label=x * 2), X, ["input/x", "output/image", "output/label"]),
        (lambda self, x: Pair(self.fc(x), None), X, ["input/x", "output/left"]),
        (lambda self, x: (self.fc(x), [x * 2, None], 7), X, ["input/x", "output/0", "output/1.0"]),
        (lambda self, x: Plain(self.fc(x)), X, ["input/x", "output/x"]),
        (lambda self, x: None if self.fc(x) is None else 3, X, ["input/x"]),
    ],
)
def test_every_tensor_that_goes_in_and_out_is_there_by_name(source, forward, inputs, expected):
    """Inputs are named after forward's arguments, outputs after their position in the result."""
    assert ends(read_graph(model_of(forward), inputs, source=source)) == expected


@pytest.mark.parametrize("source", WAYS)
def test_objects_with_slots_and_mappings_that_cannot_be_copied_are_opened(source):
    """Each tensor in them is an input, as in any other object."""
    assert (
        ends(read_graph(model_of(lambda self, a: self.fc(a.x)), (Slotted(X),), source=source))[0]
        == "input/a.x"
    )
    proxy = MappingProxyType({"x": X})
    assert (
        ends(read_graph(model_of(lambda self, a: self.fc(a["x"])), (proxy,), source=source))[0] == "input/a.x"
    )


@pytest.mark.parametrize("source", WAYS)
def test_a_structure_that_holds_itself_is_opened_once(source):
    """Its tensor is one input, and the model receives the whole structure."""
    batch = {"x": X}
    batch["again"] = batch
    model = model_of(lambda self, batch: self.fc(batch["again"]["x"] + batch["x"]))
    assert ends(read_graph(model, (batch,), source=source)) == ["input/batch.x", "output/output"]


@pytest.mark.parametrize("source", WAYS)
def test_what_is_nested_too_deeply_to_be_opened_is_handed_on_as_it_is(source):
    """The model receives it unchanged, and its tensors are constants of the graph."""
    nested = X
    for _ in range(30):
        nested = [nested]

    def forward(self, nested):
        while isinstance(nested, list):
            nested = nested[0]
        return self.fc(nested)

    assert ends(read_graph(model_of(forward), (nested,), source=source)) == ["output/output"]


def test_every_way_reads_an_iterator_from_its_beginning():
    """Items that one way took from a generator are there for the next way, and their tensors are inputs."""

    def forward(self, images):
        found = [self.fc(image) for image in images]
        return found[int(found[0].sum() > 1e9)]  # what depends on values is left to the last way

    for images in ((X for _ in range(3)), map(torch.relu, [X, X]), iter([X])):
        graph = read_graph(model_of(forward), (images,))
        assert graph.source == "hooks"
        assert "IndexError" not in str(graph.reasons)
        assert "input/images.0" in ends(graph)
        assert any(node.op == "torch::linear" for node in graph.nodes)


@pytest.mark.parametrize("source", WAYS)
def test_what_a_forward_yields_is_read(source):
    """A generator runs only when its items are read; of an infinite one, a hundred items are read."""

    def forward(self, x):
        while True:
            yield self.fc(x)

    assert ends(read_graph(model_of(forward), X, source=source))[:3] == ["input/x", "output/0", "output/1"]


@pytest.mark.parametrize("source", WAYS)
def test_a_list_is_one_argument_where_forward_says_it_takes_one(source):
    """Detection models take a list of images. In other cases a list holds the arguments."""

    def forward(self, images: list[torch.Tensor], targets: list[torch.Tensor] | None = None):
        return [self.fc(image) for image in images + (targets or [])]

    graph = read_graph(model_of(forward), [X, X + 1], source=source)
    assert ends(graph) == ["input/images.0", "input/images.1", "output/0", "output/1"]


def test_a_type_comment_says_so_too():
    """RetinaNet has such a comment. Without a source file there is none, and the list's items are the arguments."""

    def forward(self, images, targets=None):
        # type: (list[torch.Tensor], list[torch.Tensor] | None) -> list[torch.Tensor]
        return [self.fc(image) for image in images + (targets or [])]

    assert ends(read_graph(model_of(forward), [X, X]))[:2] == ["input/images.0", "input/images.1"]
    unwritten = eval("lambda self, x, y=None: self.fc(x) + y")
    assert ends(read_graph(model_of(unwritten), [X, X]))[:2] == ["input/x", "input/y"]


def test_one_tensor_in_two_arguments_is_two_inputs():
    """An operation that reads the first argument has an edge from it, and none from the other."""
    graph = read_graph(model_of(lambda self, x, y: self.fc(x) + y), (X, X))
    edges = {node.name: node.inputs for node in graph.nodes}
    assert edges["Model/fc (Linear)/linear"] == ["input/x"]
    assert edges["Model/add"] == ["Model/fc (Linear)/linear", "input/y"]


def test_a_packed_sequence_is_taken_and_returned():
    """Its data and its batch sizes are separate inputs."""
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 4), torch.ones(2, 4)])
    graph = read_graph(nn.LSTM(4, 5), packed)
    assert ends(graph) == [
        "input/input.data",
        "input/input.batch_sizes",
        *[f"output/{place}" for place in ("0.data", "0.batch_sizes", "1.0", "1.1")],
    ]


def test_inputs_are_left_as_they_were():
    """A model that writes to its input writes to a copy, however it is read."""

    class InPlace(nn.Module):
        def forward(self, x, batch, states):
            batch["y"].add_(1)
            batch["z"] = x
            states.append(x)
            return x.mul_(2)

    x, batch, states = torch.ones(2), {"y": torch.ones(2)}, []
    for source in WAYS:
        read_graph(InPlace(), (x, batch, states), source=source)
    assert torch.equal(x, torch.ones(2))
    assert list(batch) == ["y"]
    assert torch.equal(batch["y"], torch.ones(2))
    assert states == []


def test_names_hold_nothing_that_the_viewer_reads_otherwise():
    """A slash separates scopes and a colon separates outputs, so names contain neither."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleDict({"a/b:c '^": nn.Linear(4, 4)})

        def forward(self, x):
            return {"o/u:t": self.layers["a/b:c '^"](x)}

    names = [node.name for node in read_graph(Odd(), X).nodes]
    assert names == ["input/x", "Odd/layers (ModuleDict)/a_b_c___ (Linear)/linear", "output/o_u_t"]


def test_names_that_are_no_utf8_are_written():
    """A lone surrogate, as in some file names, does not prevent encoding."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleDict({"\ud800": nn.Linear(4, 4)})
            self.register_parameter("\ud800", nn.Parameter(torch.ones(4)))

        def forward(self, x):
            return {"\ud800": self.layers["\ud800"](x) * getattr(self, "\ud800")}

    message = GraphDef.FromString(read_graph(Odd(), X).SerializeToString())
    assert [node.name for node in message.node][1] == "Odd/layers (ModuleDict)/_ (Linear)/linear"
    assert "?" in message.node[2].attr


def test_a_language_model_takes_keywords_and_returns_a_dataclass():
    """Named inputs, nested outputs and tied weights have the model's names."""
    inputs = {**graph_models.TOKENS, "labels": torch.zeros(2, 5, dtype=torch.int64), "return_hidden": True}
    for source in WAYS:
        graph = read_graph(graph_models.LanguageModel(), inputs, source=source)
        assert ends(graph) == [
            *[f"input/{name}" for name in ("input_ids", "attention_mask", "labels")],
            *[f"output/{name}" for name in ("logits", "hidden_states.0", "hidden_states.1", "loss")],
        ]


def test_a_missing_input_is_named():
    """The error names the missing arguments."""
    with pytest.raises(
        InvalidValueError, match=r"its forward needs the arguments input, but input_to_model was None"
    ):
        read_graph(nn.Linear(4, 4))


def test_an_unknown_way_and_what_is_no_model_are_refused():
    """Each error says what was given and what is wanted."""
    with pytest.raises(InvalidValueError, match=r"source was 'magic'; give one of export, trace, hooks"):
        read_graph(nn.Linear(4, 4), X, source="magic")
    with pytest.raises(InvalidTypeError, match=r"the graph of a int cannot be read"):
        read_graph(3, X)


def test_threads_that_read_models_at_once_get_the_same_graph_as_one_alone(caplog):
    """Torch's exporter keeps its state in globals, so tblog lets one thread at a time use it."""
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    alone = read_graph(model, X).SerializeToString()
    barrier = threading.Barrier(4)
    found = []

    def read():
        barrier.wait()
        found.append(read_graph(model, X).SerializeToString())

    run_threads(threading.Thread(target=read) for _ in range(4))
    assert found == [alone] * 4
    assert [record.getMessage() for record in caplog.records if record.name == "tblog"] == []
