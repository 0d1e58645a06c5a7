"""The call to read: the arguments of the model, and a form of it with flat inputs and outputs.

Lives here: the meaning of `input_to_model`, and a module around the model that takes the tensors
of its arguments and returns the tensors of its result. So each reader sees plain tuples,
with any arguments and results of forward. Must not: change the model.
"""

from __future__ import annotations

import copy
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from tblog.errors import InvalidValueError
from tblog.graph._structures import items_of, repeatable, replaced, tensors_in
from tblog.graph._wrappers import scripted

if TYPE_CHECKING:
    import torch
    from torch import nn

# https://peps.python.org/pep-0484/#suggested-syntax-for-python-2-7-and-straddling-code
_SIGNATURE_COMMENT = re.compile(r"#\s*type:\s*\(\s*(?:typing\.)?(\w+)")


@dataclass(frozen=True)
class Call:
    """A model and the arguments to call it with."""

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def scripted(self) -> Any:
        """The scripted module or function behind the model, or None."""
        return scripted(self.model)

    @property
    def inputs(self) -> list[tuple[str, torch.Tensor]]:
        """The tensors of the arguments, each named after its argument."""
        names = _positional_names(self.model, len(self.args))
        found: list[tuple[str, torch.Tensor]] = []
        for name, value in [*zip(names, self.args, strict=True), *self.kwargs.items()]:
            found.extend(tensors_in(value, name))
        return found

    def fresh_tensors(self) -> list[torch.Tensor]:
        """Return a separate copy of each tensor of `inputs`, which a run may change."""
        return [tensor.detach().clone().requires_grad_(tensor.requires_grad) for _, tensor in self.inputs]

    def arguments(self, tensors: Iterable[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments with `tensors` instead of `inputs`."""
        new = iter(tensors)

        def take(_: torch.Tensor) -> Any:
            return next(new)

        args = [replaced(value, take) for value in self.args]
        return args, {key: replaced(value, take) for key, value in self.kwargs.items()}


def bind(model: nn.Module, input_to_model: Any) -> Call:
    """Return the call that `input_to_model` describes.

    A tuple holds the positional arguments. So does a list, unless forward's first parameter
    is annotated as a list, or accepts only the list as a whole. A mapping holds keyword arguments if forward
    has parameters of these names, and is one argument otherwise. None means no argument. Anything else is
    one argument.
    """
    if input_to_model is None:
        if scripted(model) is None and not _binds(model, (), {}):
            raise InvalidValueError(
                f"the graph of {type(model).__name__} cannot be read: its forward needs the arguments "
                f"{', '.join(_required(model))}, but input_to_model was None; give them as input_to_model"
            )
        return Call(model, (), {})
    one = (repeatable(input_to_model),)
    if isinstance(input_to_model, Mapping):
        if all(isinstance(key, str) for key in input_to_model) and _binds(model, (), input_to_model):
            return Call(model, (), {key: repeatable(value) for key, value in input_to_model.items()})
    elif isinstance(input_to_model, (tuple, list)) and not hasattr(input_to_model, "_fields"):
        many = tuple(map(repeatable, input_to_model))
        if not _wants_list(model, input_to_model) and (_binds(model, many, {}) or not _binds(model, one, {})):
            return Call(model, many, {})
    return Call(model, one, {})


def settled(call: Call) -> Call:
    """Return a call whose model knows all its shapes. For a lazy model, this is a copy that ran once."""
    from torch.nn.parameter import is_lazy

    lazy: list[Any] = [
        tensor for tensor in (*call.model.parameters(), *call.model.buffers()) if is_lazy(tensor)
    ]
    if not lazy:
        return call
    from tblog._side_effects import random_states_kept

    # Uninitialised buffers cannot be copied, but can be created again.
    made = {id(tensor): type(tensor)(device=tensor.device, dtype=tensor.dtype) for tensor in lazy}
    model = copy.deepcopy(call.model, made).eval()
    with random_states_kept():
        args, kwargs = call.arguments(call.fresh_tensors())
        model(*args, **kwargs)
    return Call(model, call.args, call.kwargs)


def flattened(call: Call, names: list[str]) -> nn.Module:
    """Return a module around the model whose inputs and outputs are tuples of tensors.

    Each run stores in `names` the places of the outputs in the model's result.
    """
    from torch import nn

    class FlatCall(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = call.model
            self.training = False  # only its own flag: the flags of the model are handled elsewhere

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            args, kwargs = call.arguments(tensors)
            outputs = list(tensors_in(drained(self.model(*args, **kwargs))))
            names[:] = [name or "output" for name, _ in outputs]
            return tuple(tensor for _, tensor in outputs)

    return FlatCall()


def drained(result: Any) -> Any:
    """Return the result of a forward, or the first items of a generator, which has not run until then."""
    return items_of(result) if isinstance(result, GeneratorType) else result


def script_arguments(model: nn.Module) -> list[Any]:
    """Return the arguments of a TorchScript function or method from its schema, without `self`."""
    compiled: Any = scripted(model)
    if compiled is None:
        return []
    is_module = compiled is model
    return list(compiled.forward.schema.arguments)[1:] if is_module else list(compiled.schema.arguments)


def _parameters(model: nn.Module) -> list[inspect.Parameter] | None:
    """Return forward's parameters, or None if Python does not know them."""
    if scripted(model) is not None:
        return [
            inspect.Parameter(
                argument.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=argument.default_value if argument.has_default_value() else inspect.Parameter.empty,
            )
            for argument in script_arguments(model)
        ]
    try:
        return list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return None


def _binds(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    parameters = _parameters(model)
    if parameters is None:
        return True
    try:
        inspect.Signature(parameters).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _required(model: nn.Module) -> list[str]:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in _parameters(model) or []
        if parameter.default is inspect.Parameter.empty and parameter.kind not in variadic
    ]


def _wants_list(model: nn.Module, values: Sequence[Any]) -> bool:
    """Return whether forward's first parameter is annotated as a list, and `values` is a list of tensors."""
    import torch

    if not isinstance(values, list) or not all(isinstance(value, torch.Tensor) for value in values):
        return False
    forward: Callable[..., Any] = model.forward
    if not getattr(forward, "__annotations__", None):
        return _says_list_in_comment(forward)
    try:
        hints = typing.get_type_hints(forward)
    except Exception:
        return False  # annotations may name something that does not exist at run time
    first = next(iter(_parameters(model) or []), None)
    wanted = typing.get_origin(hints.get(first.name)) if first is not None else None
    return isinstance(wanted, type) and issubclass(list, wanted)


def _says_list_in_comment(forward: Callable[..., Any]) -> bool:
    """Return whether a type comment for TorchScript begins with a list, as in torchvision's RetinaNet."""
    try:
        comment = _SIGNATURE_COMMENT.search(inspect.getsource(forward))
    except (OSError, TypeError):
        return False  # it has no file, or is written in C
    return comment is not None and comment[1].lower() == "list"


def _positional_names(model: nn.Module, count: int) -> list[str]:
    names: list[str] = []
    for parameter in _parameters(model) or []:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            rest = count - len(names)
            names.extend(parameter.name if rest == 1 else f"{parameter.name}.{i}" for i in range(rest))
        elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            names.append(parameter.name)
    names.extend(f"input.{index}" for index in range(len(names), count))
    return names[:count]
