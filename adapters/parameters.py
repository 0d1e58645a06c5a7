"""Parameters, gradients and activations of a training step: which layers learn, and why others do not."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tblog._require import require
from tblog.adapters._hooks import Hooks
from tblog.adapters._layer_report import LayerReport, Warnings
from tblog.adapters._layers import Layers
from tblog.adapters._step_figures import read_together
from tblog.adapters._watch_records import layout, overview, step_records
from tblog.adapters._watched_model import watched_parts
from tblog.adapters._watched_step import Watched, WatchedStep
from tblog.errors import InvalidTypeError, InvalidValueError
from tblog.records import Record

if TYPE_CHECKING:
    from types import TracebackType

    import torch
    from torch import nn
    from torch.optim import Optimizer

    from tblog.writer import SummaryWriter


class ParameterWatch:
    """Watch every N-th training step of a model.

        with ParameterWatch(model, every=100) as watch:
            for step, (inputs, labels) in enumerate(batches):
                loss(model(inputs), labels).backward()
                optimizer.step()
                optimizer.zero_grad()
                writer.add_records(watch.records(), step)

    `start()` and `stop()` do the same without a block. With a writer, one line is enough. It starts at once:

        ParameterWatch(model, every=100, writer=writer)

    A step ends when an optimizer of `torch.optim` steps on one of the model's parameters. It also ends when
    gradients are set to None without that, as after a step that a `GradScaler` skipped. Several backward passes
    that accumulate gradients are one step. Between watched steps, the only hook is on the model's forward pass.
    In a watched step, nothing waits for the device: all values stay tensors until the writer's thread reads
    them.

    A layer is a module with parameters of its own. A watched step logs

    - `<tag>/layers`: an image of all layers in depth order, with gradient norm and update ratio;
    - `<tag>/table`: a text with the findings, and the figures of each layer;
    - `<tag>/gradient_norm`, `/parameter_norm` and `/update_ratio` of the whole model;
    - `<tag>_gradient_norm/<layer>`, `_parameter_norm` and `_activation_norm`: Euclidean norms;
    - `<tag>_update_ratio/<layer>`: the norm of the step's change, divided by the norm of the parameters before;
    - `<tag>_dead_parameters/<layer>`, `_dead_gradients`: the share of output units (slices along dimension
      0) whose weights or gradients are all 0; `_dead_activations`: the share of channels that are 0 for the
      whole batch (channels are the last dimension of (N, L, C), otherwise dimension 1);
    - `<tag>_nonfinite_parameters/<layer>`, `_gradients`, `_activations`: the share of NaN and infinity;
    - every `histograms` watched steps, `<tag>_parameters/<parameter>`, `_gradients` and `_activations`:
      histograms.

    The logger "tblog" warns once of each finding that two watched steps in a row show, and of NaN at once. It
    does so when the writer's thread draws the image or the table.

    Gradients are those of the last backward pass of the step: accumulated, not yet clipped, and unscaled if
    `scaler` is given. In distributed training they are those of this process. Of a DTensor, such as FSDP's
    `fully_shard` makes, only the part of this process counts, for parameters too. Activations are those of
    the last forward pass. Parameters are those after the step.

    Args:
        model: the model.
        every: watch every so many steps, starting with the first one.
        writer: logs each watched step at the step's number, counted from the writer's `next_step`. The next
            forward pass, or `stop()`, logs the last one.
        layers: the layers whose parameters and outputs to watch: a dotted path, a pattern, a type or a module,
            or a sequence of them. None means all parameters, and the outputs of all modules that contain no
            other module.
        parameters: whether to log parameters and updates. Updates need a copy of the parameters in a watched
            step, from its backward pass to its end.
        gradients: whether to log gradients.
        activations: whether to log activations.
        histograms: log histograms in every so many watched steps, starting with the first one. True means in
            each, False or 0 in none.
        max_values: the number of evenly spaced values of a tensor that a histogram counts. None means all.
        scaler: the `torch.amp.GradScaler` that scales the loss.
        tag: the beginning of all tags.

    Raises:
        InvalidTypeError: `model` is not a module (but its parameters, for example), or the writer is not a
            tblog writer.
        InvalidValueError: a layer is not found, a number is too small, or no parameter requires a gradient.

    Example:
        >>> import torch
        >>> from tblog import SummaryWriter
        >>> from tblog.adapters.parameters import ParameterWatch
        >>> model = torch.nn.Linear(4, 2)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with SummaryWriter("runs/watch") as writer, ParameterWatch(model, writer=writer):
        ...     for step in range(3):
        ...         optimizer.zero_grad()
        ...         model(torch.rand(8, 4)).sum().backward()
        ...         optimizer.step()
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 100,
        *,
        writer: SummaryWriter | None = None,
        layers: Layers | None = None,
        parameters: bool = True,
        gradients: bool = True,
        activations: bool = True,
        histograms: bool | int = 10,
        max_values: int | None = 100_000,
        scaler: torch.amp.GradScaler | None = None,
        tag: str = "watch",
    ) -> None:
        require(every >= 1, "ParameterWatch: every", every, "a number of steps, 1 or more")
        require(
            histograms >= 0,
            "ParameterWatch: histograms",
            histograms,
            "True, False or a number of watched steps",
        )
        if writer is not None and not hasattr(writer, "add_records"):
            raise InvalidTypeError(
                f"ParameterWatch: the writer was a {type(writer).__module__}.{type(writer).__name__}, which accepts no "
                "records; give a tblog.SummaryWriter"
            )
        parts = watched_parts(model, layers)
        self._model, self._every, self._writer = model, every, writer
        self._watched = Watched(
            parameters=parts.parameters,
            owners=parts.owners,
            outputs=parts.outputs if activations else {},
            tells_parameters=parameters,
            tells_gradients=gradients,
            max_values=max_values,
            scaler=scaler,
        )
        self._layers = parts.layers
        self._histograms = int(histograms)
        self._tag = tag
        self._warnings = Warnings(overview(tag, "table"), scales=scaler is not None)
        self._ids = {id(parameter) for parameter in parts.parameters.values()}
        self._hooks = Hooks()
        self._optimizers: weakref.finalize[..., Self] | None = None
        self._step: WatchedStep | None = None
        self._ready: list[Record] = []
        self._steps = self._watched_steps = 0
        self._stepped = self._was_started = False
        if writer is not None:
            self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._remove_hooks()

    def __repr__(self) -> str:
        """Return whose parameters are watched, whether they are now, and how many steps there were."""
        state = "on" if self._optimizers is not None else "off"
        return (
            f"<ParameterWatch {self._tag!r} of {type(self._model).__name__} ({state}, every {self._every} steps): "
            f"{self._steps:,} steps seen>"
        )

    def start(self) -> Self:
        """Start watching with the next step, and return the watch itself. Do nothing if it has started already."""
        from torch.optim.optimizer import register_optimizer_step_post_hook

        if self._optimizers is not None:
            return self
        try:
            self._hooks.forward_pre(self._model, self._before_forward)
            # All optimizers have this hook, for good where nobody calls stop(): it keeps no watch, nor its model.
            hook = register_optimizer_step_post_hook(partial(_tell, weakref.ref(self)))
            self._optimizers = weakref.finalize(self, hook.remove)
            self._begin_step()
        except BaseException:
            self._remove_hooks()
            raise
        self._was_started = True
        return self

    def stop(self) -> None:
        """End the current step and remove all hooks. `start` continues the watch."""
        self._end_step()
        self._remove_hooks()

    def records(self) -> list[Record]:
        """Return the records of the last watched step, once. The list is empty if there is nothing new.

        With a writer, which gets the records directly, the list is always empty.

        Raises:
            InvalidValueError: the watch was never started.
        """
        if not self._was_started:
            raise InvalidValueError(
                "ParameterWatch: records() was called before the watch was started; use it "
                "in a `with` block, call start(), or give it a writer"
            )
        self._end_step()
        ready, self._ready = self._ready, []
        return ready

    def layout(self) -> dict[str, dict[str, list[Any]]]:
        """Return a layout for `add_custom_scalars`: one chart for each quantity, with a line for each layer.

        A run has only one layout. To keep charts of your own, give `{**mine, **watch.layout()}`.
        """
        quantities = [
            *(["gradient_norm"] * self._watched.tells_gradients),
            *(["update_ratio", "parameter_norm"] * self._watched.tells_parameters),
            *(["activation_norm", "dead_activations"] * bool(self._watched.outputs)),
        ]
        return layout(self._tag, quantities)

    def _remove_hooks(self) -> None:
        self._hooks.remove()
        if self._optimizers is not None:
            self._optimizers()
            self._optimizers = None
        if self._step is not None:
            self._step.end()
            self._step = None

    def _before_forward(self, _module: nn.Module, _args: Any, _kwargs: Any) -> None:
        self._end_step()

    def _after_step(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        stepped = (parameter for group in optimizer.param_groups for parameter in group["params"])
        self._stepped = self._stepped or any(id(parameter) in self._ids for parameter in stepped)

    def _end_step(self) -> None:
        """Close the step if it is over. The optimizer's hook cannot: several optimizers may make one step."""
        cleared = self._step is not None and self._step.gradients_were_cleared()
        if not (self._stepped or cleared):
            return
        self._stepped = False
        number = self._steps
        self._steps += 1
        if self._step is not None:
            figures, self._step = read_together(self._step.finish(), self._tag), None
            report = LayerReport(number, self._layers, figures.layers, self._warnings)
            self._ready = list(step_records(self._tag, figures, report))
            if self._writer is not None:
                self._writer.add_records(self._ready, self._writer.next_step + number)
                self._ready = []
        self._begin_step()

    def _begin_step(self) -> None:
        if self._step is None and self._steps % self._every == 0:
            histograms = self._histograms > 0 and self._watched_steps % self._histograms == 0
            self._step = WatchedStep(self._watched, histograms=histograms)
            self._watched_steps += 1


def _tell(
    watch: weakref.ref[ParameterWatch], optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    living = watch()
    if living is not None:
        living._after_step(optimizer, args, kwargs)  # noqa: SLF001 - our own
