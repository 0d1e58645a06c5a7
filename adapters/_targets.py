"""The target of an explanation: for each input, a class or a function of the output.

Lives here: the context in which explanations are computed, the checks of inputs, the run of the model,
and the choice of targets. `_classes` names them.
Runs on the caller's thread.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from tblog.adapters._layers import require_module
from tblog.adapters._model_state import model_state_kept
from tblog.errors import InvalidTypeError, InvalidValueError, shortened

if TYPE_CHECKING:
    import torch
    from torch import nn

# The index of a class, or a function that maps the output for one input to one number.
Target: TypeAlias = "int | Callable[[Any], torch.Tensor]"
Targets: TypeAlias = "Target | Sequence[Target] | torch.Tensor | None"


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a block in evaluation mode, with gradients only for the input, and leave the model as it was.

    Inference mode, `no_grad` and autocast around the call have no effect in the block.

    Raises:
        InvalidTypeError: it is not a model.
        InvalidValueError: its parameters have no values.
    """
    import torch

    require_module(model)
    parameter = next(model.parameters(), None)
    device_type = "cpu" if parameter is None else parameter.device.type
    if device_type == "meta":
        raise InvalidValueError(
            f"The parameters of {type(model).__name__} are on the device meta and have no values; "
            "give the model after it is materialised"
        )
    with (
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        torch.autocast(device_type, enabled=False),
        model_state_kept(model, training=False, freeze=True),
    ):
        yield


def own_inputs(model: nn.Module, inputs: torch.Tensor, *, dimensions: Sequence[int]) -> torch.Tensor:
    """Return a copy of the inputs on the model's device that requires gradients.

    Args:
        model: the model that takes them.
        inputs: (N, ...) floating point.
        dimensions: the allowed numbers of dimensions.

    Raises:
        InvalidTypeError: the inputs are not a floating point tensor.
        InvalidValueError: they have another number of dimensions, or are empty.
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
    """Return the model's output. If the model fails, describe its input in the error.

    Raises:
        InvalidValueError: the model raised an error for this input.
    """
    try:
        return model(inputs.clone())  # a copy: some models write to their input
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise InvalidValueError(
            f"{type(model).__name__} does not run on inputs of shape {tuple(inputs.shape)} and {inputs.dtype}: "
            f"{error}; give inputs that the model's forward() accepts"
        ) from error


def chosen_targets(targets: Targets, outputs: Any, number: int) -> list[Target]:
    """Return one target for each input: the given one, or the predicted class.

    Args:
        targets: one class index or function for all inputs, one for each of them, or None for the
            predicted classes.
        outputs: the output of the model.
        number: the number of inputs.

    Raises:
        InvalidValueError: a class is out of range, or the number of targets is not that of the inputs.
        InvalidTypeError: a target is neither an integer nor a function, or the output does not have classes,
            or an entry for each input.
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
            f"There were {len(each)} targets for {number} inputs; give one for all, or one for each"
        )
    _require_one_for_each(outputs, number)
    return [target if callable(target) else _class_index(target, outputs, number) for target in each]


def class_scores(outputs: Any, number: int) -> torch.Tensor:
    """Return the model's output if its shape is (N, classes).

    Raises:
        InvalidTypeError: it is not.
    """
    import torch

    if isinstance(outputs, torch.Tensor) and outputs.dim() == 2 and len(outputs) == number:
        return outputs
    raise InvalidTypeError(
        f"The model returned {_shown(outputs)}, but classes need ({number}, classes); give functions of the output of one "
        "input as targets, or a module whose forward() returns only the scores"
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


def input_gradient(scores: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the sum of scores with respect to the inputs.

    Raises:
        InvalidTypeError: none arrives at the inputs, and zeros would be shown as a finding.
    """
    import torch

    (found,) = torch.autograd.grad(scores.sum(), inputs, allow_unused=True)
    if found is None:
        raise InvalidTypeError(
            "The model passes no gradient back to the inputs, like one with a dynamically quantized layer; give a "
            "model in floating point whose output depends on the inputs"
        )
    return found


def _require_one_for_each(outputs: Any, number: int) -> None:
    try:
        entries = None if isinstance(outputs, Mapping) else len(outputs)
    except TypeError:
        entries = None  # a number, or another object without a length
    if entries != number:
        raise InvalidTypeError(
            f"The model returned {_shown(outputs)}, which does not have an entry for each of {number} inputs; give a module "
            "whose forward() returns only the scores, such as the logits of the model's output"
        )


def _shown(outputs: Any) -> str:
    shape = getattr(outputs, "shape", None)
    return type(outputs).__name__ if shape is None else f"a tensor of shape {tuple(shape)}"


def _class_index(target: Any, outputs: Any, number: int) -> int:
    try:
        index = operator.index(target)
    except TypeError:
        raise InvalidTypeError(
            f"A target was {shortened(target)} of type {type(target).__name__}; give a class index or a function"
        ) from None
    classes = class_scores(outputs, number).shape[1]
    if not 0 <= index < classes:
        raise InvalidValueError(
            f"The target was class {index}, but the model has {classes} classes; give 0 to {classes - 1}"
        )
    return index


def _is_number(targets: Any) -> bool:
    return getattr(targets, "ndim", 1) == 0  # a 0-d tensor or array, whose type is iterable


def _either(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))
