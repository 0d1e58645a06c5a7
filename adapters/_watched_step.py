"""What one training step shows of its parameters, gradients and activations.

Lives here: the hooks of one watched step, what they compute, and the records made of it. Must not:
decide which step is watched (`parameters.py` does), or wait for the device.
Runs on the training thread, inside forward and backward passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tblog._values.arrays import snapshot, to_numpy
from tblog._values.devices import DeferredTensor
from tblog.adapters._hooks import Hooks
from tblog.adapters._statistics import dead_share, nonfinite_share, norm, plain, sample, update_ratio
from tblog.records import HistogramRecord, Record, ScalarRecord

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What is watched, and what is told of it; see `ParameterWatch`."""

    parameters: Mapping[str, torch.Tensor]
    layers: Mapping[str, nn.Module]
    tells_parameters: bool
    tells_gradients: bool
    histograms: bool
    max_values: int | None
    scaler: torch.amp.GradScaler | None
    tag: str


class WatchedStep:
    """Gather figures from hooks; what a later pass of the same step shows takes the place of the earlier."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._scalars: dict[str, torch.Tensor] = {}
        self._histograms: dict[str, torch.Tensor] = {}
        self._before: dict[str, torch.Tensor] = {}
        self._reached: torch.Tensor | None = None  # the last parameter that got a gradient
        self._scale: torch.Tensor | None = None
        self._hooks = Hooks()
        for name, parameter in watched.parameters.items():
            if parameter.requires_grad:
                self._hooks.after_accumulation(parameter, partial(self._on_gradient, name))
        for name, layer in watched.layers.items():
            self._hooks.forward(layer, partial(self._on_output, name))

    def gradients_were_cleared(self) -> bool:
        """Return whether there were gradients, and they were set to None since."""
        return self._reached is not None and self._reached.grad is None

    def end(self) -> None:
        """Take the hooks off."""
        self._hooks.remove()

    def finish(self) -> list[Record]:
        """Look at the parameters as they are after the step, and return what was gathered."""
        import torch

        self.end()
        if self._watched.tells_parameters:
            with torch.no_grad():
                for name, parameter in self._watched.parameters.items():
                    self._look_at_parameter(name, plain(parameter))
        for kind in ("parameter", "gradient"):
            norms = [
                value for quantity, value in self._scalars.items() if quantity.startswith(f"{kind}_norm/")
            ]
            if norms:
                self._scalars[f"{kind}_norm/all"] = norm(
                    torch.stack([each.to(norms[0].device) for each in norms])
                )
        prefix = f"{self._watched.tag}/" if self._watched.tag else ""
        return [
            *_scalar_records(prefix, self._scalars),
            *(
                HistogramRecord(tag=prefix + name, values=snapshot(values, prefix + name, copy=False))
                for name, values in self._histograms.items()
            ),
        ]

    def _look_at_parameter(self, name: str, values: torch.Tensor) -> None:
        self._look_at("parameter", name, values, axis=0)
        if name in self._before:
            self._scalars[f"update_ratio/{name}"] = update_ratio(self._before[name], values)

    def _on_gradient(self, name: str, parameter: torch.Tensor) -> None:
        import torch

        if parameter.grad is None:
            return  # a hook before this one made its step and let the gradient go
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
        self, kind: str, name: str, values: torch.Tensor, *, axis: int, scale: torch.Tensor | None = None
    ) -> None:
        if not values.numel():
            return
        size = norm(values)
        self._scalars[f"{kind}_norm/{name}"] = size if scale is None else size / scale
        self._scalars[f"{kind}_dead/{name}"] = dead_share(values, axis)
        self._scalars[f"{kind}_nonfinite/{name}"] = nonfinite_share(values)
        if self._watched.histograms:
            drawn = sample(values, self._watched.max_values)
            self._histograms[f"{kind}s/{name}"] = drawn if scale is None else drawn / scale

    def _gradients_scale(self, parameter: torch.Tensor) -> torch.Tensor | None:
        """Return what a GradScaler multiplied the loss by; `get_scale()` would wait for the device."""
        import torch

        if self._watched.scaler is not None and self._scale is None:
            self._scale = self._watched.scaler.scale(torch.ones((), device=parameter.device))
        return self._scale


def _scalar_records(prefix: str, scalars: Mapping[str, torch.Tensor]) -> list[ScalarRecord]:
    """Return a record for each number; all numbers of a device travel to the host in one copy."""
    import torch

    by_device: dict[torch.device, list[str]] = {}
    for name, value in scalars.items():
        by_device.setdefault(value.device, []).append(name)
    records: list[ScalarRecord] = []
    for names in by_device.values():
        copy = snapshot(torch.stack([scalars[name].float() for name in names]), prefix, copy=False)
        values = (
            [copy.element(index) for index in range(len(names))]
            if isinstance(copy, DeferredTensor)
            else to_numpy(copy).tolist()
        )
        records += [
            ScalarRecord(tag=prefix + name, value=value) for name, value in zip(names, values, strict=True)
        ]
    return records
