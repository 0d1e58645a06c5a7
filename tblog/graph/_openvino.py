"""The graph of an OpenVINO model, from its XML file. The weights beside it are not read."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from tblog.errors import InvalidValueError
from tblog.graph._graph import Graph
from tblog.graph._node import Node, TensorType
from tblog.graph._scopes import Names, safe_name

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# https://docs.openvino.ai/2024/documentation/openvino-ir-format.html
_KINDS = {"f": "float", "fp": "float", "i": "int", "u": "uint", "bf": "bfloat"}
_OPS = {"Parameter": "input", "Result": "output"}


def read_openvino_graph(path: str | os.PathLike[str]) -> Graph:
    """Read the graph of an OpenVINO model.

    Args:
        path: the path of the XML file.

    Returns:
        Plain data. Its `SerializeToString` returns the GraphDef.

    Raises:
        InvalidValueError: the file is not an OpenVINO model.
        OSError: the file cannot be read.

    Example:
        >>> from tblog.graph import read_openvino_graph
        >>> with open("net.xml", "w") as file:
        ...     _ = file.write(
        ...         '<net name="net"><layers>'
        ...         '<layer id="0" name="x" type="Parameter"><output><port id="0"/></output></layer>'
        ...         '<layer id="1" name="y" type="Result"><input><port id="0"/></input></layer>'
        ...         '</layers><edges>'
        ...         '<edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>'
        ...         '</edges></net>'
        ...     )
        >>> print(read_openvino_graph("net.xml"))
        graph (read by openvino, 2 nodes):
        ...
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - the user's own model, and nothing in it is carried out
    except ET.ParseError as error:
        raise _not_a_model(path, str(error)) from error
    layers = root.findall("layers/layer")
    if not layers:
        raise _not_a_model(path, "it has no layers")
    return _graph(layers, root.findall("edges/edge"))


def _not_a_model(path: object, why: str) -> InvalidValueError:
    return InvalidValueError(
        f"add_openvino_graph: {path} is not an OpenVINO model: {why}; give the XML file beside the .bin file"
    )


def _graph(layers: list[Element], edges: list[Element]) -> Graph:
    names = Names()
    nodes = {layer.attrib["id"]: _node(layer, names) for layer in layers}
    ports = {
        layer.attrib["id"]: [port.attrib["id"] for port in layer.findall("output/port")] for layer in layers
    }
    for edge in sorted(edges, key=lambda edge: int(edge.attrib["to-port"])):
        source, reader = nodes[edge.attrib["from-layer"]], nodes[edge.attrib["to-layer"]]
        if source.op == "Const":
            reader.attributes[source.name.rpartition("/")[2]] = str(source.outputs[0])
            continue
        index = ports[edge.attrib["from-layer"]].index(edge.attrib["from-port"])
        reader.inputs.append(f"{source.name}:{index}" if index else source.name)
        if reader.op == "output":
            reader.outputs = [source.outputs[index]]
    return Graph([node for node in nodes.values() if node.op != "Const"], "openvino")


def _node(layer: Element, names: Names) -> Node:
    op = _OPS.get(layer.attrib["type"], layer.attrib["type"])
    scope = f"{op}/" if op in _OPS.values() else ""
    path = "/".join(safe_name(part) for part in layer.attrib["name"].split("/") if part)
    data = layer.find("data")
    return Node(
        name=names.unique(scope + path),
        op=op,
        outputs=[_type(port) for port in layer.findall("output/port")],
        attributes={} if data is None or op == "Const" else dict(data.attrib),
    )


def _type(port: Element) -> TensorType:
    precision = port.get("precision", "").lower()
    kind = precision.rstrip("0123456789")
    shape = tuple(int(dim.text or -1) for dim in port.findall("dim"))
    return TensorType(_KINDS.get(kind, kind) + precision[len(kind) :], shape)
