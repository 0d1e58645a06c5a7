"""The operation that made each tensor of a running model, known as long as the tensor lives.

Lives here: the edge of each live tensor, and the last operation that wrote into its memory. Must
not: keep a tensor alive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.weak import WeakIdKeyDictionary


class Origins:
    """The origins of the tensors of one run, in execution order."""

    def __init__(self) -> None:
        self.count = 0
        self._edges: Any = WeakIdKeyDictionary()
        self._writes: Any = WeakIdKeyDictionary()

    def made(self, tensor: torch.Tensor, edge: str) -> None:
        """Record the origin of a tensor."""
        self.count += 1
        self._edges[tensor] = (edge, self.count)

    def written(self, tensor: torch.Tensor) -> None:
        """Record that the operation that just made `tensor` wrote into memory shared with others."""
        self._writes[_memory(tensor)] = self._edges[tensor]

    def edges(self, tensors: Sequence[torch.Tensor]) -> list[str]:
        """Return the edges of tensors, followed by their control edges.

        If another view wrote into a tensor's memory after the tensor was made, a reader of the tensor depends on
        that write. A control edge ("^writer"), drawn dotted, says so.
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
    """Return how often a tensor's memory was written to. Inference mode does not count."""
    return -1 if tensor.is_inference() else tensor._version  # noqa: SLF001 - the counter has no other name


def _memory(tensor: torch.Tensor) -> torch.Tensor:
    base = tensor._base  # noqa: SLF001 - nor has this
    return tensor if base is None else base
