"""Nested inputs and outputs: finding the tensors in them, and replacing these.

Lives here: tuples, lists, named tuples, mappings, dataclasses and objects with tensors as
attributes, nested. Must not: import torch when loaded, keep a structure.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch

# The maximum depth of structures. It is smaller for plain objects, which may refer to anything.
_MAX_DEPTH = 16
_MAX_OBJECT_DEPTH = 6
_MAX_ITEMS = 100
_Within: TypeAlias = tuple[int, ...]
_OPAQUE = (str, bytes, int, float, complex, type(None), type, FunctionType, ModuleType)


def tensors_in(value: Any, name: str = "", within: _Within = ()) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor in `value` with its place: the names of keys and fields, separated by dots.

    `within` has the ids of the structures around `value`. A structure that contains itself is opened once.
    """
    import torch

    if isinstance(value, torch.Tensor):
        yield name, value
    elif _opens(value, within):
        for key, child in _children(value, len(within)):
            yield from tensors_in(child, f"{name}.{key}" if name else str(key), (*within, id(value)))


def replaced(value: Any, replace: Callable[[torch.Tensor], Any], within: _Within = ()) -> Any:
    """Return `value` with `replace(tensor)` for each tensor, in the order of `tensors_in`.

    Lists, mappings and structures with tensors are copied, because a model may write into them. They keep their
    types, and a result of `repeatable` becomes an iterator again. Other objects are returned unchanged.
    """
    import torch

    if isinstance(value, torch.Tensor):
        return replace(value)
    holds_tensors = next(tensors_in(value, within=within), None) is not None
    if not _opens(value, within) or not (holds_tensors or isinstance(value, (tuple, list, Mapping))):
        return value
    old = dict(_children(value, len(within)))
    inside = (*within, id(value))
    return _remade(value, {key: replaced(child, replace, inside) for key, child in old.items()})


class _Iterated(list[Any]):
    """The items of an iterator."""


def repeatable(value: Any) -> Any:
    """Return the items of a built-in iterator, which each `replaced` turns into an iterator, or other values unchanged."""
    is_own = isinstance(value, Iterator) and type(value).__module__ in {"builtins", "itertools"}
    return _Iterated(items_of(value)) if is_own else value


def items_of(iterator: Iterator[Any]) -> list[Any]:
    """Return the first items of an iterator, which may be infinite."""
    return list(itertools.islice(iterator, _MAX_ITEMS))


def _opens(value: Any, within: _Within) -> bool:
    return len(within) < _MAX_DEPTH and id(value) not in within


def _is_namedtuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _children(value: Any, depth: int) -> list[tuple[Any, Any]]:
    import torch

    if isinstance(value, (*_OPAQUE, torch.nn.Module)):
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
    return _attributes(value) if depth < _MAX_OBJECT_DEPTH else []


def _attributes(value: Any) -> list[tuple[str, Any]]:
    slots = [getattr(kind, "__slots__", ()) for kind in type(value).__mro__]
    names = [name for some in slots for name in ((some,) if isinstance(some, str) else some)]
    held = [(name, getattr(value, name)) for name in names if name != "__dict__" and hasattr(value, name)]
    return [*getattr(value, "__dict__", {}).items(), *held]


def _remade(value: Any, children: dict[Any, Any]) -> Any:
    if _is_namedtuple(value):
        return type(value)(*children.values())
    if isinstance(value, _Iterated):
        return iter(list(children.values()))
    if isinstance(value, (list, tuple)):
        return type(value)(children.values())
    if isinstance(value, Mapping):
        return _remade_mapping(value, children)
    remade = copy.copy(value)
    for name, child in children.items():
        object.__setattr__(remade, name, child)
    return remade


def _remade_mapping(value: Mapping[Any, Any], children: dict[Any, Any]) -> Any:
    try:
        remade: Any = copy.copy(value)
        for key, child in children.items():
            remade[key] = child
    except TypeError:
        return children  # the mapping can neither be copied nor written to
    return remade
