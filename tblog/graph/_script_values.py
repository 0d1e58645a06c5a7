"""The meaning of a value of a TorchScript graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

from tblog.graph._node import Node, TensorType

UNKNOWN: Any = object()


@dataclass
class Value:
    """A value. Only the fields that apply are set.

    Attributes:
        edges: its sources.
        type: its type, if it is a tensor.
        module, path: the module and its path, if it is a module.
        state: the path of the parameter or buffer, if it is one.
        is_constant: whether it is a constant tensor of the program.
        known: its Python value, if known.
        items, keys: the items of a list or tuple, or the values and keys of a dict.
        node: the operation that made it, if it made nothing else.
        of_sizes: whether it is a number computed from shapes.
    """

    edges: list[str] = field(default_factory=list)
    type: TensorType = field(default_factory=TensorType)
    module: Any = None
    path: str = ""
    state: str = ""
    is_constant: bool = False
    known: Any = UNKNOWN
    items: list[Value] | None = None
    keys: list[Any] | None = None
    node: Node | None = None
    of_sizes: bool = False

    def flat(self) -> list[Value]:
        """Return its items, nested ones included, or itself."""
        return [self] if self.items is None else [one for item in self.items for one in item.flat()]

    def python(self) -> Any:
        """Return its Python value, if known."""
        if self.items is None:
            return self.known
        items = [item.python() for item in self.items]
        return UNKNOWN if UNKNOWN in items or self.keys is not None else items

    def item(self, key: Any) -> Value | None:
        """Return one of `items`, if the key is known."""
        if self.items is None or key is UNKNOWN:
            return None
        if self.keys is not None:
            return self.items[self.keys.index(key)] if key in self.keys else None
        return self.items[key] if -len(self.items) <= key < len(self.items) else None


def script_type(slot: Any) -> TensorType:
    """Return the type of a value in TorchScript, with the shape if it was traced."""
    type_ = slot.type()
    if type_.kind() != "TensorType":
        return TensorType()
    sizes, dtype, device = type_.sizes(), type_.dtype(), type_.device()
    return TensorType(
        "" if dtype is None else str(dtype).removeprefix("torch."),
        None if sizes is None else tuple(-1 if size is None else size for size in sizes),
        "" if device is None else str(device),
    )


def makes_tensor(slot: Any) -> bool:
    """Return whether a value is a tensor or contains tensors."""
    return "Tensor" in str(slot.type())


def argument_names(node: Any) -> list[str]:
    """Return the names of an operation's arguments."""
    return _argument_names(node.schema())


@lru_cache(maxsize=1024)
def _argument_names(schema: str) -> list[str]:
    if schema == "(no schema)":
        return []
    return [argument.name for argument in torch._C.parse_schema(schema).arguments]  # noqa: SLF001 - the only parser
