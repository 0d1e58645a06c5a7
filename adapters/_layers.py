"""Find the layers of a model that a user names by dotted path, pattern, type or module.

Runs on the caller's thread. It need not import torch, because the model's package has done so.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from tblog.errors import InvalidTypeError, InvalidValueError, shortened

if TYPE_CHECKING:
    from torch import nn

LayerSpec: TypeAlias = "str | re.Pattern[str] | type[nn.Module] | nn.Module"
Kind = TypeVar("Kind", bound="nn.Module")
Layers: TypeAlias = "LayerSpec | Sequence[LayerSpec]"


def require_module(model: object) -> None:
    """Raise if `model` is not a module (but its parameters, for example).

    Raises:
        InvalidTypeError: it is not a `torch.nn.Module`.
    """
    if not hasattr(model, "named_modules"):
        raise InvalidTypeError(
            f"The model was {shortened(model)} of type {type(model).__name__}; give the torch.nn.Module itself"
        )


@overload
def find_layers(model: nn.Module, layers: Layers) -> dict[str, nn.Module]: ...
@overload
def find_layers(model: nn.Module, layers: Layers, kind: type[Kind] | None) -> dict[str, Kind]: ...
def find_layers(model: nn.Module, layers: Layers, kind: type[Any] | None = None) -> dict[str, Any]:
    """Return the layers that match, by dotted path, in the order given, each once.

    Args:
        model: the model that contains them.
        layers: one of the following, or a sequence of them.
            A string is a dotted path from `model.named_modules()` ("layer1.0.conv1"; "" is
            the model), or a pattern: `*` matches anything within one part of a path, `**` any
            number of parts, `?` and `[...]` one character ("layer?.*.conv1", "**.conv2").
            A compiled regular expression is searched for in each path.
            A type matches all modules of that type, in the model's order. A module matches itself.
        kind: return only modules of this type. Each of `layers` must match at least one.

    Raises:
        InvalidValueError: nothing in the model matches. The message lists the nearest names.
        InvalidTypeError: a layer has another type, or `model` is not a module.
    """
    require_module(model)
    specs = list(layers) if isinstance(layers, Iterable) and not _is_one(layers) else [layers]
    if not specs:
        raise InvalidValueError("layers was an empty sequence; name at least one layer of the model")
    paths = dict(model.named_modules(remove_duplicate=False))
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()
    for spec in specs:
        for path in _of_kind(paths, spec, _matches(model, paths, spec), kind):
            if id(paths[path]) not in seen:
                seen.add(id(paths[path]))
                found[path] = paths[path]
    return found


def find_layer(model: nn.Module, layer: LayerSpec) -> tuple[str, nn.Module]:
    """Return the path and the module of exactly one layer.

    Raises:
        InvalidValueError: no layer matches, or several layers do.
    """
    found = find_layers(model, layer)
    if len(found) > 1:
        raise InvalidValueError(
            f"layer was {shortened(layer)}, which matches {len(found)} layers: {listed(found)}; give the path of one"
        )
    return next(iter(found.items()))


def display_name(model: nn.Module, path: str) -> str:
    """Return the path, or the class name for the model itself, which has an empty path."""
    return path or type(model).__name__


def require_ran(model: nn.Module, wanted: Iterable[str], ran: Iterable[str]) -> None:
    """Raise if a chosen layer did not run.

    Raises:
        InvalidValueError: some of the `wanted` paths are not among those that `ran`.
    """
    have = set(ran)
    missing = [display_name(model, path) for path in wanted if path not in have]
    if missing:
        raise InvalidValueError(
            f"The forward pass did not run {listed(missing)}; run the model first, and choose layers "
            "that its forward() calls as modules. Models returned by torch.compile and DataParallel run modules "
            "without their hooks: call the original model"
        )


def _is_one(layers: object) -> bool:
    # A Sequential is iterable, but one module.
    return isinstance(layers, (str, re.Pattern, type)) or hasattr(layers, "named_modules")


def _matches(model: nn.Module, paths: dict[str, nn.Module], spec: object) -> list[str]:
    if isinstance(spec, str):
        matches = [spec] if spec in paths else _matching_pattern(paths, spec)
    elif isinstance(spec, re.Pattern):
        matches = [path for path in paths if spec.search(path)]
    elif isinstance(spec, type):
        matches = [path for path, module in paths.items() if isinstance(module, spec)]
    elif hasattr(spec, "named_modules"):
        matches = [path for path, module in paths.items() if module is spec][:1]
    else:
        raise InvalidTypeError(
            f"A layer was {shortened(spec)} of type {type(spec).__name__}; "
            "give a dotted path, a pattern, a compiled regular expression, a module or its type"
        )
    if not matches:
        raise InvalidValueError(_not_found(model, paths, spec))
    return matches


def _of_kind(
    paths: dict[str, nn.Module], spec: object, matches: list[str], kind: type[nn.Module] | None
) -> list[str]:
    kept = [path for path in matches if kind is None or isinstance(paths[path], kind)]
    if kind is not None and not kept:
        given = sorted({type(paths[path]).__name__ for path in matches})
        raise InvalidValueError(
            f"The layer {shortened(spec)} is of type {listed(given)}; give layers of type {kind.__name__.lstrip('_')}"
        )
    return kept


def _matching_pattern(paths: Iterable[str], pattern: str) -> list[str]:
    if not any(letter in pattern for letter in "*?["):
        return []
    wanted = pattern.split(".")
    return [path for path in paths if path and _parts_match(path.split("."), wanted)]


def _parts_match(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_parts_match(parts[skipped:], wanted[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _parts_match(parts[1:], wanted[1:])


def _not_found(model: nn.Module, paths: dict[str, nn.Module], spec: object) -> str:
    name = type(model).__name__
    if isinstance(spec, str):
        return f"{name} has no layer {shortened(spec)}; the nearest are {listed(_nearest(spec, paths))}"
    types = sorted({type(module).__name__ for module in paths.values()})
    if isinstance(spec, type):
        return (
            f"{name} has no layer of type {spec.__name__.lstrip('_')}; its types are {listed(types, most=12)}"
        )
    if isinstance(spec, re.Pattern):
        return f"No layer of {name} matches {spec.pattern!r}; its layers are {listed(filter(None, paths))}"
    return (
        f"The layer, a {type(spec).__name__}, is not part of this {name}; "
        "give one of its own modules, or a path as model.named_modules() lists them"
    )


def _nearest(name: str, paths: Iterable[str]) -> list[str]:
    known = [path for path in paths if path]
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    last = name.rsplit(".", 1)[-1]
    same_end = [path for path in known if path.rsplit(".", 1)[-1] == last]
    return list(dict.fromkeys([*close, *same_end]))[:5] or known


def listed(names: Iterable[str], most: int = 6) -> str:
    names = [name or '"" (the model itself)' for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
