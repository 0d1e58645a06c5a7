"""Restores the model after its graph was read, which may change it temporarily.

Lives here: saving and restoring modes, attributes, buffers, hooks, gradients and random states, also if reading
fails. Each part is restored separately. If one part cannot be, the others still are. Runs on the caller's
thread.
"""

from __future__ import annotations

import sys
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import torch
from torch import nn

from tblog._side_effects import random_states_kept, take_gradients
from tblog.graph._wrappers import unwrapped

_OBSERVERS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_CONTAINERS = (dict, list, set, deque, OrderedDict, defaultdict)


@contextmanager
def lent(model: nn.Module, *, runs: bool, watched: bool) -> Iterator[None]:
    """Put the model into eval mode and remove wrappers, and afterwards restore it exactly.

    Args:
        model: any module.
        runs: whether its operations run on its own tensors. Their in-place changes are then
            undone, too, which needs a copy of the buffers.
        watched: whether forward hooks run. A tracer would give them placeholders. The hooks of tblog's own
            adapters never run, because they watch only training steps.
    """
    with ExitStack() as stack:
        stack.enter_context(random_states_kept())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_unfused_attention())
        if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers())):
            stack.enter_context(
                torch.inference_mode()
            )  # inference tensors can be changed only in inference mode
        for module in model.modules():
            _remember(module, stack)
        # The exporter replaces parameters and buffers, but writes into everything else.
        _remember_values(_written(model, buffers=runs), stack)
        if runs:
            stack.enter_context(_eager())
            take_gradients(model, stack)
        for module in model.modules():
            _undress(module, watched=watched)
        for module in model.modules():
            # The flag itself: some modules override `train(False)` to merge weights, and some reject
            # the setting of attributes.
            if isinstance(module, torch.jit.ScriptModule):
                module.training = False
            else:
                vars(module)["training"] = False
        yield


def _undress(module: nn.Module, *, watched: bool) -> None:
    """Remove what hides operations from a tracer. `_remember` restores it later."""
    if isinstance(module, torch.jit.ScriptModule):
        return
    attributes = vars(module)
    attributes["_compiled_call_impl"] = None
    if not watched:
        attributes.update({name: OrderedDict() for name in _OBSERVERS if name in attributes})
    for name in _HOOKS:
        own = [key for key, hook in attributes[name].items() if _is_adapters(hook)]
        for key in own:
            del attributes[name][key]
    children = attributes["_modules"]
    for name, child in children.items():
        children[name] = child if child is None else unwrapped(child)


def _is_adapters(hook: Any) -> bool:
    return type(hook).__module__.startswith("tblog.adapters.")


def _remember(module: nn.Module, stack: ExitStack) -> None:
    """Restore the attributes of a module and the contents of containers later."""
    if isinstance(module, torch.jit.ScriptModule):
        stack.callback(setattr, module, "training", module.training)
        return
    attributes = dict(vars(module))
    contents: list[tuple[Any, Any]] = []
    for value in attributes.values():
        _collect(value, contents, set())
    stack.callback(_put_attributes_back, module, attributes)
    for container, content in contents:
        stack.callback(_refill, container, content)
    stack.callback(_put_class_back, module, type(module))


def _put_class_back(module: nn.Module, kind: type[nn.Module]) -> None:
    if type(module) is not kind:
        module.__class__ = kind


def _put_attributes_back(module: nn.Module, attributes: dict[str, Any]) -> None:
    current = vars(module)
    for name in [name for name in current if name not in attributes]:
        del current[name]
    current.update(attributes)


def _collect(value: Any, contents: list[tuple[Any, Any]], seen: set[int]) -> None:
    """Collect the plain containers in `value`, each with a copy."""
    if type(value) not in _CONTAINERS or id(value) in seen:
        return
    seen.add(id(value))
    contents.append((value, value.copy()))
    for child in value.values() if isinstance(value, dict) else value:
        _collect(child, contents, seen)


def _same(container: Any, content: Any) -> bool:
    """Return whether a container holds the identical objects in the same order."""
    if len(container) != len(content):
        return False
    if isinstance(container, set):
        return bool(container == content)
    if isinstance(container, dict):
        return _same([*container, *container.values()], [*content, *content.values()])
    return all(one is other for one, other in zip(container, content, strict=True))


def _refill(container: Any, content: Any) -> None:
    """Restore the identical objects in a container."""
    if _same(container, content):
        return
    container.clear()
    if isinstance(container, (dict, set)):
        container.update(content)
    else:
        container.extend(content)


def _remember_values(tensors: list[torch.Tensor], stack: ExitStack) -> None:
    """Restore the values of tensors after a run, and then their version counters."""
    counted = [tensor for tensor in tensors if not tensor.is_inference()]
    versions = [tensor._version for tensor in counted]  # noqa: SLF001 - the counter has no other name
    stack.callback(_put_versions_back, counted, versions)
    with torch.no_grad():
        for tensor in tensors:
            stack.callback(_put_value_back, tensor, tensor.detach().clone())


def _put_value_back(tensor: torch.Tensor, value: torch.Tensor) -> None:
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        if not torch.equal(tensor, value):  # some kernels do not count their writes
            if tensor.shape != value.shape:
                tensor.resize_(value.shape)
            tensor.copy_(value)


def _put_versions_back(tensors: list[torch.Tensor], versions: list[int]) -> None:
    with suppress(TypeError):  # an older torch accepts only one tensor: its counters stay changed
        torch._C._autograd._unsafe_set_version_counter(tuple(tensors), tuple(versions))  # noqa: SLF001


def _written(model: nn.Module, *, buffers: bool) -> list[torch.Tensor]:
    """Return the tensors that a forward may write to: buffers, and tensors in other attributes."""
    found: dict[int, torch.Tensor] = {}
    for module in model.modules():
        held = [*vars(module).values(), *(module.buffers(recurse=False) if buffers else ())]
        found.update({id(t): t for t in held if type(t) is torch.Tensor and _has_values(t)})
    return list(found.values())


def _has_values(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """Run attention module by module, instead of as one fused operation."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _eager() -> AbstractContextManager[Any]:
    """Run compiled functions uncompiled. The exporter does this itself."""
    compiler_loaded = "torch._dynamo" in sys.modules  # loading it takes a second
    return torch.compiler.set_stance("force_eager") if compiler_loaded else nullcontext()
