"""A graph as plain data: what readers make on the caller's thread and an encoder encodes.

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
        nodes: in the order in which they ran, a node after all that feed it.
        source: the way that was used: "export", "trace", "hooks", "onnx" or "openvino".
        reasons: one line for each way that was tried before and did not work.
        scopes: what there is to say of the module of a scope that holds others, by the scope's name: its
            path, its class, and the numbers of parameters and buffers in it and in all modules that it holds.
    """

    nodes: list[Node]
    source: str
    reasons: list[str] = field(default_factory=list)
    scopes: dict[str, dict[str, Attribute]] = field(default_factory=dict)

    def SerializeToString(self) -> bytes:  # noqa: N802 - what a message of protobuf calls it
        """Return the GraphDef, encoded. Runs on the worker thread."""
        return encode(self.nodes, self.scopes)

    def __str__(self) -> str:
        return "\n".join([f"graph (read by {self.source}, {len(self.nodes)} nodes):", *map(str, self.nodes)])
