"""What a value of a TorchScript graph stands for in the picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

from tblog.graph._node import Node, TensorType

UNKNOWN: Any = object()


@dataclass
class Value:
    """A value; of these fields, those that hold are set.

    Attributes:
        edges: where it comes from.
        type: what it is, as a tensor.
        module, path: the module that it is, and where that is.
        state: the path of the parameter or buffer that it is.
        is_constant: whether it is a tensor that the program holds.
        known: the Python value that it is.
        items, keys: what it is made of: a list or tuple, or the values of a dict.
        node: the operation that made it, alone.
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
        """Return the values that it is made of, or itself."""
        return [self] if self.items is None else [one for item in self.items for one in item.flat()]

    def python(self) -> Any:
        """Return the Python value that it is, if that is known."""
        if self.items is None:
            return self.known
        items = [item.python() for item in self.items]
        return UNKNOWN if UNKNOWN in items or self.keys is not None else items

    def item(self, key: Any) -> Value | None:
        """Return one of `items`, if it is known which."""
        if self.items is None or key is UNKNOWN:
            return None
        if self.keys is not None:
            return self.items[self.keys.index(key)] if key in self.keys else None
        return self.items[key] if -len(self.items) <= key < len(self.items) else None


def script_type(slot: Any) -> TensorType:
    """Return what TorchScript knows of a value: the shape where it was traced."""
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
    """Say whether a value is a tensor or holds tensors."""
    return "Tensor" in str(slot.type())


def argument_names(node: Any) -> list[str]:
    """Return the names of an operation's arguments."""
    return _argument_names(node.schema())


@lru_cache(maxsize=1024)
def _argument_names(schema: str) -> list[str]:
    if schema == "(no schema)":
        return []
    return [argument.name for argument in torch._C.parse_schema(schema).arguments]  # noqa: SLF001 - the only parser
