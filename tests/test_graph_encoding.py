"""A graph becomes a GraphDef that TensorBoard's own classes read."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import types_pb2
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import nn

from tblog import SummaryWriter
from tblog.graph import Graph, Node, TensorType, read_graph
from tblog.graph._groups import grouped
from tests.processes import run_program
from tests.reading import run_events


def decoded(*nodes):
    """Return the GraphDef of some nodes."""
    return GraphDef.FromString(Graph(list(nodes), "export").SerializeToString())


def test_a_node_is_written_with_its_shapes_dtype_device_and_attributes():
    """Each field is where the viewer looks for it."""
    types = [TensorType("float32", (2, -1), "cuda:1"), TensorType("float32", (), "cuda:1")]
    attributes = {"text": "it's", "count": 3, "rate": 0.5, "flag": False}
    (node,) = decoded(Node("Net/relu", "aten::relu", [], types, attributes)).node
    assert (node.name, node.op, node.device) == ("Net/relu", "aten::relu", "/device:CUDA:1")
    shapes = node.attr["_output_shapes"].list.shape
    assert [[dim.size for dim in shape.dim] for shape in shapes] == [[2, -1], []]
    assert node.attr["dtype"].type == types_pb2.DT_FLOAT
    assert node.attr["text"].s == b"its"
    assert (node.attr["count"].i, node.attr["rate"].f, node.attr["flag"].b) == (3, 0.5, False)


def test_edges_name_the_output_they_begin_at():
    """Control edges and outputs other than the first are written as TensorFlow writes them."""
    first = Node("a", "x", [], [TensorType(), TensorType()])
    assert list(decoded(first, Node("b", "y", ["a:1", "a", "^a"])).node[1].input) == ["a:1", "a", "^a"]


def test_an_unknown_shape_and_mixed_or_strange_dtypes_are_written():
    """The rank may be unknown. A dtype without a TensorFlow number is written as text."""
    (node,) = decoded(Node("a", "x", [], [TensorType("float8_e4m3fn"), TensorType("int64", (1,))])).node
    assert node.attr["_output_shapes"].list.shape[0].unknown_rank
    assert node.attr["dtype"].s == b"float8_e4m3fn, int64"


def test_a_layer_that_is_called_constant_is_drawn_as_a_layer():
    """The viewer would draw an operation with Const in its name as a dot, so such an operation is renamed."""
    assert decoded(Node("pad", "ConstantPad2d"), Node("c", "Const")).node[0].op == "constantPad2d"


@given(st.text(max_size=4000), st.integers(min_value=1, max_value=400))
@settings(max_examples=30, deadline=None)
def test_attributes_stay_under_the_viewers_limit(text, outputs):
    """No attribute exceeds 1,024 bytes; the viewer drops larger ones."""
    (node,) = decoded(
        Node("a", "x", [], [TensorType("float32", (3, 224, 224))] * outputs, {"text": text})
    ).node
    assert all(value.ByteSize() <= 1024 for value in node.attr.values())
    assert 1 <= len(node.attr["_output_shapes"].list.shape) <= outputs


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4), unique_by="/".join, max_size=40))
@settings(max_examples=50, deadline=None)
def test_short_lists_are_shown_as_they_are(paths):
    """Names change only in scopes with more than a hundred children."""
    names = ["/".join(path) for path in paths]
    assert grouped(names) == {name: name for name in names}


@given(st.integers(min_value=101, max_value=3000))
@settings(max_examples=20, deadline=None)
def test_a_long_list_is_shown_in_groups(count):
    """Each child is in exactly one group, in order, and no scope has more than a hundred children."""
    shown = list(grouped([f"Net/{i} (Linear)/linear" for i in range(count)]).values())
    groups = list(dict.fromkeys(name.split("/")[1] for name in shown))
    assert len(set(shown)) == count
    assert len(groups) <= 100
    assert all(len({name for name in shown if name.split("/")[1] == group}) <= 100 for group in groups[:3])
    assert shown[0].startswith("Net/0..")
    assert [name.rpartition("/")[0].rpartition("/")[2] for name in shown] == [
        f"{i} (Linear)" for i in range(count)
    ]


def test_edges_follow_into_the_groups():
    """Every edge of a large graph starts at an existing node."""
    layers = nn.Sequential(*[nn.ReLU() for _ in range(150)])
    message = GraphDef.FromString(read_graph(layers, torch.ones(1)).SerializeToString())
    names = {node.name for node in message.node}
    assert all(edge in names for node in message.node for edge in node.input)
    assert "Sequential/50..99/70 (ReLU)/relu" in names


def test_the_graph_says_which_way_read_it():
    """The inputs and outputs in the file name the source and the model's size."""
    for source in ("export", "trace", "hooks"):
        graph = read_graph(nn.Linear(4, 4), torch.ones(2, 4), source=source)
        ends = [node for node in decoded(*graph.nodes).node if node.op in {"input", "output"}]
        assert [node.attr["source"].s.decode() for node in ends] == [source, source]
        assert [node.attr["model_parameters"].i for node in ends] == [20, 20]


def test_add_graph_writes_one_event_and_prints_when_asked(tmp_path, capsys):
    """The event has the GraphDef, and `verbose` prints the graph."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(nn.Linear(4, 4), torch.ones(2, 4), verbose=True)
    (event,) = run_events(tmp_path)
    assert [node.name for node in GraphDef.FromString(event.graph_def).node] == [
        *["input/input", "Linear/linear", "output/output"]
    ]
    assert "Linear/linear = aten::linear(input/input)" in capsys.readouterr().out


@pytest.mark.slow
def test_reading_a_graph_imports_no_tensorboard():
    """Neither reading nor encoding needs torch's writer or TensorBoard."""
    code = """
import sys, torch
from tblog.graph import read_graph
assert "tensorboardX" not in sys.modules
for source in ("export", "trace", "hooks"):
    read_graph(torch.nn.Linear(2, 2), torch.ones(1, 2), source=source).SerializeToString()
print([name for name in sys.modules if name.partition(".")[0] == "tensorboard" or "utils.tensorboard" in name])
"""
    assert run_program(code, environment={"PYTHONWARNINGS": "ignore"}) == "[]\n"


def test_importing_the_package_imports_no_torch():
    """A program that logs an ONNX graph does not need torch."""
    code = "import sys, tblog.graph; print([name for name in ('torch', 'tensorboardX', 'onnx') if name in sys.modules])"
    assert run_program(code) == "[]\n"
