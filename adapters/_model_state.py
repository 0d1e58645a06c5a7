"""Restore a model after a block of code to exactly its earlier state.

Each part is restored separately. If one part cannot be, the others still are, and then the error is raised.
Runs on the caller's thread. Nothing here waits for a device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from tblog._side_effects import random_states_kept, take_gradients
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
    """Run a block of code and restore the model afterwards, also if the block raises.

    Restored are

    - the mode of each module;
    - the `.grad` of each parameter: the same tensors with the same values. In the block, all are None;
    - the flags `requires_grad`;
    - the buffers: the block works on copies, so the statistics of batch normalization stay;
    - the hooks;
    - the random state of Python, numpy, torch on the CPU and, if it is in use, CUDA.

    Grad mode and autocast are not handled here: use torch's context managers in the block.

    Args:
        model: the model.
        training: the mode of all modules in the block. None leaves it unchanged.
        freeze: whether no parameter requires a gradient in the block. A backward pass to the input
            or to activations then computes no gradients of weights. It also triggers no hooks that step an
            optimizer or synchronize processes when a parameter's gradient arrives.

    Raises:
        InvalidValueError: the model has lazy modules that never ran. Running them would change the model.
    """
    require_initialized(model)
    with ExitStack() as stack:
        stack.enter_context(random_states_kept())
        _keep_hooks(model, stack)
        _keep_modes(model, stack)
        _keep_buffers(model, stack)
        if freeze:
            _replace_inference_tensors(model, stack)
        take_gradients(model, stack)
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
        InvalidTypeError: it is not a model.
    """
    require_module(model)
    from torch.nn.parameter import is_lazy

    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise InvalidValueError(
                f"{type(model).__name__} has lazy modules that never ran: {name!r} has no shape yet; "
                "run the model once before using an adapter on it"
            )


def _keep_hooks(model: nn.Module, stack: ExitStack) -> None:
    for module in model.modules():
        for name in _HOOK_TABLES:
            table = getattr(module, name)
            stack.callback(_refill, table, dict(table))


def _refill(table: dict[Any, Any], entries: dict[Any, Any]) -> None:
    if table.keys() != entries.keys():
        table.clear()
        table.update(entries)


def _keep_modes(model: nn.Module, stack: ExitStack) -> None:
    for module in model.modules():
        # Not train(), because a module may override it (frozen batch norms).
        stack.callback(setattr, module, "training", module.training)


def _replace_inference_tensors(model: nn.Module, stack: ExitStack) -> None:
    """Replace the parameters of a model made in inference mode by copies, which autograd can save."""
    copies: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False, remove_duplicate=False)):
            if parameter.is_inference():
                stack.callback(setattr, module, name, parameter)
                kind = type(parameter)
                copy = copies.setdefault(id(parameter), kind(_copy(parameter), parameter.requires_grad))
                setattr(
                    module, name, copy
                )  # not in the table of parameters: recurrent layers keep a second list


def _keep_buffers(model: nn.Module, stack: ExitStack) -> None:
    # Copies replace the buffers, so that nothing writes to the originals. A graph that
    # waits for its backward pass finds them unchanged, with their version counters.
    copies: dict[int, Any] = {}
    for module in model.modules():
        table = module._buffers  # noqa: SLF001  (no public setter)
        stack.callback(_put_buffers_back, table, dict(table))
        for name, buffer in table.items():
            if buffer is not None:
                table[name] = copies.setdefault(id(buffer), _copy(buffer))


def _put_buffers_back(table: dict[str, Any], entries: dict[str, Any]) -> None:
    if list(table.keys()) != list(entries):
        table.clear()
        table.update(entries)
    for name, buffer in entries.items():  # one by one, because TorchScript's tables allow nothing else
        table[name] = buffer  # noqa: PERF403  (update() is what they refuse)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone()
