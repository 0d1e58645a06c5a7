"""Encodes a graph as the bytes of a GraphDef that TensorBoard's viewer can read.

Runs on the worker thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tblog.graph._groups import grouped

if TYPE_CHECKING:
    from tblog.graph._node import Attribute, Node, TensorType

# The viewer drops an attribute over 1,024 bytes (LIMIT_ATTR_SIZE of its graph.ts). The message around
# a string or a list takes a few of these bytes.
# https://github.com/tensorflow/tensorboard/blob/1025aa33334858823c488c8a938d6c0a7373b8f2/tensorboard/plugins/graph/tf_graph_common/graph.ts
_MAX_TEXT_BYTES = 1000
_MAX_ATTRIBUTE_BYTES = 1024

# The producer that torch writes. The viewer ignores it.
_PRODUCER = 22

# The viewer draws a node with this operation apart from the others of its scope (outExtractTypes of
# its render.ts). It cannot show attributes of a scope itself.
_SET_ASIDE = "NoOp"

_DTYPES = {
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "float16": "DT_HALF",
    "bfloat16": "DT_BFLOAT16",
    "int8": "DT_INT8",
    "int16": "DT_INT16",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "uint8": "DT_UINT8",
    "uint16": "DT_UINT16",
    "bool": "DT_BOOL",
    "complex64": "DT_COMPLEX64",
    "complex128": "DT_COMPLEX128",
    "qint8": "DT_QINT8",
    "quint8": "DT_QUINT8",
    "qint32": "DT_QINT32",
    "string": "DT_STRING",
}


def encode(nodes: Sequence[Node], scopes: Mapping[str, Mapping[str, Attribute]]) -> bytes:
    """Return the serialised GraphDef of a graph's nodes and of the descriptions of its scopes."""
    from tensorboardX.proto.graph_pb2 import GraphDef

    message = GraphDef()
    message.versions.producer = _PRODUCER
    shown = grouped([*(node.name for node in nodes), *scopes])
    for node in nodes:
        _fill(message.node.add(), node, shown)
    for scope, attributes in scopes.items():
        about = message.node.add(name=f"{shown[scope]}/about", op=_SET_ASIDE)
        _set_attributes(about, attributes)
    encoded: bytes = message.SerializeToString(deterministic=True)
    return encoded


def _fill(message: Any, node: Node, shown: Mapping[str, str]) -> None:
    message.name = shown[node.name]
    message.op = _drawn_whole(node.op)
    message.input.extend(_edge(edge, shown) for edge in node.inputs)
    _set_attributes(message, node.attributes)
    if not node.outputs:
        return
    if node.outputs[0].device:
        message.device = _device(node.outputs[0].device)
    shapes = message.attr["_output_shapes"]
    for output in node.outputs:
        _add_shape(shapes.list.shape.add(), output)
        if shapes.ByteSize() > _MAX_ATTRIBUTE_BYTES:
            del shapes.list.shape[-1]
            break
    if any(output.dtype for output in node.outputs):
        _set_dtypes(message.attr["dtype"], node.outputs)


def _set_attributes(message: Any, attributes: Mapping[str, Attribute]) -> None:
    for key, value in attributes.items():
        _set(message.attr[key.encode(errors="replace").decode()], value)


def _edge(edge: str, shown: Mapping[str, str]) -> str:
    name, colon, output = edge.removeprefix("^").partition(":")
    return ("^" if edge.startswith("^") else "") + shown[name] + colon + output


def _drawn_whole(op: str) -> str:
    """Keep the viewer from drawing an operation like a constant, as a dot beside its reader.

    It draws every `op` that contains "Const" so (inEmbeddingTypes in its graph.ts). Here only
    "Const" itself is a constant, but a module may be called `ConstantPad2d`.
    """
    return op if op == "Const" else op.replace("Const", "const")


def _set(message: Any, value: Attribute) -> None:
    if isinstance(value, bool):
        message.b = value
    elif isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        message.i = value
    elif isinstance(value, float):
        message.f = value
    else:
        message.s = _clipped(str(value))


def _clipped(text: str) -> bytes:
    """Return a text in UTF-8, within the limit, and without quotes, which the viewer would escape."""
    encoded = text.replace("'", "").replace('"', "").encode(errors="replace")
    if len(encoded) <= _MAX_TEXT_BYTES:
        return encoded
    return encoded[: _MAX_TEXT_BYTES - 3].decode(errors="ignore").encode() + b"..."


def _add_shape(message: Any, output: TensorType) -> None:
    if output.shape is None:
        message.unknown_rank = True
    else:
        for size in output.shape:
            message.dim.add(size=size)


def _set_dtypes(message: Any, outputs: Sequence[TensorType]) -> None:
    from tensorboardX.proto.types_pb2 import DataType

    dtypes = list(dict.fromkeys(output.dtype for output in outputs if output.dtype))
    if len(dtypes) == 1 and dtypes[0] in _DTYPES:
        message.type = DataType.Value(_DTYPES[dtypes[0]])
    else:
        message.s = _clipped(", ".join(dtypes))


def _device(device: str) -> str:
    kind, _, index = device.partition(":")
    return f"/device:{kind.upper()}:{index or 0}"
