"""The third way: the model runs normally, and hooks and a function mode record it.

This needs no analysis of the model, so it works for every model that runs. The graph shows what Python
decided in this run.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.overrides import TorchFunctionMode, resolve_name

from tblog.graph._builder import Builder, readable, tensor_type
from tblog.graph._call import Call, drained
from tblog.graph._origins import Origins, version_of
from tblog.graph._preserve import lent
from tblog.graph._scopes import class_name
from tblog.graph._sharded import gathering, gathers, is_fsdp, refuse_lone_run
from tblog.graph._structures import tensors_in

if TYPE_CHECKING:
    from tblog.graph._graph import Graph
    from tblog.graph._node import Attribute
    from tblog.graph._scopes import Scope


def read_by_hooks(call: Call, *, chosen: bool) -> Graph:
    """Return the graph of a call, recorded while it runs.

    Raises:
        GraphError: the model would wait for other processes, and this way was not `chosen`.
    """
    if not chosen:
        refuse_lone_run(call.model)
    inputs = call.inputs
    tensors = call.fresh_tensors()
    args, kwargs = call.arguments(tensors)
    with lent(call.model, runs=True, watched=True), gathering(call.model):
        recorder = Recorder(call.model)
        for (name, _), tensor in zip(inputs, tensors, strict=True):
            recorder.take_input(name, tensor)
        with recorder.watching():
            result = drained(call.model(*args, **kwargs))
        return recorder.finish(result)


class Recorder(TorchFunctionMode):
    """Records each function of torch that is called on tensors, and each call of a module."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._builder = Builder(model, "hooks")
        self._origins = Origins()
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._state = {id(t): path for path, t in [*model.named_parameters(), *model.named_buffers()]}
        self._stack: list[Scope] = [self._builder.scopes.root]
        self._entered_at: list[int] = []
        self._thread = threading.get_ident()
        self._is_gathered = any(map(is_fsdp, model.modules()))

    def take_input(self, name: str, tensor: torch.Tensor) -> None:
        """Add an input of the model."""
        self._origins.made(tensor, self._builder.input(name, tensor_type(tensor)).name)

    def finish(self, result: Any) -> Graph:
        """Add the outputs, and return the graph."""
        for name, tensor in tensors_in(result):
            self._builder.output(name or "output", self._origins.edges([tensor])[:1], tensor_type(tensor))
        return self._builder.finish()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record everything that this thread runs inside the block."""
        enter = module_hooks.register_module_forward_pre_hook(self._enter)
        leave = module_hooks.register_module_forward_hook(self._leave, with_kwargs=True, always_call=True)
        try:
            with self:
                yield
        finally:
            leave.remove()
            # Removing the handle leaves this table behind, and compiled modules would warn of hooks from then on.
            module_hooks._global_forward_hooks_with_kwargs.pop(leave.id, None)  # noqa: SLF001
            enter.remove()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a torch function, and add it if it made or changed a tensor."""
        if self._is_gathered and gathers(sys._getframe(1)):  # noqa: SLF001 - nothing else tells whose hook calls
            return func(*args, **(kwargs or {}))
        given = _arguments(func, args, kwargs or {})
        read = [tensor for _, tensor in tensors_in(given)]
        before = [(tensor, version_of(tensor)) for tensor in read]
        edges = self._origins.edges(read)
        result = func(*args, **(kwargs or {}))
        changed = {id(tensor) for tensor, version in before if version_of(tensor) != version}
        known = {id(tensor) for tensor in read}
        returned = [tensor for _, tensor in tensors_in(result)]
        made = [tensor for tensor in returned if id(tensor) not in known or id(tensor) in changed]
        made += [t for t, _ in before if id(t) in changed and not any(t is one for one in made)]
        if made:
            self._add(f"torch::{_name(func)}", read, edges, made, _options(given))
            for tensor in made:
                if id(tensor) in changed:
                    self._origins.written(tensor)
        return result

    def _add(
        self,
        op: str,
        read: Sequence[torch.Tensor],
        edges: Sequence[str],
        made: Sequence[torch.Tensor],
        options: dict[str, Attribute],
    ) -> None:
        node = self._builder.operation(
            self._stack[-1],
            op,
            inputs=edges,
            outputs=[tensor_type(tensor) for tensor in made],
            attributes=options,
            parameters=[path for tensor in read if (path := self._path_of_state(tensor))],
        )
        for index, tensor in enumerate(made):
            self._origins.made(tensor, f"{node.name}:{index}" if index else node.name)

    def _path_of_state(self, tensor: torch.Tensor) -> str:
        """Return the path of a parameter or buffer, even if its module has replaced it."""
        if id(tensor) in self._state:
            return self._state[id(tensor)]
        path = self._stack[-1].path
        module = self._builder.scopes.module(path)
        names = () if module is None else [n for n, one in module._parameters.items() if one is tensor]  # noqa: SLF001
        return ".".join(filter(None, (path, names[0]))) if names else ""

    def _enter(self, module: nn.Module, _: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        path = self._paths.get(id(module))
        scope = self._stack[-1] if path is None else self._builder.scopes.enter(self._stack, path)
        self._stack.append(scope)
        self._entered_at.append(self._origins.count)

    def _leave(self, module: nn.Module, args: Any, *rest: Any) -> Any:
        """Add a module that made its output in compiled code, or that returned its input.

        After an error, `rest` lacks the keyword arguments.
        """
        if threading.get_ident() != self._thread:
            return None
        *kwargs, output = rest
        entered_at = self._entered_at.pop()
        with torch._C.DisableTorchFunction():  # noqa: SLF001 - a mode has no other switch
            returned = [tensor for _, tensor in tensors_in(output)]
            unseen = [tensor for tensor in returned if not self._origins.edges([tensor])]
            passed_on = not unseen and self._origins.count == entered_at
            if passed_on and isinstance(output, torch.Tensor):
                # A view distinguishes readers of an identity's output from readers of its input.
                with contextlib.suppress(RuntimeError):  # some kinds of tensors have no views
                    output = torch.ops.aten.alias(output)
                returned = [output]
            if made := returned if passed_on else unseen:
                read = [tensor for _, tensor in tensors_in([args, kwargs])]
                state = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
                self._add(class_name(module), [*read, *state], self._origins.edges(read), made, {})
        self._stack.pop()
        return output if passed_on else None


def _arguments(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call, by name if they have names."""
    names = _parameter_names(func)
    if names is None:
        fitting = [some for some in _schemas(_name(func)) if _fits(some, args)]
        names = tuple(argument.name for argument in fitting[0]) if fitting else ()
    named = {names[i] if i < len(names) else f"argument_{i}": value for i, value in enumerate(args)}
    return {**named, **kwargs}


@lru_cache(maxsize=1024)
def _parameter_names(func: Callable[..., Any]) -> tuple[str, ...] | None:
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):
        return None  # written in C
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(parameter.name for parameter in parameters if parameter.kind in positional)


@lru_cache(maxsize=1024)
def _schemas(name: str) -> list[list[Any]]:
    """Return the positional arguments of each overload of an operator."""
    overloads = torch._C._jit_get_schemas_for_operator(f"aten::{name}")  # noqa: SLF001 - signatures are nowhere else
    return [[one for one in schema.arguments if not one.kwarg_only] for schema in overloads]


def _fits(arguments: list[Any], values: tuple[Any, ...]) -> bool:
    """Return whether values fit the arguments: the same number, and tensors where tensors are expected."""
    return len(values) <= len(arguments) and all(
        isinstance(value, torch.Tensor) == str(argument.type).endswith(("Tensor", "Optional[Tensor]"))
        for argument, value in zip(arguments, values, strict=False)
        if value is not None
    )


def _options(given: dict[str, Any]) -> dict[str, Attribute]:
    return {
        name: readable(value)
        for name, value in given.items()
        if value is not None and next(tensors_in(value), None) is None
    }


def _name(func: Callable[..., Any]) -> str:
    """Return the last word of a function's name: "getitem" for `torch.Tensor.__getitem__`."""
    name: str = (resolve_name(func) or getattr(func, "__name__", "function")).removesuffix(".__get__")
    last = name.rpartition(".")[2]
    return last.strip("_") if last.startswith("__") else last
