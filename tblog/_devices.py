"""Copies of tensors that live on a GPU, made without waiting for it.

Lives here: the copy to pinned memory on the tensor's own stream, the event that says it has arrived,
exact widening of dtypes that numpy lacks. `defer_copy` runs on the caller's thread and returns at
once; `DeferredTensor` is read on the worker, which is the one to wait.

Where torch has no such copy (a backend without pinned memory), the caller waits for a plain one.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tblog.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def widen(tensor: Any) -> Any:
    """Return bfloat16 and float8 tensors as float32, which holds each of their values exactly."""
    name = str(tensor.dtype)
    return tensor.float() if name == "torch.bfloat16" or "float8" in name else tensor


class DeferredTensor:
    """A copy on its way to host memory."""

    def __init__(self, host: Any, arrived: Any) -> None:
        self._host = host
        self._arrived = arrived
        self.nbytes: int = host.numel() * host.element_size()

    def numpy(self) -> NDArray[np.generic]:
        """Wait for the copy and return it."""
        self._arrived.synchronize()
        array: NDArray[np.generic] = widen(self._host).numpy()
        return array

    def element(self, index: int) -> DeferredTensor:
        """Return one element of the first dimension; one copy serves many numbers."""
        return DeferredTensor(self._host[index], self._arrived)

    def __float__(self) -> float:
        """Wait for the copy of one number and return it."""
        self._arrived.synchronize()
        return float(self._host)


def defer_copy(tensor: Any) -> DeferredTensor | Any:
    """Start the copy of a detached, dense tensor to the host.

    Args:
        tensor: any shape and dtype, on any device but the CPU.

    Raises:
        InvalidValueError: while a CUDA graph is captured, when a copy would become part of the graph.
    """
    torch = sys.modules["torch"]
    if tensor.device.type == "cuda":
        return _defer_cuda_copy(torch, tensor)
    host = tensor.cpu()
    return host if host.dim() else host.item()


def defer_together(tensors: Sequence[Any]) -> list[DeferredTensor]:
    """Start one copy for CUDA tensors of one element each, of one device and dtype."""
    torch = sys.modules["torch"]
    together = torch.stack([tensor.detach().reshape(()) for tensor in tensors])
    copy = _defer_cuda_copy(torch, together)
    return [copy.element(index) for index in range(len(tensors))]


def _defer_cuda_copy(torch: Any, tensor: Any) -> DeferredTensor:
    if torch.cuda.is_current_stream_capturing():
        raise InvalidValueError(
            "a CUDA tensor was logged while a CUDA graph is captured; log it after the capture, "
            "or log the static output after each replay"
        )
    with torch.cuda.device(tensor.device):
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        arrived = torch.cuda.Event(blocking=True)
        arrived.record()
    return DeferredTensor(host, arrived)
