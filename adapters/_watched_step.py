"""The figures of one training step: its parameters, gradients and activations.

Lives here: the hooks of one watched step, and what they compute. Must not:
decide which step is watched (`parameters.py` does), or wait for the device.
Runs on the training thread, inside forward and backward passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tblog.adapters._hooks import Hooks
from tblog.adapters._layer_figures import (
    TensorFigures,
    Update,
    of_layers,
    of_norms,
    update_ratio,
    update_ratios,
)
from tblog.adapters._statistics import dead_share, nonfinite_share, norm, plain, sample
from tblog.adapters._step_figures import StepFigures

if TYPE_CHECKING:
    import torch
    from torch import nn

Kind = str  # "parameter", "gradient" or "activation"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The watched parts and the options; see `ParameterWatch`."""

    parameters: Mapping[str, torch.Tensor]
    owners: Mapping[str, str]  # the layer of each parameter
    outputs: Mapping[str, nn.Module]
    tells_parameters: bool
    tells_gradients: bool
    max_values: int | None
    scaler: torch.amp.GradScaler | None


class WatchedStep:
    """Collects figures from hooks. A later pass of the same step replaces the figures of an earlier one."""

    def __init__(self, watched: Watched, *, histograms: bool) -> None:
        self._watched = watched
        self._keeps_histograms = histograms
        self._figures: dict[Kind, dict[str, TensorFigures]] = {
            "parameter": {},
            "gradient": {},
            "activation": {},
        }
        self._updates: dict[str, Update] = {}
        self._histograms: dict[str, torch.Tensor] = {}
        self._before: dict[str, torch.Tensor] = {}
        self._reached: torch.Tensor | None = None  # the last parameter that got a gradient
        self._scale: torch.Tensor | None = None
        self._hooks = Hooks()
        for name, parameter in watched.parameters.items():
            if parameter.requires_grad:
                self._hooks.after_accumulation(parameter, partial(self._on_gradient, name))
        for name, layer in watched.outputs.items():
            self._hooks.forward(layer, partial(self._on_output, name))

    def gradients_were_cleared(self) -> bool:
        """Return whether there were gradients that have been set to None."""
        return self._reached is not None and self._reached.grad is None

    def end(self) -> None:
        """Remove the hooks."""
        self._hooks.remove()

    def finish(self) -> StepFigures:
        """Measure the parameters after the step, and return all figures."""
        import torch

        self.end()
        with torch.no_grad():
            if self._watched.tells_parameters:
                for name, parameter in self._watched.parameters.items():
                    self._look_at_parameter(name, plain(parameter))
            return StepFigures(totals=self._totals(), layers=self._layers(), histograms=self._histograms)

    def _totals(self) -> dict[str, torch.Tensor]:
        totals = {
            f"{kind}_norm": of_norms(each.norm for each in self._figures[kind].values())
            for kind in ("parameter", "gradient")
            if self._figures[kind]
        }
        if self._updates:
            totals["update_ratio"] = update_ratio(self._updates.values())
        return totals

    def _layers(self) -> dict[str, dict[str, torch.Tensor]]:
        layers: dict[str, dict[str, torch.Tensor]] = (
            {"gradient_norm": {}} if self._watched.tells_gradients else {}
        )
        for kind, figures in self._figures.items():
            owners = {name: name for name in figures} if kind == "activation" else self._watched.owners
            for layer, found in of_layers(figures, owners).items():
                layers.setdefault(f"{kind}_norm", {})[layer] = found["norm"]
                layers.setdefault(f"dead_{kind}s", {})[layer] = found["dead"]
                layers.setdefault(f"nonfinite_{kind}s", {})[layer] = found["nonfinite"]
        if self._updates:
            layers["update_ratio"] = update_ratios(self._updates, self._watched.owners)
        return layers

    def _look_at_parameter(self, name: str, values: torch.Tensor) -> None:
        self._look_at("parameter", name, values, axis=0)
        if name in self._before and values.numel():
            before = self._before[name]
            self._updates[name] = Update(norm(values - before), norm(before))

    def _on_gradient(self, name: str, parameter: torch.Tensor) -> None:
        import torch

        if parameter.grad is None:
            return  # an earlier hook made an optimizer step and freed the gradient
        self._reached = parameter
        with torch.no_grad():
            if self._watched.tells_parameters and name not in self._before:
                self._before[name] = plain(parameter).clone()
            if self._watched.tells_gradients:
                self._look_at(
                    "gradient", name, plain(parameter.grad), axis=0, scale=self._gradients_scale(parameter)
                )

    def _on_output(self, name: str, layer: nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
        import torch

        output = next(iter(output), None) if isinstance(output, (tuple, list)) else output
        trains = torch.is_grad_enabled() and any(
            each.requires_grad for each in self._watched.parameters.values()
        )
        if (
            not trains
            or not isinstance(output, torch.Tensor)
            or not (output.is_floating_point() or output.is_complex())
        ):
            return
        in_order = output.dim() == 3 and not type(layer).__name__.endswith("1d")
        with torch.no_grad():
            self._look_at("activation", name, plain(output), axis=-1 if in_order or output.dim() < 2 else 1)

    def _look_at(
        self, kind: Kind, name: str, values: torch.Tensor, *, axis: int, scale: torch.Tensor | None = None
    ) -> None:
        size = values.numel()
        if not size:
            return
        length = norm(values)
        self._figures[kind][name] = TensorFigures(
            length if scale is None else length / scale,
            dead_share(values, axis),
            nonfinite_share(values),
            size,
        )
        if self._keeps_histograms:
            drawn = sample(values, self._watched.max_values)
            self._histograms[f"{kind}s/{name}"] = drawn if scale is None else drawn / scale

    def _gradients_scale(self, parameter: torch.Tensor) -> torch.Tensor | None:
        """Return the factor by which a GradScaler multiplied the loss. `get_scale()` would wait for the device."""
        import torch

        if self._watched.scaler is not None and self._scale is None:
            self._scale = self._watched.scaler.scale(torch.ones((), device=parameter.device))
        return self._scale
