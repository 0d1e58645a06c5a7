"""The configurations of frameworks -> the flat hyperparameters of a run. Caller's side, once a run."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from tblog._values.arguments import plain_hparam
from tblog.errors import InvalidValueError

Hparam = bool | int | float | str


def flat_hparams(config: Any) -> dict[str, Hparam]:
    """Return a configuration as hyperparameters, nested names joined by `/`.

    Args:
        config: a mapping, an `argparse.Namespace` or a dataclass. They and lists of them may be nested to any depth.

    Returns:
        Bools, numbers and texts by name. An array or tensor of one element becomes a number, a class or function its
        name, and anything else its `str()`. None and circular references are left out.
    """
    found: dict[str, Hparam] = {}
    _collect("", config, found, ())
    return found


def _collect(name: str, value: Any, found: dict[str, Hparam], above: tuple[int, ...]) -> None:
    inner = _inner(value)
    if inner is not None:
        if id(value) not in above:
            for key, each in inner.items():
                _collect(f"{name}/{key}" if name else str(key), each, found, (*above, id(value)))
    elif value is not None:
        found[name] = _plain(name, value)


def _inner(value: Any) -> Mapping[Any, Any] | None:
    """Return the content of a nested configuration by name, or None for a plain value."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Namespace):
        return vars(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, (list, tuple)) and value and all(_inner(each) is not None for each in value):
        return dict(enumerate(value))
    return None


def _plain(name: str, value: Any) -> Hparam:
    try:
        plain = plain_hparam(name, value)
    except InvalidValueError:
        plain = None
    if plain is None or (isinstance(plain, int) and abs(plain) > sys.float_info.max):
        return str(getattr(value, "__name__", value))
    return plain
