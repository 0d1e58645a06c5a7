"""The model is lent: while a graph is read it may be dressed up, and afterwards it is as it was.

Lives here: what is put aside and put back (modes, attributes, buffers, hooks, gradients, random
states), also when reading fails. Runs on the caller's thread.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import torch
from torch import nn

from tblog.graph._wrappers import unwrapped

_OBSERVERS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
_CONTAINERS = (dict, list, set, deque, OrderedDict, defaultdict)


@contextmanager
def lent(model: nn.Module, *, runs: bool, watched: bool) -> Iterator[None]:
    """Put the model into eval mode and take wrappers off, and leave it exactly as it was.

    Args:
        model: any module.
        runs: whether its operations will be carried out on its own tensors. What they change in
            place is then put back too, which takes a copy of the buffers.
        watched: whether forward hooks run. Tracers would hand them placeholders to keep.
    """
    with ExitStack() as stack:
        stack.enter_context(random_states_kept())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_unfused_attention())
        for module in model.modules():
            stack.callback(_remembered(module))
        # The exporter stands in for parameters and buffers, and writes into all else.
        stack.callback(_remembered_values(_written(model, buffers=runs)))
        if runs:
            stack.enter_context(_eager())
            stack.callback(_remembered_gradients(model))
        for module in model.modules():
            _undress(module, watched=watched)
        for module in model.modules():
            # The flag itself: `train(False)` is overridden in the wild, by methods that merge weights.
            module.training = False
        yield


def _undress(module: nn.Module, *, watched: bool) -> None:
    """Take off what keeps a tracer from seeing the operations; `_remembered` puts it back on."""
    if isinstance(module, torch.jit.ScriptModule):
        return
    attributes = vars(module)
    attributes["_compiled_call_impl"] = None
    if not watched:
        attributes.update({name: OrderedDict() for name in _OBSERVERS if name in attributes})
    children = attributes["_modules"]
    for name, child in children.items():
        children[name] = child if child is None else unwrapped(child)


def _remembered(module: nn.Module) -> Callable[[], None]:
    """Return a function that puts the attributes of a module back, and what containers hold."""
    if isinstance(module, torch.jit.ScriptModule):
        training = module.training
        return lambda: setattr(module, "training", training)
    kind = type(module)
    attributes = dict(vars(module))
    contents: list[tuple[Any, Any]] = []
    for value in attributes.values():
        _collect(value, contents, set())

    def put_back() -> None:
        if type(module) is not kind:
            module.__class__ = kind
        for container, content in contents:
            if not _same(container, content):
                _refill(container, content)
        current = vars(module)
        for name in [name for name in current if name not in attributes]:
            del current[name]
        current.update(attributes)

    return put_back


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
    container.clear()
    if isinstance(container, (dict, set)):
        container.update(content)
    else:
        container.extend(content)


def _remembered_values(tensors: list[torch.Tensor]) -> Callable[[], None]:
    """Return a function that puts back what a run wrote into tensors, and their counts of writes."""
    with torch.no_grad():
        copies = [(tensor, tensor.detach().clone()) for tensor in tensors]
    versions = [tensor._version for tensor in tensors]  # noqa: SLF001 - the counter has no other name

    def put_back() -> None:
        with torch.no_grad():
            for tensor, value in copies:
                if not torch.equal(tensor, value):  # not every kernel counts its writes
                    if tensor.shape != value.shape:
                        tensor.resize_(value.shape)
                    tensor.copy_(value)
        with suppress(TypeError):  # an older torch, which takes one tensor: its counts go on
            torch._C._autograd._unsafe_set_version_counter(tuple(tensors), tuple(versions))  # noqa: SLF001

    return put_back


def _remembered_gradients(model: nn.Module) -> Callable[[], None]:
    """Take the gradients off the parameters, and return a function that puts them back."""
    gradients = [(parameter, parameter.grad, parameter.requires_grad) for parameter in model.parameters()]
    for parameter, gradient, _ in gradients:
        if gradient is not None:
            parameter.grad = None

    def put_back() -> None:
        for parameter, gradient, requires_grad in gradients:
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
            if parameter.grad is not gradient:
                parameter.grad = gradient

    return put_back


def _written(model: nn.Module, *, buffers: bool) -> list[torch.Tensor]:
    """Return the tensors that a forward may write to: buffers, and what modules hold beside them."""
    found: dict[int, torch.Tensor] = {}
    for module in model.modules():
        held = [*vars(module).values(), *(module.buffers(recurse=False) if buffers else ())]
        found.update({id(t): t for t in held if type(t) is torch.Tensor and _has_values(t)})
    return list(found.values())


def _has_values(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_inference()


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
    states: list[tuple[Callable[[Any], Any], Any]] = [
        (random.setstate, random.getstate()),
        (torch.set_rng_state, torch.get_rng_state()),
    ]
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        states.append((numpy.random.set_state, numpy.random.get_state()))
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    try:
        yield
    finally:
        for put_back, state in states:
            put_back(state)
