"""Nested inputs and outputs: where the tensors are in them, and the same structure with others.

Lives here: tuples, lists, named tuples, mappings, dataclasses and objects that hold tensors in
their attributes, nested. Must not: import torch when loaded, keep what it walked.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Structures are opened so deep; plain objects, which may refer to anything, less deep.
_MAX_DEPTH = 16
_MAX_OBJECT_DEPTH = 6
_OPAQUE = (str, bytes, int, float, complex, type(None), type, FunctionType, ModuleType)


def tensors_in(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor in `value`, with its place: names of keys and fields, divided by dots."""
    import torch

    if isinstance(value, torch.Tensor):
        yield name, value
    else:
        for key, child in _children(value, depth):
            yield from tensors_in(child, f"{name}.{key}" if name else str(key), depth + 1)


def replaced(value: Any, replace: Callable[[torch.Tensor], Any], depth: int = 0) -> Any:
    """Return `value` with `replace(tensor)` for each tensor, in the order of `tensors_in`.

    Lists and mappings are copied, since a model may write into them, and so is what holds tensors.
    All keep their types. Other objects are returned themselves.
    """
    import torch

    if isinstance(value, torch.Tensor):
        return replace(value)
    holds_tensors = next(tensors_in(value, depth=depth), None) is not None
    if not holds_tensors and not isinstance(value, (tuple, list, Mapping)):
        return value
    old = dict(_children(value, depth))
    return _remade(value, {key: replaced(child, replace, depth + 1) for key, child in old.items()})


def _is_namedtuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _children(value: Any, depth: int) -> list[tuple[Any, Any]]:
    import torch

    if depth >= _MAX_DEPTH or isinstance(value, (*_OPAQUE, torch.nn.Module)):
        return []
    if _is_namedtuple(value):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, Mapping):
        return list(value.items())
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return [(name, getattr(value, name)) for name in fields if hasattr(value, name)]
    return list(getattr(value, "__dict__", {}).items()) if depth < _MAX_OBJECT_DEPTH else []


def _remade(value: Any, children: dict[Any, Any]) -> Any:
    if _is_namedtuple(value):
        return type(value)(*children.values())
    if isinstance(value, (list, tuple)):
        return type(value)(children.values())
    if isinstance(value, Mapping):
        return _remade_mapping(value, children)
    remade = copy.copy(value)
    for name, child in children.items():
        object.__setattr__(remade, name, child)
    return remade


def _remade_mapping(value: Mapping[Any, Any], children: dict[Any, Any]) -> Any:
    remade: Any = copy.copy(value)
    try:
        for key, child in children.items():
            remade[key] = child
    except TypeError:
        return children  # a mapping that cannot be written to
    return remade
