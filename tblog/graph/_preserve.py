"""The model is lent: while a graph is read it may be dressed up, and afterwards it is as it was.

Lives here: what is put aside and put back (modes, attributes, buffers, hooks, gradients, random
states), also when reading fails. Each thing is put back on its own: where one cannot be, the others are
all the same. Runs on the caller's thread.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import torch
from torch import nn

from tblog.graph._wrappers import unwrapped

_OBSERVERS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_CONTAINERS = (dict, list, set, deque, OrderedDict, defaultdict)


@contextmanager
def lent(model: nn.Module, *, runs: bool, watched: bool) -> Iterator[None]:
    """Put the model into eval mode and take wrappers off, and leave it exactly as it was.

    Args:
        model: any module.
        runs: whether its operations will be carried out on its own tensors. What they change in
            place is then put back too, which takes a copy of the buffers.
        watched: whether forward hooks run. Tracers would hand them placeholders to keep. Those of tblog's own
            adapters never do: a training step that they watch has no part in this.
    """
    with ExitStack() as stack:
        stack.enter_context(random_states_kept())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_unfused_attention())
        if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers())):
            stack.enter_context(torch.inference_mode())  # what was made so can be changed nowhere else
        for module in model.modules():
            _remember(module, stack)
        # The exporter stands in for parameters and buffers, and writes into all else.
        _remember_values(_written(model, buffers=runs), stack)
        if runs:
            stack.enter_context(_eager())
            _remember_gradients(model, stack)
        for module in model.modules():
            _undress(module, watched=watched)
        for module in model.modules():
            # The flag itself: `train(False)` is overridden in the wild, by methods that merge weights, and so is
            # the setting of attributes, by modules that let nobody change them.
            if isinstance(module, torch.jit.ScriptModule):
                module.training = False
            else:
                vars(module)["training"] = False
        yield


def _undress(module: nn.Module, *, watched: bool) -> None:
    """Take off what keeps a tracer from seeing the operations; `_remember` has it put it back on."""
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
    """Have the attributes of a module put back, and what containers hold."""
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
    """List the plain containers in `value`, each with a copy of itself."""
    if type(value) not in _CONTAINERS or id(value) in seen:
        return
    seen.add(id(value))
    contents.append((value, value.copy()))
    for child in value.values() if isinstance(value, dict) else value:
        _collect(child, contents, seen)


def _same(container: Any, content: Any) -> bool:
    """Say whether a container holds the very same objects in the same order."""
    if len(container) != len(content):
        return False
    if isinstance(container, set):
        return bool(container == content)
    if isinstance(container, dict):
        return _same([*container, *container.values()], [*content, *content.values()])
    return all(one is other for one, other in zip(container, content, strict=True))


def _refill(container: Any, content: Any) -> None:
    """Let a container hold the very same objects again."""
    if _same(container, content):
        return
    container.clear()
    if isinstance(container, (dict, set)):
        container.update(content)
    else:
        container.extend(content)


def _remember_values(tensors: list[torch.Tensor], stack: ExitStack) -> None:
    """Have put back what a run writes into tensors, and then their counts of writes."""
    counted = [tensor for tensor in tensors if not tensor.is_inference()]
    versions = [tensor._version for tensor in counted]  # noqa: SLF001 - the counter has no other name
    stack.callback(_put_versions_back, counted, versions)
    with torch.no_grad():
        for tensor in tensors:
            stack.callback(_put_value_back, tensor, tensor.detach().clone())


def _put_value_back(tensor: torch.Tensor, value: torch.Tensor) -> None:
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        if not torch.equal(tensor, value):  # not every kernel counts its writes
            if tensor.shape != value.shape:
                tensor.resize_(value.shape)
            tensor.copy_(value)


def _put_versions_back(tensors: list[torch.Tensor], versions: list[int]) -> None:
    with suppress(TypeError):  # an older torch, which takes one tensor: its counts go on
        torch._C._autograd._unsafe_set_version_counter(tuple(tensors), tuple(versions))  # noqa: SLF001


def _remember_gradients(model: nn.Module, stack: ExitStack) -> None:
    """Take the gradients off the parameters, and have them and their flags put back."""
    for parameter in model.parameters():
        for name in ("grad", "requires_grad"):
            stack.callback(_put_back, parameter, name, getattr(parameter, name))
        if parameter.grad is not None:
            parameter.grad = None


def _put_back(parameter: nn.Parameter, name: str, value: Any) -> None:
    if getattr(parameter, name) is not value:  # torch refuses some values that are there already
        setattr(parameter, name, value)


def _written(model: nn.Module, *, buffers: bool) -> list[torch.Tensor]:
    """Return the tensors that a forward may write to: buffers, and what modules hold beside them."""
    found: dict[int, torch.Tensor] = {}
    for module in model.modules():
        held = [*vars(module).values(), *(module.buffers(recurse=False) if buffers else ())]
        found.update({id(t): t for t in held if type(t) is torch.Tensor and _has_values(t)})
    return list(found.values())


def _has_values(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """Let attention run as its modules say, not as one operation that stands for all of them."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _eager() -> AbstractContextManager[Any]:
    """Let compiled functions run as they were written. The exporter does that on its own."""
    compiler_loaded = "torch._dynamo" in sys.modules  # loading it takes a second
    return torch.compiler.set_stance("force_eager") if compiler_loaded else nullcontext()


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Put back the random states of Python, numpy and torch."""
    with ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        stack.callback(torch.set_rng_state, torch.get_rng_state())
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            stack.callback(numpy.random.set_state, numpy.random.get_state())
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            stack.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
        yield
