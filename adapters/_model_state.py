"""A model that is, after a block of code, exactly as it was before it.

Runs on the caller's thread. Nothing here waits for a device.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog.adapters._layers import require_module
from tblog.errors import InvalidValueError

if TYPE_CHECKING:
    import torch
    from torch import nn

_HOOK_TABLES = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


@contextmanager
def model_state_kept(
    model: nn.Module, *, training: bool | None = None, freeze: bool = False
) -> Iterator[None]:
    """Run a block of code and put the model back as it was, also when the block raises.

    Put back are the mode of each module, the `.grad` of each parameter (the same tensors, with the
    same values: the block starts with all of them None), the flags `requires_grad`, the buffers (the
    block works on copies, so that the statistics of batch normalization stay), the hooks, and the
    random state of Python, numpy, torch on the CPU and, where it is in use, CUDA. The grad mode and
    autocast are the block's own affair: use torch's context managers in it.

    Args:
        model: the model.
        training: the mode that the block wants for all modules; None leaves it.
        freeze: let no parameter require a gradient in the block. Then a backward pass to the input
            or to activations costs no gradients of weights, and does not set off hooks that step an
            optimizer or synchronize processes when a parameter's gradient arrives.

    Raises:
        InvalidValueError: the model has lazy modules that never ran (running them would change it).
    """
    require_initialized(model)
    with ExitStack() as stack:
        stack.enter_context(random_state_kept())
        stack.enter_context(_hooks_kept(model))
        stack.enter_context(_modes_kept(model))
        stack.enter_context(_gradients_kept(model))
        stack.enter_context(_buffers_kept(model))
        if training is not None:
            model.train(training)
        if freeze:
            for parameter in model.parameters():
                parameter.requires_grad = False
        yield


def require_initialized(model: nn.Module) -> None:
    """Raise if a parameter or buffer has no shape yet.

    Raises:
        InvalidValueError: the model has lazy modules that never ran.
        InvalidTypeError: it is no model.
    """
    require_module(model)
    from torch.nn.parameter import is_lazy

    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise InvalidValueError(
                f"{type(model).__name__} has lazy modules that never ran: {name!r} has no shape yet; "
                "run the model once before using an adapter on it"
            )


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Put the random state back: of Python, numpy, torch on the CPU and, where it is in use, CUDA."""
    import torch

    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if in_use else ()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (the state that others use)
    with torch.random.fork_rng(devices, device_type="cuda"):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002  (as above)


@contextmanager
def _hooks_kept(model: nn.Module) -> Iterator[None]:
    tables = [getattr(module, name) for module in model.modules() for name in _HOOK_TABLES]
    before = [dict(table) for table in tables]
    try:
        yield
    finally:
        for table, entries in zip(tables, before, strict=True):
            if table.keys() != entries.keys():
                table.clear()
                table.update(entries)


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training  # not train(), which a module may override (frozen batch norms)


@contextmanager
def _gradients_kept(model: nn.Module) -> Iterator[None]:
    before = [(parameter, parameter.grad, parameter.requires_grad) for parameter in model.parameters()]
    for parameter, _, _ in before:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient, requires_grad in before:
            parameter.requires_grad = requires_grad
            parameter.grad = gradient


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    # Copies take the places of the buffers, so that the originals are never written to: a graph that
    # waits for its backward pass finds them unchanged, version counters included.
    before = [(module._buffers, dict(module._buffers)) for module in model.modules()]  # noqa: SLF001  (no public setter)
    copies: dict[int, Any] = {}
    for table, entries in before:
        for name, buffer in entries.items():
            if buffer is not None:
                table[name] = copies.setdefault(id(buffer), _copy(buffer))
    try:
        yield
    finally:
        for table, entries in before:
            if list(table.keys()) != list(entries):
                table.clear()
                table.update(entries)
            for name, buffer in entries.items():  # one by one, which TorchScript's tables allow too
                table[name] = buffer


def _copy(buffer: torch.Tensor) -> torch.Tensor:
    return buffer.detach().clone()
