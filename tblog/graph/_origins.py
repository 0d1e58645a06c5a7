"""Which operation made a tensor, while the model runs: known as long as the tensor lives.

Lives here: the edge that each live tensor stands for, and who wrote last into its memory. Must
not: keep a tensor alive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.weak import WeakIdKeyDictionary


class Origins:
    """The origins of the tensors of one run, in the order in which they were made."""

    def __init__(self) -> None:
        self.count = 0
        self._edges: Any = WeakIdKeyDictionary()
        self._writes: Any = WeakIdKeyDictionary()

    def made(self, tensor: torch.Tensor, edge: str) -> None:
        """Note where a tensor comes from."""
        self.count += 1
        self._edges[tensor] = (edge, self.count)

    def written(self, tensor: torch.Tensor) -> None:
        """Note that the operation that just made `tensor` did so in memory that others see."""
        self._writes[_memory(tensor)] = self._edges[tensor]

    def edges(self, tensors: Sequence[torch.Tensor]) -> list[str]:
        """Return the edges that tensors stand for, and after them those that only say what ran before.

        What was written into a tensor's memory after the tensor was made, through another view of
        it, comes before whatever reads the tensor now: a control edge ("^writer"), drawn dotted.
        """
        edges, earlier = [], []
        for tensor in tensors:
            edge, at = self._edges.get(tensor, ("", 0))
            writer, written_at = self._writes.get(_memory(tensor), ("", 0))
            if edge:
                edges.append(edge)
            if written_at > at:
                earlier.append(f"^{writer.partition(':')[0]}")
        return edges + list(dict.fromkeys(earlier))


def version_of(tensor: torch.Tensor) -> int:
    """Return how often a tensor's memory was written to; it is not counted in inference mode."""
    return -1 if tensor.is_inference() else tensor._version  # noqa: SLF001 - the counter has no other name


def _memory(tensor: torch.Tensor) -> torch.Tensor:
    base = tensor._base  # noqa: SLF001 - nor has this
    return tensor if base is None else base
