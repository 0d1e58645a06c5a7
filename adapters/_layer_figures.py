"""What a step showed of single tensors, put together to figures of layers: all stay tensors on their device.

A layer is a module with parameters of its own, and its figures are those of all of them. Must not: wait
for the device. Runs on the training thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tblog.adapters._statistics import norm

if TYPE_CHECKING:
    import torch


class TensorFigures(NamedTuple):
    """What is told of one tensor: its norm, which shares of it are dead or not finite, and how many values it has."""

    norm: torch.Tensor
    dead: torch.Tensor
    nonfinite: torch.Tensor
    size: int


class Update(NamedTuple):
    """The norm of a parameter's change in a step, and its norm before."""

    change: torch.Tensor
    before: torch.Tensor


def of_layers(
    figures: Mapping[str, TensorFigures], owners: Mapping[str, str]
) -> dict[str, dict[str, torch.Tensor]]:
    """Return {"norm", "dead", "nonfinite"} of each layer.

    What is dead is told by the largest of its parameters: output units are slices of a weight, and a
    bias of zeros says nothing.

    Args:
        figures: of tensors, by name.
        owners: the layer of each tensor.
    """
    together: dict[str, list[TensorFigures]] = {}
    for name, each in figures.items():
        together.setdefault(owners[name], []).append(each)
    return {
        layer: {
            "norm": of_norms(each.norm for each in parts),
            "dead": max(parts, key=lambda each: each.size).dead,
            "nonfinite": _mean(parts),
        }
        for layer, parts in together.items()
    }


def update_ratios(updates: Mapping[str, Update], owners: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Return the norm of each layer's change over its norm before; NaN where that was 0."""
    together: dict[str, list[Update]] = {}
    for name, update in updates.items():
        together.setdefault(owners[name], []).append(update)
    return {layer: update_ratio(parts) for layer, parts in together.items()}


def update_ratio(updates: Iterable[Update]) -> torch.Tensor:
    """Return the norm of all changes together over the norm of what was there before; NaN where that was 0."""
    import torch

    changes, befores = zip(*updates, strict=True)
    before = of_norms(befores)
    return torch.where(before > 0, of_norms(changes) / before, torch.nan)


def of_norms(norms: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return the norm of what has these norms, all of it together, on the device of the first."""
    import torch

    first, *others = norms
    return norm(torch.stack([first, *(each.to(first.device) for each in others)])) if others else first


def _mean(parts: list[TensorFigures]) -> torch.Tensor:
    if len(parts) == 1:
        return parts[0].nonfinite
    device, total = parts[0].nonfinite.device, sum(each.size for each in parts)
    shares = [each.nonfinite.to(device) * (each.size / total) for each in parts]
    return sum(shares[1:], start=shares[0])
