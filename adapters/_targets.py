"""What an explanation explains: the inputs, and for each of them a class or a function of the output.

Lives here: the surroundings that explanations are computed in, checking inputs, running the model on
them, and choosing targets. `_classes` names them.
Runs on the caller's thread.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from tblog.adapters._layers import require_module
from tblog.adapters._model_state import model_state_kept
from tblog.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    import torch
    from torch import nn

# A class by its index, or a function of one input's output that gives one number.
Target: TypeAlias = "int | Callable[[Any], torch.Tensor]"
Targets: TypeAlias = "Target | Sequence[Target] | torch.Tensor | None"


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a block in evaluation mode, with gradients to the input alone; leave the model as it was.

    Inference mode, `no_grad` and autocast around the call do not reach into the block.
    """
    import torch

    require_module(model)
    parameter = next(model.parameters(), None)
    device_type = "cpu" if parameter is None else parameter.device.type
    with (
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        torch.autocast(device_type, enabled=False),
        model_state_kept(model, training=False, freeze=True),
    ):
        yield


def own_inputs(model: nn.Module, inputs: torch.Tensor, *, dimensions: Sequence[int]) -> torch.Tensor:
    """Return a copy of the inputs on the model's device, which can be differentiated by.

    Args:
        model: the model that they are for.
        inputs: (N, ...) floating point.
        dimensions: the numbers of dimensions that are wanted.

    Raises:
        InvalidTypeError: the inputs are no floating point tensor.
        InvalidValueError: they have another number of dimensions, or there are none.
    """
    import torch

    if not isinstance(inputs, torch.Tensor) or not inputs.is_floating_point():
        given = (
            f"a tensor of {inputs.dtype}" if isinstance(inputs, torch.Tensor) else f"{type(inputs).__name__}"
        )
        raise InvalidTypeError(f"The inputs were {given}; give a floating point tensor (N, C, H, W)")
    if inputs.dim() not in dimensions or not inputs.numel():
        hint = ", for one input inputs[None]" if inputs.dim() + 1 in dimensions else ""
        raise InvalidValueError(
            f"The inputs have the shape {tuple(inputs.shape)}; give a batch with {_either(dimensions)} "
            f"dimensions, (N, ...){hint}"
        )
    parameter = next(model.parameters(), None)
    device = inputs.device if parameter is None else parameter.device
    return inputs.detach().to(device, copy=True).requires_grad_()


def run(model: nn.Module, inputs: torch.Tensor) -> Any:
    """Return the model's output; say what was given where the model does not take it.

    Raises:
        InvalidValueError: the model raised an error about the input.
    """
    try:
        return model(inputs.clone())  # some models write to their input
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise InvalidValueError(
            f"{type(model).__name__} does not run on inputs of shape {tuple(inputs.shape)} and {inputs.dtype}: "
            f"{error}; give inputs as the model's forward() takes them"
        ) from error


def chosen_targets(targets: Targets, outputs: Any, number: int) -> list[Target]:
    """Return one target for each input: as given, or the predicted class.

    Args:
        targets: one class index or function for all inputs, one for each of them, or None for the
            predicted classes.
        outputs: what the model returned.
        number: of inputs.

    Raises:
        InvalidValueError: a class is out of range, or the number of targets is not that of the inputs.
        InvalidTypeError: a target is neither an integer nor a function, or the output has no classes, or no
            entry for each input.
    """
    if targets is None:
        return list(class_scores(outputs, number).argmax(dim=1).tolist())
    each: list[Any]
    if (
        callable(targets)
        or isinstance(targets, str)
        or not isinstance(targets, Iterable)
        or _is_number(targets)
    ):
        each = [targets] * number
    else:
        each = list(targets)
    if len(each) != number:
        raise InvalidValueError(
            f"{len(each)} targets were given for {number} inputs; give one for all, or one for each"
        )
    _require_one_for_each(outputs, number)
    return [target if callable(target) else _class_index(target, outputs, number) for target in each]


def class_scores(outputs: Any, number: int) -> torch.Tensor:
    """Return the model's output if it is (N, classes).

    Raises:
        InvalidTypeError: it is anything else.
    """
    import torch

    if isinstance(outputs, torch.Tensor) and outputs.dim() == 2 and len(outputs) == number:
        return outputs
    raise InvalidTypeError(
        f"The model returned {_shown(outputs)}, and classes need ({number}, classes); give functions of the output of one "
        "input as targets, or a module whose forward() returns the scores alone"
    )


def score(outputs: Any, chosen: Sequence[Target]) -> torch.Tensor:
    """Return the score of each input's target, (N,)."""
    import torch

    each = [
        target(output) if callable(target) else output[target]
        for target, output in zip(chosen, outputs, strict=True)
    ]
    if any(value.numel() != 1 for value in each):
        raise InvalidValueError(
            f"A target returned values of shapes {[tuple(value.shape) for value in each]}; "
            "give a function that returns one number for each input, a sum or a mean"
        )
    return torch.stack([value.reshape(()) for value in each])


def _require_one_for_each(outputs: Any, number: int) -> None:
    try:
        entries = None if isinstance(outputs, Mapping) else len(outputs)
    except TypeError:
        entries = None  # a single number, or an object
    if entries != number:
        raise InvalidTypeError(
            f"The model returned {_shown(outputs)}, which has no entry for each of {number} inputs; give a module "
            "whose forward() returns the scores alone, such as the logits of what the model returns"
        )


def _shown(outputs: Any) -> str:
    shape = getattr(outputs, "shape", None)
    return type(outputs).__name__ if shape is None else f"a tensor of shape {tuple(shape)}"


def _class_index(target: Any, outputs: Any, number: int) -> int:
    try:
        index = operator.index(target)
    except TypeError:
        raise InvalidTypeError(
            f"A target was {target!r} of type {type(target).__name__}; give a class index or a function"
        ) from None
    classes = class_scores(outputs, number).shape[1]
    if not 0 <= index < classes:
        raise InvalidValueError(
            f"Class {index} was asked for and the model has {classes}; give 0 to {classes - 1}"
        )
    return index


def _is_number(targets: Any) -> bool:
    return getattr(targets, "ndim", 1) == 0  # a tensor or array of no dimension, which is iterable by type


def _either(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))
