"""Figures of layers, combined from those of single tensors. All of them stay tensors on their device.

A layer is a module with parameters of its own. Its figures cover all of these. Must not: wait
for the device. Runs on the training thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tblog.adapters._statistics import norm

if TYPE_CHECKING:
    import torch


class TensorFigures(NamedTuple):
    """The figures of one tensor: its norm, the shares that are dead or not finite, and its number of values."""

    norm: torch.Tensor
    dead: torch.Tensor
    nonfinite: torch.Tensor
    size: int


class Update(NamedTuple):
    """The norm of a parameter's change in a step, and its norm before the step."""

    change: torch.Tensor
    before: torch.Tensor


def of_layers(
    figures: Mapping[str, TensorFigures], owners: Mapping[str, str]
) -> dict[str, dict[str, torch.Tensor]]:
    """Return {"norm", "dead", "nonfinite"} of each layer.

    The largest parameter decides which units are dead: output units are slices of a weight, and a
    bias of zeros means nothing.

    Args:
        figures: the figures of tensors, by name.
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
    """Return the norm of each layer's change divided by its norm before, or NaN if that was 0."""
    together: dict[str, list[Update]] = {}
    for name, update in updates.items():
        together.setdefault(owners[name], []).append(update)
    return {layer: update_ratio(parts) for layer, parts in together.items()}


def update_ratio(updates: Iterable[Update]) -> torch.Tensor:
    """Return the norm of all changes together divided by the norm before, or NaN if that was 0."""
    import torch

    changes, befores = zip(*updates, strict=True)
    before = of_norms(befores)
    return torch.where(before > 0, of_norms(changes) / before, torch.nan)


def of_norms(norms: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return the norm of the concatenation of tensors with these norms, on the device of the first."""
    import torch

    first, *others = norms
    return norm(torch.stack([first, *(each.to(first.device) for each in others)])) if others else first


def _mean(parts: list[TensorFigures]) -> torch.Tensor:
    if len(parts) == 1:
        return parts[0].nonfinite
    device, total = parts[0].nonfinite.device, sum(each.size for each in parts)
    shares = [each.nonfinite.to(device) * (each.size / total) for each in parts]
    return sum(shares[1:], start=shares[0])
