"""Parameters, gradients and activations of a training step: distributions, norms, updates and defects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tblog.adapters._hooks import Hooks
from tblog.adapters._layers import Layers, display_name, find_layers, require_module
from tblog.adapters._watched_step import Watched, WatchedStep
from tblog.errors import InvalidValueError
from tblog.records import Record

if TYPE_CHECKING:
    from types import TracebackType

    import torch
    from torch import nn
    from torch.optim import Optimizer
    from torch.utils.hooks import RemovableHandle


class ParameterWatch:
    """Watch every N-th training step of a model, in a `with` block.

        with ParameterWatch(model, every=100) as watch:
            for step, (inputs, labels) in enumerate(batches):
                loss(model(inputs), labels).backward()
                optimizer.step()
                optimizer.zero_grad()
                writer.add_records(watch.records(), step)

    A step ends when an optimizer of `torch.optim` steps on one of the model's parameters, or when
    gradients are set to None without that, as after a step that a `GradScaler` skipped. So several
    backward passes that accumulate are one step. Between watched steps nothing is hooked but the
    model's forward pass; in them nothing waits for the device: all values stay tensors until the
    writer's thread reads them.

    Tags are `<quantity>/<name>`, after `<tag>/` if a tag is given:

    - histograms `parameters`, `gradients` and `activations`;
    - `parameter_norm`, `gradient_norm`, `activation_norm`: Euclidean norms; of parameters and
      gradients also over all that are watched, as `<quantity>/all`;
    - `parameter_dead`, `gradient_dead`: the share of output units (slices along dimension 0) whose
      weights or gradients are all 0; `activation_dead`: the share of channels that are 0 for the whole
      batch (channels are the last dimension of (N, L, C), otherwise dimension 1);
    - `parameter_nonfinite`, `gradient_nonfinite`, `activation_nonfinite`: the share of NaN and infinity;
    - `update_ratio`: the norm of the step's change over that of the parameter before it.

    Gradients are those of the last backward pass of the step: accumulated, not clipped yet, with
    `scaler` unscaled, and in distributed training those of this process. Activations are those of
    its last forward pass. Parameters are those after the step.

    Args:
        model: the model.
        every: how many steps lie between two watched ones; the first step is watched.
        layers: whose parameters and outputs are watched: a dotted path, a pattern, a type or a module,
            or a sequence of them. None means all parameters, and the outputs of all modules without
            modules in them.
        parameters: whether to tell of parameters and updates. Updates need a copy of the parameters
            in a watched step, from backward to its end.
        gradients: whether to tell of gradients.
        activations: whether to tell of activations.
        histograms: whether to give histograms beside the numbers.
        max_values: how many values of a tensor, evenly spaced, a histogram counts; None for all.
        scaler: the `torch.amp.GradScaler` whose scale the gradients have.
        tag: what all tags begin with.

    Raises:
        InvalidTypeError: the model is none, its parameters for one.
        InvalidValueError: a layer is not found, `every` is below 1, or no parameter requires a gradient.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 100,
        *,
        layers: Layers | None = None,
        parameters: bool = True,
        gradients: bool = True,
        activations: bool = True,
        histograms: bool = True,
        max_values: int | None = 100_000,
        scaler: torch.amp.GradScaler | None = None,
        tag: str = "",
    ) -> None:
        if every < 1:
            raise InvalidValueError(f"ParameterWatch: every was {every}; give a number of steps, 1 or more")
        chosen, outputs = _chosen(model, layers)
        if not any(parameter.requires_grad for parameter in chosen.values()):
            raise InvalidValueError(
                "ParameterWatch: none of the watched parameters requires a gradient; choose other layers, "
                "or call requires_grad_() on what is trained first"
            )
        self._model, self._every = model, every
        self._watched = Watched(
            parameters=chosen,
            layers=outputs if activations else {},
            tells_parameters=parameters,
            tells_gradients=gradients,
            histograms=histograms,
            max_values=max_values,
            scaler=scaler,
            tag=tag,
        )
        self._ids = {id(parameter) for parameter in chosen.values()}
        self._hooks = Hooks()
        self._optimizers: RemovableHandle | None = None
        self._step: WatchedStep | None = None
        self._ready: list[Record] = []
        self._steps = 0
        self._stepped = False

    def __enter__(self) -> Self:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        try:
            self._hooks.forward_pre(self._model, self._before_forward)
            self._optimizers = register_optimizer_step_post_hook(self._after_step)
            self._begin_step()
        except BaseException:
            self._remove_hooks()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end_step()
        self._remove_hooks()

    def records(self) -> list[Record]:
        """Return what the last watched step showed, once; an empty list where there is nothing new."""
        self._end_step()
        ready, self._ready = self._ready, []
        return ready

    def _remove_hooks(self) -> None:
        self._hooks.remove()
        if self._optimizers is not None:
            self._optimizers.remove()
        if self._step is not None:
            self._step.end()
            self._step = None

    def _before_forward(self, _module: nn.Module, _args: Any, _kwargs: Any) -> None:
        self._end_step()

    def _after_step(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        stepped = (parameter for group in optimizer.param_groups for parameter in group["params"])
        self._stepped = self._stepped or any(id(parameter) in self._ids for parameter in stepped)

    def _end_step(self) -> None:
        """Close the step if it is over. Not done by the optimizer's hook: several optimizers may make one step."""
        cleared = self._step is not None and self._step.gradients_were_cleared()
        if not (self._stepped or cleared):
            return
        self._stepped = False
        self._steps += 1
        if self._step is not None:
            self._ready, self._step = self._step.finish(), None
        self._begin_step()

    def _begin_step(self) -> None:
        if self._step is None and self._steps % self._every == 0:
            self._step = WatchedStep(self._watched)


def _chosen(model: nn.Module, layers: Layers | None) -> tuple[dict[str, nn.Parameter], dict[str, nn.Module]]:
    """Return the parameters and the layers whose outputs are watched, by name."""
    require_module(model)
    if layers is None:
        leaves = {path: layer for path, layer in model.named_modules() if not any(layer.children())}
        return dict(model.named_parameters()), {
            display_name(model, path): layer for path, layer in leaves.items()
        }
    found = find_layers(model, layers)
    ids = {id(parameter) for layer in found.values() for parameter in layer.parameters()}
    chosen = {name: parameter for name, parameter in model.named_parameters() if id(parameter) in ids}
    return chosen, {display_name(model, path): layer for path, layer in found.items()}
