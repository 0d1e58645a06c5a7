"""The figures of a step, and their transfer from the devices to the worker. Runs on the training thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tblog._values.arrays import snapshot, to_numpy
from tblog._values.devices import DeferredTensor

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class StepFigures:
    """Numbers of the whole model, numbers of layers by quantity, and values for histograms.

    A number is a tensor on its device. After `read_together`, it is an object with `__float__`.
    """

    totals: Mapping[str, Any]
    layers: Mapping[str, Mapping[str, Any]]
    histograms: Mapping[str, torch.Tensor]


def read_together(figures: StepFigures, tag: str) -> StepFigures:
    """Return the figures with numbers that the worker can read. There is one copy for each device.

    Args:
        figures: figures whose numbers are tensors.
        tag: the tag to name in errors.
    """
    import torch

    whole = ""  # no quantity has this name
    table = {whole: figures.totals, **figures.layers}
    by_device: dict[torch.device, list[tuple[str, str]]] = {}
    for quantity, numbers in table.items():
        for name, value in numbers.items():
            by_device.setdefault(value.device, []).append((quantity, name))
    read: dict[str, dict[str, Any]] = {quantity: {} for quantity in table}
    for places in by_device.values():
        copy = snapshot(torch.stack([table[quantity][name].float() for quantity, name in places]), tag)
        for (quantity, name), number in zip(places, _elements(copy, len(places)), strict=True):
            read[quantity][name] = number
    return StepFigures(totals=read.pop(whole), layers=read, histograms=figures.histograms)


def _elements(copy: Any, number: int) -> list[Any]:
    if isinstance(copy, DeferredTensor):
        return [copy.element(index) for index in range(number)]
    numbers: list[Any] = to_numpy(copy).tolist()
    return numbers
