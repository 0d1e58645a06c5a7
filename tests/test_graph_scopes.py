"""Scopes: their labels and descriptions in the viewer, and which nodes get their own scope."""

from __future__ import annotations

import pytest
import torch
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import nn

from tblog.graph import read_graph
from tests import graph_models
from tests.graph_checks import assert_shows_what_ran, assert_sound

SHOWN = 14  # letters of a long label that the viewer shows in a closed scope
WAYS = ["export", "trace", "hooks"]


def scopes(graph):
    """Return the scopes directly below the model's own, in execution order."""
    assert_sound(graph)
    inside = [node.name.split("/") for node in graph.nodes if node.op not in {"input", "output"}]
    return list(dict.fromkeys(path[1] for path in inside if len(path) > 2))


class Named(nn.Module):
    """Runs children with the given names, one after the other."""

    def __init__(self, *names):
        super().__init__()
        for name in names:
            self.add_module(name, nn.ReLU())

    def forward(self, x):
        for module in self.children():
            x = module(x)
        return x


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["conv1", "bn1"], ["conv1 (ReLU)", "bn1 (ReLU)"]),
        (["encoder_layer_1", "encoder_layer_10"], ["1 encoder_layer_1 (ReLU)", "10 encoder_layer_10 (ReLU)"]),
        (
            ["post_attention_norm", "post_attention_dropout", "norm"],
            ["norm post_attention_norm (ReLU)", "dropout post_attention_dropout (ReLU)", "norm (ReLU)"],
        ),
        (
            ["transformerlayer9", "transformerlayer10", "transformerlayer11"],
            ["9 transformerlayer9 (ReLU)", "10 transformerlayer10 (ReLU)", "11 transformerlayer11 (ReLU)"],
        ),
        (["a_name_that_is_long", "another"], ["a_name_that_is_long (ReLU)", "another (ReLU)"]),
    ],
)
def test_what_tells_siblings_apart_stands_before_the_viewers_cut(names, expected):
    """The label starts with the module's own name; if that is long, with the part that differs from its siblings."""
    found = scopes(read_graph(Named(*names), torch.ones(1)))
    assert found == expected
    assert len({label[:SHOWN] for label in found}) == len(names)


def test_the_calls_of_a_module_differ_before_the_cut_too():
    """The number of a call follows a short name and precedes a long one."""

    class Repeats(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()
            self.final_activation = nn.ReLU()

        def forward(self, x):
            for _ in range(2):
                x = self.final_activation(self.act(x))
            return x

    assert scopes(read_graph(Repeats(), torch.ones(1))) == [
        "act (ReLU)",
        "final_activation (ReLU)",
        "act #2 (ReLU)",
        "#2 final_activation (ReLU)",
    ]


class Masked(nn.Module):
    """A layer that reads a mask and positions, each made by a handful of operations."""

    def __init__(self):
        super().__init__()
        self.embed, self.place, self.out = nn.Embedding(9, 4), nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, tokens, attention_mask):
        places = torch.arange(tokens.shape[1]).add(1).mul(1).unsqueeze(0)
        seen = torch.arange(tokens.shape[1]).unsqueeze(0).ge(0)
        mask = (seen.unsqueeze(0) & attention_mask[:, None].bool()).to(torch.float32)
        hidden = self.embed(tokens) + self.place(places)
        return self.out(torch.softmax(hidden @ hidden.transpose(1, 2) + mask, -1) @ hidden)


TOKENS = (torch.arange(6).view(2, 3), torch.ones(2, 3, dtype=torch.int64))


@pytest.mark.parametrize("source", WAYS)
def test_what_makes_masks_and_positions_has_a_scope_of_its_own(source):
    """Masks and positions each have one box beside the layers, without any operation of the layers."""
    graph = read_graph(Masked(), TOKENS, source=source)
    found = scopes(graph)
    assert sorted(found) == ["embed (Embedding)", "indices", "mask", "out (Linear)", "place (Embedding)"]
    inside = [node.name.split("/") for node in graph.nodes]
    direct = {path[1].partition("_")[0] for path in inside if path[0] == "Masked" and len(path) == 2}
    assert direct == {"add", "transpose", "matmul", "softmax"}
    edges = {node.name: node.inputs for node in graph.nodes}
    place = next(name for name in edges if name.startswith("Masked/place (Embedding)/"))
    assert [edge.rpartition("/")[0] for edge in edges[place]] == ["Masked/indices"]


