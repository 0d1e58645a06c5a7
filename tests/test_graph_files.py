"""Graphs of ONNX and OpenVINO files."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tensorboard.compat.proto.graph_pb2 import GraphDef

from tblog import SummaryWriter
from tblog.errors import InvalidValueError, MissingDependencyError
from tblog.graph import read_onnx_graph, read_openvino_graph
from tests.graph_checks import assert_sound
from tests.reading import run_events

FLOAT = TensorProto.FLOAT


def lines(graph):
    """Check a graph, and return its nodes as lines."""
    assert_sound(graph)
    return list(map(str, graph.nodes))


@pytest.fixture
def onnx_file(tmp_path):
    """Return the path of a small model with a weight, a constant, a name with scopes and two outputs."""
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"], name="/fc/Gemm", alpha=0.5),
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.array([1, 1]))),
        helper.make_node("Split", ["h", "two"], ["left", "right"], name="/Split", axis=1),
        helper.make_node("Relu", ["right"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("y", FLOAT, ["batch", 1])],
        [numpy_helper.from_array(np.ones((3, 2), dtype=np.float32), "w")],
    )
    onnx.save(helper.make_model(graph), tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


def test_an_onnx_file_becomes_a_graph(onnx_file):
    """Weights are attributes of the operations that read them. Names keep their scopes, and shapes are inferred."""
    assert lines(read_onnx_graph(onnx_file)) == [
        "input/x = input() -> (float32 [-1, 3])",
        "fc/Gemm = Gemm(input/x) -> (float32 [-1, 2]) w=float32 [3, 2] alpha=0.5",
        "Split = Split(fc/Gemm) -> (float32 [-1, 1], float32 [-1, 1]) two=int64 [2] axis=1",
        "Relu_y = Relu(Split:1) -> (float32 [-1, 1])",
        "output/y = output(Relu_y) -> (float32 [-1, 1])",
    ]


def test_scopes_that_torchs_exporter_notes_are_those_of_a_torch_graph(tmp_path):
    """A node of an exported model is in the scope of its module."""
    node = helper.make_node("Relu", ["x"], ["y"], name="node_relu")
    for key, value in {
        "pkg.torch.onnx.name_scopes": "['', 'block', 'block.act', 'relu']",
        "pkg.torch.onnx.class_hierarchy": "['my.Net', 'my.Block', 'torch.nn.ReLU', 'aten.relu.default']",
    }.items():
        node.metadata_props.add(key=key, value=value)
    ends = [helper.make_tensor_value_info(name, FLOAT, [1]) for name in "xy"]
    onnx.save(helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:])), tmp_path / "m.onnx")
    names = [node.name for node in read_onnx_graph(tmp_path / "m.onnx").nodes]
    assert names == ["input/x", "Net/block (Block)/act (ReLU)/Relu", "output/y"]


def test_both_branches_of_an_onnx_condition_are_drawn(tmp_path):
    """The operations of a branch are in a scope beside the condition, which reads their results."""
    y = helper.make_tensor_value_info("y", FLOAT, [1])
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(op, ["x"], [name], name=op)],
            name,
            [],
            [helper.make_tensor_value_info(name, FLOAT, [1])],
        )
        for name, op in (("then", "Relu"), ("else", "Neg"))
    }
    node = helper.make_node("If", ["c"], ["y"], name="choose", **branches)
    inputs = [
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        helper.make_tensor_value_info("x", FLOAT, [1]),
    ]
    onnx.save(helper.make_model(helper.make_graph([node], "g", inputs, [y])), tmp_path / "if.onnx")
    edges = {node.name: node.inputs for node in read_onnx_graph(tmp_path / "if.onnx").nodes}
    assert edges["choose"] == ["input/c", "choose_body/Neg", "choose_body/Relu"]
    assert edges["choose_body/Relu"] == ["input/x"]


def test_add_onnx_graph_writes_it_without_a_word(onnx_file, tmp_path, capsys):
    """The call logs the graph and prints nothing."""
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_onnx_graph(onnx_file)
    (event,) = run_events(tmp_path / "run")
    assert len(GraphDef.FromString(event.graph_def).node) == 5
    assert capsys.readouterr().out == ""


def test_without_onnx_the_extra_is_named(onnx_file, monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        MissingDependencyError, match=r"add_onnx_graph needs the package 'onnx'.*tblog\[onnx\]"
    ):
        read_onnx_graph(onnx_file)


def port(number, precision, *dims):
    """Return the XML of an output port."""
    sizes = "".join(f"<dim>{dim}</dim>" for dim in dims)
    return f'<output><port id="{number}" precision="{precision}">{sizes}</port></output>'


OPENVINO = f"""<?xml version="1.0"?>
<net name="small" version="11"><layers>
<layer id="0" name="x" type="Parameter"><data shape="1,3" element_type="f32"/>{port(0, "FP32", 1, 3)}</layer>
<layer id="1" name="net/fc/weight" type="Const"><data size="24"/>{port(0, "FP32", 3, 2)}</layer>
<layer id="2" name="net/fc/MatMul" type="MatMul"><data transpose_b="false"/>{port(2, "FP32", 1, 2)}</layer>
<layer id="3" name="net/add" type="Add">{port(2, "FP32", 1, 2)}</layer>
<layer id="4" name="y" type="Result"></layer>
</layers><edges>
<edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>
<edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
<edge from-layer="2" from-port="2" to-layer="3" to-port="0"/>
<edge from-layer="2" from-port="2" to-layer="3" to-port="1"/>
<edge from-layer="3" from-port="2" to-layer="4" to-port="0"/>
</edges></net>"""


def test_an_openvino_model_becomes_a_graph(tmp_path):
    """Each layer is one node, however many edges it has, and weights are attributes."""
    (tmp_path / "small.xml").write_text(OPENVINO)
    assert lines(read_openvino_graph(tmp_path / "small.xml")) == [
        "input/x = input() -> (float32 [1, 3]) shape=1,3 element_type=f32",
        "net/fc/MatMul = MatMul(input/x) -> (float32 [1, 2]) transpose_b=false weight=float32 [3, 2]",
        "net/add = Add(net/fc/MatMul, net/fc/MatMul) -> (float32 [1, 2])",
        "output/y = output(net/add) -> (float32 [1, 2])",
    ]


def test_add_openvino_graph_writes_it(tmp_path):
    """The call logs the graph."""
    (tmp_path / "small.xml").write_text(OPENVINO)
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_openvino_graph(str(tmp_path / "small.xml"))
    (event,) = run_events(tmp_path / "run")
    assert len(GraphDef.FromString(event.graph_def).node) == 4


@pytest.mark.parametrize("content", ["no XML", "<net><layers/></net>"])
def test_what_is_no_openvino_model_is_refused(tmp_path, content):
    """The error names the file and says what to give."""
    (tmp_path / "bad.xml").write_text(content)
    with pytest.raises(InvalidValueError, match=r"bad\.xml is not an OpenVINO model: .*; give the XML file"):
        read_openvino_graph(tmp_path / "bad.xml")
