"""Graphs of small models, compared node by node with expected lines."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tblog.graph import read_graph
from tests import graph_models


def drawn(graph):
    """Return the lines of a graph without attributes."""
    return [f"{node.name} = {node.op}({', '.join(node.inputs)}) -> {types(node)}" for node in graph.nodes]


def types(node):
    """Return the types of a node's outputs."""
    return ", ".join(map(str, node.outputs))


def block(scope, source, *, conv, prefix, identity=True):
    """Return the lines of a `graph_models.Block` in a scope, fed by `source`."""
    image = "float32 [1, 2, 4, 4]"
    skip = f"{scope}/skip (Identity)/Identity" if identity else source
    dropout = f"{scope}/drop (Dropout)/{'Dropout' if prefix == 'torch' else 'dropout'}"
    first = [f"{skip} = Identity({source}) -> {image}"] if identity else []
    return [
        *first,
        f"{scope}/conv (Conv2d)/{conv} = {prefix}::{conv}({source}) -> {image}",
        f"{scope}/norm (BatchNorm2d)/batch_norm = {prefix}::batch_norm({scope}/conv (Conv2d)/{conv}) -> {image}",
        (
            f"{dropout} = {'Dropout' if prefix == 'torch' else 'aten::dropout'}"
            f"({scope}/norm (BatchNorm2d)/batch_norm) -> {image}"
        ),
        f"{scope}/add = {prefix}::add({skip}, {dropout}) -> {image}",
        f"{scope}/relu = {prefix}::relu({scope}/add) -> {image}",
    ]


@pytest.mark.parametrize(
    ("source", "look"),
    [
        ("export", {"conv": "conv2d", "prefix": "aten"}),
        ("trace", {"conv": "_convolution", "prefix": "aten", "identity": False}),
        ("hooks", {"conv": "conv2d", "prefix": "torch"}),
    ],
)
def test_blocks_in_a_list_each_call_of_which_has_a_scope(source, look):
    """The second call of a module has its own scope. Operations without effect are drawn, except by tracing."""
    blocks = "Small/blocks (ModuleList)"
    prefix = look["prefix"]
    assert drawn(read_graph(graph_models.Small(), torch.ones(1, 2, 4, 4), source=source)) == [
        "input/image = input() -> float32 [1, 2, 4, 4]",
        *block(f"{blocks}/0 (Block)", "input/image", **look),
        *block(f"{blocks}/1 (Block)", f"{blocks}/0 (Block)/relu", **look),
        *block(f"{blocks}/0 #2 (Block)", f"{blocks}/1 (Block)/relu", **look),
        f"Small/mean = {prefix}::mean({blocks}/0 #2 (Block)/relu) -> float32 [1, 2]",
        f"Small/mul = {prefix}::mul(Small/mean) -> float32 [1, 2]",
        f"Small/head (Linear)/linear = {prefix}::linear(Small/mul) -> float32 [1, 3]",
        "output/output = output(Small/head (Linear)/linear) -> float32 [1, 3]",
    ]


def test_a_layer_says_its_parameters_options_and_description():
    """Parameters are attributes of the operation that reads them, not nodes; at a second reader they are marked as shared."""
    graph = read_graph(graph_models.Small(), torch.ones(1, 2, 4, 4))
    attributes = {node.name: node.attributes for node in graph.nodes}
    assert attributes["Small/blocks (ModuleList)/0 (Block)/conv (Conv2d)/conv2d"] == {
        "path": "blocks.0.conv",
        "module": "Conv2d(2, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)",
        "stride": "[1, 1]",
        "padding": "[1, 1]",
        "weight": "float32 [2, 2, 3, 3]",
        "parameters": 36,
    }
    second = attributes["Small/blocks (ModuleList)/0 #2 (Block)/norm (BatchNorm2d)/batch_norm"]
    assert second["weight"] == "float32 [2] shared"
    assert second["running_mean"] == "float32 [2] buffer"
    assert "parameters" not in second
    assert attributes["Small/mul"] == {"scale": "float32 [2]", "parameters": 2}
    assert attributes["input/image"] == {"source": "export", "model": "Small", "model_parameters": 91}