@pytest.mark.parametrize("source", WAYS)
def test_what_is_looked_up_by_place_alone_is_drawn(source):
    """A layer whose input depends only on the shape of the model's input is in the graph, however it is read."""
    model = Masked()
    assert_shows_what_ran(read_graph(model, TOKENS, source=source), model, *TOKENS)


def test_a_bunch_that_nothing_reads_lies_with_those_that_are_read():
    """Unused masks of other kinds are in the box, too."""

    class Wasteful(Masked):
        def forward(self, tokens, attention_mask):
            torch.arange(3).unsqueeze(0)
            return super().forward(tokens, attention_mask)

    names = [node.name for node in read_graph(Wasteful(), TOKENS, source="hooks").nodes]
    assert sum(name.rpartition("/")[2].startswith("arange") for name in names) == 3
    assert not any(name.startswith("Wasteful/arange") for name in names)


class Normalised(nn.Module):
    """Turns bytes into data: a chain without parameters that is not a mask."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, image):
        return self.conv(image.to(torch.float32).div(255).sub(self.mean).mul(2).clamp(-1, 1))


class Looped(nn.Module):
    """Masks before and after a layer: a common scope would form a cycle with it."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4)

    def forward(self, tokens):
        first = tokens.add(1).sub(1).abs().clamp(0, 8)
        second = self.embed(first).argmax(-1).add(0).sub(0).abs()
        return self.embed(second)


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (Normalised(), torch.zeros(1, 3, 4, 4, dtype=torch.uint8), ["conv (Conv2d)"]),
        (graph_models.Small(), torch.ones(1, 2, 4, 4), ["blocks (ModuleList)", "head (Linear)"]),
        (Looped(), torch.arange(3), ["indices", "embed (Embedding)", "embed #2 (Embedding)"]),
    ],
)
def test_what_is_data_stays_where_it_is(model, inputs, expected):
    """Chains that turn bytes into data, and computations on a layer's output, are not masks."""
    assert scopes(read_graph(model, inputs)) == expected


@pytest.mark.parametrize("source", WAYS)
def test_a_scope_that_holds_others_says_its_path_class_and_size(source):
    """The counts cover the module and everything in it, and each parameter once."""
    model = graph_models.Small()
    model.head.requires_grad_(False)
    graph = read_graph(model, torch.ones(1, 2, 4, 4), source=source)
    assert graph.scopes["Small"] == {
        "module": "Small()",
        "parameters": 91,
        "buffers": 10,
        "frozen_parameters": 9,
    }
    assert graph.scopes["Small/blocks (ModuleList)/1 (Block)"] == {
        "path": "blocks.1",
        "module": "Block()",
        "parameters": 40,
        "buffers": 5,
    }
    assert set(graph.scopes) == {
        "Small",
        "Small/blocks (ModuleList)",
        *(f"Small/blocks (ModuleList)/{label} (Block)" for label in ("0", "1", "0 #2")),
    }


def test_what_a_scope_says_is_written_beside_its_operations():
    """A node that the viewer sets aside has the description, also in grouped lists."""
    layers = nn.Sequential(*[nn.Sequential(nn.Sequential(nn.Linear(2, 2))) for _ in range(120)])
    message = GraphDef.FromString(read_graph(layers, torch.ones(1, 2), source="hooks").SerializeToString())
    about = {node.name: node for node in message.node if node.name.endswith("/about")}
    assert len(about) == 1 + 2 * 120
    one = about["Sequential/50..99/70 (Sequential)/about"]
    assert (one.op, list(one.input)) == ("NoOp", [])
    assert (one.attr["path"].s, one.attr["module"].s, one.attr["parameters"].i) == (b"70", b"Sequential()", 6)
    assert about["Sequential/about"].attr["parameters"].i == 720
