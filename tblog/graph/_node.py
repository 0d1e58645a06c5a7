"""What a graph is made of, as plain data: nodes, and the types of what flows between them.

Must not: hold a tensor or a module (the graph outlives the call), import torch or tensorboardX.
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
