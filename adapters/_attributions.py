"""Attributions by gradients: the contribution of each input element to a score.

Lives here: the methods, as functions of a gradient. Must not: touch a model or draw.
Runs on the caller's thread, on the device of the input.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from tblog.errors import InvalidValueError, shortened

if TYPE_CHECKING:
    import torch

# Maps inputs (N, ...) to the gradients of their scores, of the same shape.
Gradient: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"


class Averaging(NamedTuple):
    """The options of the methods that average gradients; see `saliency.attributions`."""

    steps: int = 50
    noise: float = 0.15
    baseline: torch.Tensor | float = 0.0
    seed: int = 0


# The options of the methods that average. The others have none.
AVERAGING: Final[dict[str, tuple[str, ...]]] = {
    "smooth_grad": ("steps", "noise", "seed"),
    "integrated_gradients": ("steps", "baseline"),
}


def averaging(method: str, **given: Any) -> Averaging:
    """Return the options of a method, with the defaults for those that are None.

    Raises:
        InvalidValueError: the method does not have a given option, or `steps` is not a positive integer.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    steps = chosen.get("steps", 1)
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise InvalidValueError(
            f"steps was {shortened(steps)}; give how many gradients to average, 1 or more"
        )
    for name, value in chosen.items():
        if name not in AVERAGING.get(method, ()):
            others = " or ".join(repr(other) for other, names in AVERAGING.items() if name in names)
            raise InvalidValueError(
                f"{name} was {shortened(value)}, for which the method {method!r} has no use; leave it out, or give "
                f"method={others}"
            )
    return Averaging(**chosen)


def _plain(gradient: Gradient, inputs: torch.Tensor, _averaging: Averaging) -> torch.Tensor:
    """Return the gradient, https://arxiv.org/abs/1312.6034, section 3."""
    return gradient(inputs)


def _input_x_gradient(gradient: Gradient, inputs: torch.Tensor, _averaging: Averaging) -> torch.Tensor:
    """Return the share of each element in the score, to first order, https://arxiv.org/abs/1605.01713."""
    return inputs * gradient(inputs)


def _guided_backprop(gradient: Gradient, inputs: torch.Tensor, _averaging: Averaging) -> torch.Tensor:
    """Return gradients of which each ReLU passes only the positive part, https://arxiv.org/abs/1412.6806."""
    guide = _guide()
    with guide:
        guided = gradient(inputs)
    if not guide.passed:
        raise InvalidValueError(
            "Guided backpropagation needs ReLUs, but the model ran none; "
            'give method="gradient" for a model with other activations'
        )
    return guided


def _smooth_grad(gradient: Gradient, inputs: torch.Tensor, averaging: Averaging) -> torch.Tensor:
    """Return the mean gradient over inputs with Gaussian noise, https://arxiv.org/abs/1706.03825."""
    import torch

    axes = tuple(range(1, inputs.dim()))
    deviation = averaging.noise * (inputs.amax(axes, keepdim=True) - inputs.amin(axes, keepdim=True))
    generator = torch.Generator("cpu").manual_seed(averaging.seed)  # the same noise on every device
    total = torch.zeros_like(inputs)
    for _ in range(averaging.steps):
        noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype, device="cpu")
        total += gradient(inputs + deviation * noise.to(inputs.device))
    return total / averaging.steps


def _integrated_gradients(gradient: Gradient, inputs: torch.Tensor, averaging: Averaging) -> torch.Tensor:
    """Return the integral of the gradient from the baseline, https://arxiv.org/abs/1703.01365, by the midpoint rule."""
    import torch

    try:
        start = torch.as_tensor(averaging.baseline, dtype=inputs.dtype, device=inputs.device).expand_as(
            inputs
        )
    except RuntimeError as error:
        raise InvalidValueError(
            f"The baseline has the shape {tuple(torch.as_tensor(averaging.baseline).shape)}, but the inputs have "
            f"{tuple(inputs.shape)}; give a number, one input, or one for each input"
        ) from error
    way = inputs - start
    total = torch.zeros_like(inputs)
    for step in range(averaging.steps):
        total += gradient(start + way * ((step + 0.5) / averaging.steps))
    return way * total / averaging.steps


METHODS: Final[dict[str, Callable[[Gradient, torch.Tensor, Averaging], torch.Tensor]]] = {
    "gradient": _plain,
    "input_x_gradient": _input_x_gradient,
    "guided_backprop": _guided_backprop,
    "smooth_grad": _smooth_grad,
    "integrated_gradients": _integrated_gradients,
}


def _guide() -> Any:
    """Return a context manager in which ReLUs, as modules or functions, pass only positive gradients."""
    import torch
    from torch.overrides import TorchFunctionMode

    relus = {
        torch.relu,
        torch.relu_,
        torch.Tensor.relu,
        torch.Tensor.relu_,
        torch.nn.functional.relu,
        torch.nn.functional.relu6,
    }

    class Guide(TorchFunctionMode):
        passed = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = func(*args, **(kwargs or {}))
            if func in relus and output.requires_grad:
                self.passed += 1
                # Runs before the backward of the ReLU, which masks by the sign of its input.
                output.register_hook(lambda gradient: gradient.clamp(min=0))
            return output

    return Guide()
