"""Graphs of models as nodes and edges.

https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/compat/proto/graph.proto
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tblog._wire import parsing as wire
from tblog._wire.events import META_GRAPH_DEF
from tblog.reading._items import Item


@dataclass
class Node:
    """One operation: `inputs` are names of nodes, `attributes` its details by name.

    Example:
        >>> import tblog
        >>> import torch
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_graph(torch.nn.Linear(3, 2), torch.ones(1, 3))
        >>> (linear,) = [node for node in tblog.read("runs")["seed1"].graph.nodes if node.op == "aten::linear"]
        >>> linear.name, linear.inputs, linear.attributes["weight"]
        ('Linear/linear', ['input/input'], 'float32 [2, 3]')
    """

    name: str
    op: str
    device: str
    inputs: list[str]
    attributes: dict[str, Any]


@dataclass
class Graph:
    """The nodes of a model's graph, in the file's order.

    Example:
        >>> import tblog
        >>> import torch
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_graph(torch.nn.Linear(3, 2), torch.ones(1, 3))
        >>> graph = tblog.read("runs")["seed1"].graph
        >>> graph
        <Graph: 3 nodes, 2 edges>
        >>> graph.edges
        [('input/input', 'Linear/linear'), ('Linear/linear', 'output/output')]
    """

    nodes: list[Node]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """(from, to) for each input of each node, by names."""
        return [(name, node.name) for node in self.nodes for name in node.inputs]

    def __repr__(self) -> str:
        return f"<Graph: {len(self.nodes)} nodes, {len(self.edges)} edges>"


class LoggedGraph(Item):
    """A graph as an event of a run."""

    @property
    def graph(self) -> Graph:
        """The graph, decoded."""
        return self._decoded(_graph)


def _graph(form: int, content: bytes) -> Graph:
    if form == META_GRAPH_DEF:
        content = wire.message(content, 2) or b""
    return Graph([_node(raw) for raw in wire.messages(content, 1)])


def _node(raw: bytes) -> Node:
    texts = {1: "", 2: "", 4: ""}
    inputs, attributes = [], {}
    for field in wire.fields(raw):
        if field.wire != wire.BYTES:
            continue
        content = raw[field.start : field.end]
        if field.key in texts:
            texts[field.key] = wire.text(content)
        elif field.key == 3:
            inputs.append(_node_of(wire.text(content)))
        elif field.key == 5:
            name = wire.text(wire.message(content, 1) or b"")
            attributes[name] = _attribute(wire.message(content, 2) or b"")
    return Node(texts[1], texts[2], texts[4], inputs, attributes)


def _node_of(given: str) -> str:
    """Return the node that an input comes from: "name:1" is its second output, "^name" a control dependency."""
    name, colon, output = given.removeprefix("^").rpartition(":")
    return name if colon and output.isdigit() else given.removeprefix("^")


def _attribute(raw: bytes) -> Any:
    """Return an attribute: a text, number, bool, dtype's number or shape; otherwise the bytes of its AttrValue."""
    for field in wire.fields(raw):
        content = raw[field.start : field.end]
        if field.key == 2 and field.wire == wire.BYTES:
            return wire.text(content)
        if field.key in {3, 6} and field.wire == wire.VARINT:
            return wire.signed(field.number)
        if field.key == 4 and field.wire == wire.FIXED32:
            return wire.single(raw, field.start)
        if field.key == 5 and field.wire == wire.VARINT:
            return bool(field.number)
        if field.key == 7 and field.wire == wire.BYTES:
            return [_size(dim) for dim in wire.messages(content, 2)]
    return raw


def _size(dim: bytes) -> int:
    return next((wire.signed(f.number) for f in wire.fields(dim) if f.key == 1 and f.wire == wire.VARINT), 0)
