"""The graph of an ONNX file. The reader reads the shapes of weights, but not their values."""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tblog.errors import MissingDependencyError
from tblog.graph._graph import Graph
from tblog.graph._node import Attribute, Node, TensorType
from tblog.graph._scopes import Names, safe_name

# The metadata in which torch's exporter notes the modules of an operation.
# https://github.com/pytorch/pytorch/blob/v2.5.0/torch/onnx/_internal/exporter/_core.py
_SCOPES = "pkg.torch.onnx.name_scopes"
_CLASSES = "pkg.torch.onnx.class_hierarchy"

_DTYPES = {"float": "float32", "double": "float64"}


def read_onnx_graph(path: str | os.PathLike[str]) -> Graph:
    """Read the graph of an ONNX file.

    Args:
        path: the path of the file. Files with external weights may be missing.

    Returns:
        Plain data. Its `SerializeToString` returns the GraphDef.

    Raises:
        MissingDependencyError: onnx is not installed.
        OSError: the file cannot be read.

    Example:
        >>> import onnx
        >>> from onnx import TensorProto, helper
        >>> from tblog.graph import read_onnx_graph
        >>> x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
        >>> nodes = [helper.make_node("Relu", ["x"], ["y"], name="relu")]
        >>> onnx.save(helper.make_model(helper.make_graph(nodes, "net", [x], [y])), "net.onnx")
        >>> [node.op for node in read_onnx_graph("net.onnx").nodes]
        ['input', 'Relu', 'output']
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingDependencyError("onnx", "onnx", "add_onnx_graph") from error
    model = onnx.load(Path(path), load_external_data=False)
    with contextlib.suppress(Exception):  # the shapes in the file have to do
        model = onnx.shape_inference.infer_shapes(model)
    return _Reader().read(model.graph)


class _Reader:
    """Reads one file."""

    def __init__(self) -> None:
        self._names = Names()
        self._nodes: list[Node] = []
        self._edges: dict[str, str] = {}
        self._types: dict[str, TensorType] = {}
        self._constants: dict[str, TensorType] = {}

    def read(self, graph: Any) -> Graph:
        """Return the graph."""
        self._learn(graph)
        for value in graph.input:
            if value.name not in self._constants:
                self._add(f"input/{_path(value.name)}", "input", outputs=[value.name])
        self._operations(graph, prefix="")
        for value in graph.output:
            node = self._add(f"output/{_path(value.name)}", "output", inputs=[value.name])
            node.outputs = [self._types.get(value.name, TensorType())]
        return Graph(self._nodes, "onnx")

    def _learn(self, graph: Any) -> None:
        """Note the types of values and the names of weights."""
        for value in (*graph.input, *graph.value_info, *graph.output):
            self._types[value.name] = _value_type(value.type.tensor_type)
        for weight in graph.initializer:
            self._constants[weight.name] = TensorType(_dtype(weight.data_type), tuple(weight.dims))

    def _operations(self, graph: Any, prefix: str) -> None:
        for node in graph.node:
            if node.op_type == "Constant":
                self._constants[node.output[0]] = self._types.get(node.output[0], TensorType())
                continue
            bodies = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
            name = prefix + _node_name(node)
            results = [edge for body in bodies for edge in self._body(body, f"{name}_body/")]
            made = self._add(name, node.op_type, inputs=node.input, outputs=node.output)
            made.inputs.extend(results)
            made.attributes.update(_options(node))

    def _body(self, graph: Any, prefix: str) -> list[str]:
        """Draw the subgraph of an operation, a branch or a loop body, and return the edges of its results."""
        self._learn(graph)
        self._operations(graph, prefix)
        return [self._edges[value.name] for value in graph.output if value.name in self._edges]

    def _add(self, name: str, op: str, *, inputs: Iterable[str] = (), outputs: Iterable[str] = ()) -> Node:
        node = Node(self._names.unique(name), op)
        for key in inputs:
            if key in self._edges:
                node.inputs.append(self._edges[key])
            elif key in self._constants:
                node.attributes[key.rpartition("/")[2]] = str(self._constants[key])
        for index, key in enumerate(outputs):
            self._edges[key] = f"{node.name}:{index}" if index else node.name
            node.outputs.append(self._types.get(key, TensorType()))
        self._nodes.append(node)
        return node


def _node_name(node: Any) -> str:
    """Return a node's name within the scopes of its modules, as far as the file names them."""
    notes = {entry.key: entry.value for entry in node.metadata_props}
    scopes = _module_scopes(notes)
    if scopes:
        return "/".join([*scopes, safe_name(node.op_type)])
    return _path(node.name or f"{node.op_type}_{node.output[0]}")


def _module_scopes(notes: Mapping[str, str]) -> list[str]:
    try:
        paths = ast.literal_eval(notes[_SCOPES])[:-1]  # the last is the operation
        classes = ast.literal_eval(notes[_CLASSES])[:-1]
        scopes, outer = [], ""
        for path, kind in zip(paths, classes, strict=True):
            own = path.removeprefix(f"{outer}.") if outer else path
            name = safe_name(kind.rpartition(".")[2])
            scopes.append(f"{safe_name(own)} ({name})" if own else name)
            outer = path
    except (KeyError, ValueError, SyntaxError, TypeError, AttributeError):
        return []
    return scopes


def _path(name: str) -> str:
    """Return a name from the file as a name for the viewer. It may contain scopes already."""
    return "/".join(safe_name(part) for part in name.split("/") if part) or "_"


def _value_type(type_: Any) -> TensorType:
    if not type_.elem_type:
        return TensorType()
    shape = None
    if type_.HasField("shape"):
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in type_.shape.dim)
    return TensorType(_dtype(type_.elem_type), shape)


def _dtype(number: int) -> str:
    from onnx import TensorProto

    name: str = TensorProto.DataType.Name(number).lower()
    return _DTYPES.get(name, name)


def _options(node: Any) -> dict[str, Attribute]:
    from onnx import helper

    return {
        attribute.name: _option(helper.get_attribute_value(attribute))
        for attribute in node.attribute
        if not attribute.HasField("g") and not attribute.HasField("t")
    }


def _option(value: Any) -> Attribute:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, (bool, int, float)) else str(list(value))