@pytest.mark.parametrize("source", ["export", "trace", "hooks"])
def test_edges_name_the_output_of_an_operation_with_several(source):
    """An edge names the output it starts from, and the operation has the shapes of all its outputs."""

    class Halves(nn.Module):
        def forward(self, x):
            left, right = x.split([1, 3], dim=1)
            return right, left.relu()

    prefix = "torch" if source == "hooks" else "aten"
    split = {"export": "split_with_sizes", "trace": "split_with_sizes", "hooks": "split"}[source]
    assert drawn(read_graph(Halves(), torch.ones(2, 4), source=source)) == [
        "input/x = input() -> float32 [2, 4]",
        f"Halves/{split} = {prefix}::{split}(input/x) -> float32 [2, 1], float32 [2, 3]",
        f"Halves/relu = {prefix}::relu(Halves/{split}) -> float32 [2, 1]",
        f"output/0 = output(Halves/{split}:1) -> float32 [2, 3]",
        "output/1 = output(Halves/relu) -> float32 [2, 1]",
    ]


@pytest.mark.parametrize("source", ["export", "hooks"])
def test_a_write_through_a_view_comes_before_what_reads_the_memory(source):
    """An operation that reads memory written elsewhere has a control edge from the writing operation."""

    class Writes(nn.Module):
        def forward(self, x):
            y = x * 1
            y[0].add_(1)
            return y * 2

    nodes = {node.name: node for node in read_graph(Writes(), torch.ones(2, 4), source=source).nodes}
    assert nodes["Writes/mul_1"].inputs == ["Writes/mul", "^Writes/add_"]


def test_branches_of_a_conditional_are_drawn_inside_it():
    """Both branches of `torch.cond` are in the graph; the operator reads the condition and the results of the branches."""

    class Either(nn.Module):
        def forward(self, x):
            return torch.cond(x.sum() > 0, lambda x: x.relu(), lambda x: x - 1, (x,))

    assert drawn(read_graph(Either(), torch.ones(2), source="export")) == [
        "input/x = input() -> float32 [2]",
        "Either/sum = aten::sum(input/x) -> float32 []",
        "Either/gt = aten::gt(Either/sum) -> bool []",
        "Either/cond/true_graph_0/relu = aten::relu(input/x) -> float32 [2]",
        "Either/cond/false_graph_0/sub = aten::sub(input/x) -> float32 [2]",
        (
            "Either/cond = cond(Either/gt, input/x, Either/cond/true_graph_0/relu, Either/cond/false_graph_0/sub)"
            " -> float32 [2]"
        ),
        "output/output = output(Either/cond) -> float32 [2]",
    ]


def test_what_is_not_computed_with_gradients_is_drawn_all_the_same():
    """`no_grad` and autocast blocks add no nodes of their own."""

    class Modes(nn.Module):
        def forward(self, x):
            with torch.no_grad():
                x = x.relu()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return x @ x

    assert drawn(read_graph(Modes(), torch.ones(2, 2), source="export")) == [
        "input/x = input() -> float32 [2, 2]",
        "Modes/relu = aten::relu(input/x) -> float32 [2, 2]",
        "Modes/matmul = aten::matmul(Modes/relu) -> bfloat16 [2, 2]",
        "output/output = output(Modes/matmul) -> bfloat16 [2, 2]",
    ]


def test_the_graph_is_printed_line_by_line():
    """`str` returns one line per node, with its edges, types and attributes."""
    lines = str(read_graph(nn.Linear(2, 1, bias=False), torch.ones(1, 2))).splitlines()
    assert lines[0] == "graph (read by export, 3 nodes):"
    assert lines[2] == (
        "Linear/linear = aten::linear(input/input) -> (float32 [1, 1]) "
        "module=Linear(in_features=2, out_features=1, bias=False) weight=float32 [1, 2] parameters=2"
    )
