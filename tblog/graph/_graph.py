"""A graph as plain data: readers make it on the caller's thread, and the worker encodes it.

Lives here: the graph, its bytes, and the text that `verbose=True` prints. Must not: hold a tensor or a module
(the graph outlives the call), import torch or tensorboardX when loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tblog.graph._encode import encode
from tblog.graph._node import Attribute, Node


@dataclass(slots=True)
class Graph:
    """The graph of a model.

    Attributes:
        nodes: the operations in execution order. A node comes after all nodes that feed it.
        source: how the graph was read: "export", "trace", "hooks", "onnx" or "openvino".
        reasons: one line for each way that was tried before and failed.
        scopes: a description of each module that contains others, by the name of its scope: the module's path,
            its class, and the numbers of parameters and buffers in it and in the modules below.

    Example:
        >>> from tblog.graph import Graph, Node, TensorType
        >>> tensor = TensorType("float32", (1, 4))
        >>> print(Graph([Node("x", "input", outputs=[tensor]), Node("y", "relu", ["x"], [tensor])], "export"))
        graph (read by export, 2 nodes):
        x = input() -> (float32 [1, 4])
        y = relu(x) -> (float32 [1, 4])
    """

    nodes: list[Node]
    source: str
    reasons: list[str] = field(default_factory=list)
    scopes: dict[str, dict[str, Attribute]] = field(default_factory=dict)

    def SerializeToString(self) -> bytes:  # noqa: N802 - the name of the method in protobuf
        """Return the encoded GraphDef. Runs on the worker thread."""
        return encode(self.nodes, self.scopes)

    def __str__(self) -> str:
        return "\n".join([f"graph (read by {self.source}, {len(self.nodes)} nodes):", *map(str, self.nodes)])
