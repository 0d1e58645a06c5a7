"""A graph as plain data: what readers make on the caller's thread and the worker encodes.

Lives here: the nodes, their types, and the text that `verbose=True` prints. Must not: hold a
tensor or a module (the graph outlives the call), import torch or tensorboardX when loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Attribute: TypeAlias = "str | int | float | bool"


@dataclass(frozen=True, slots=True)
class TensorType:
    """What flows along an edge. A `shape` of None is unknown, and so is a size of -1 in it."""

    dtype: str = ""
    shape: tuple[int, ...] | None = None
    device: str = ""

    def __str__(self) -> str:
        shape = "[?]" if self.shape is None else str(list(self.shape))
        return f"{self.dtype or 'tensor'} {shape}"


@dataclass(slots=True)
class Node:
    """One operation, input or output.

    `name` is its place in the viewer, scopes divided by "/". Each of `inputs` names a node, with
    ":1" after it if the edge begins at that node's second output, and so on.
    """

    name: str
    op: str
    inputs: list[str] = field(default_factory=list)
    outputs: list[TensorType] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)

    def __str__(self) -> str:
        outputs = ", ".join(map(str, self.outputs))
        attributes = "".join(f" {key}={value}" for key, value in self.attributes.items())
        return f"{self.name} = {self.op}({', '.join(self.inputs)}) -> ({outputs}){attributes}"


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
        from tblog.graph._encode import encode

        return encode(self)

    def __str__(self) -> str:
        return "\n".join([f"graph (read by {self.source}, {len(self.nodes)} nodes):", *map(str, self.nodes)])
