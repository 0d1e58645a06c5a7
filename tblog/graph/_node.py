"""The parts of a graph as plain data: nodes, and the types of the tensors on their edges.

Must not: hold a tensor or a module (the graph outlives the call), import torch or tensorboardX.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Attribute: TypeAlias = "str | int | float | bool"


@dataclass(frozen=True, slots=True)
class TensorType:
    """The type of a tensor on an edge. A `shape` of None is unknown, and so is a size of -1.

    Example:
        >>> from tblog.graph import TensorType
        >>> str(TensorType("float32", (-1, 3, 224, 224)))
        'float32 [-1, 3, 224, 224]'
    """

    dtype: str = ""
    shape: tuple[int, ...] | None = None
    device: str = ""

    def __str__(self) -> str:
        shape = "[?]" if self.shape is None else str(list(self.shape))
        return f"{self.dtype or 'tensor'} {shape}"


@dataclass(slots=True)
class Node:
    """One operation, input or output.

    `name` is its place in the viewer, with "/" between scopes. Each of `inputs` names a node. ":1" after the
    name means the second output of that node, and so on.

    Example:
        >>> from tblog.graph import Node
        >>> str(Node("net/add", "aten::add", inputs=["net/split", "net/split:1"]))
        'net/add = aten::add(net/split, net/split:1) -> ()'
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
