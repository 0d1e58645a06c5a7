"""Removes the wrappers of a model, so that the graph shows the model itself.

Lives here: data-parallel and compiled wrappers, and functions instead of modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tblog.errors import InvalidTypeError, shortened
from tblog.graph._scopes import safe_name


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside DataParallel, DistributedDataParallel and `torch.compile`."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(model, nn.Module) and type(model).__name__ == "OptimizedModule":
            model = model._orig_mod  # type: ignore[assignment]  # noqa: SLF001 - compiled models hold it there
        else:
            return model


def as_module(model: Any) -> nn.Module:
    """Return the module to read: `model` without its wrappers, or a module that calls a function."""
    if isinstance(model, nn.Module):
        return unwrapped(model)
    if type(model).__name__ == "ExportedProgram":  # importing the class takes a second
        module: nn.Module = model.module()
        return module
    if callable(model):
        return _module_of(model)
    raise InvalidTypeError(
        f"the graph of a {type(model).__name__} cannot be read: {shortened(model)}; "
        "give a torch.nn.Module, a scripted function or a function of tensors"
    )


class _Function(nn.Module):
    """A module that calls a function or a method of a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.forward = function
        owner = getattr(function, "__self__", None)
        if isinstance(owner, nn.Module):
            self.owner = owner


def _module_of(function: Callable[..., Any]) -> nn.Module:
    name = safe_name(getattr(function, "__name__", type(function).__name__))
    module: nn.Module = type(name, (_Function,), {})(function)
    return module


def scripted(model: nn.Module) -> Any:
    """Return the scripted module or function behind `model`, or None."""
    inside = vars(model).get("forward") if isinstance(model, _Function) else model
    return inside if isinstance(inside, (torch.jit.ScriptModule, torch.jit.ScriptFunction)) else None
