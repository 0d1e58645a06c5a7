"""Copies tensors from a GPU without waiting for it.

Lives here: the copy to pinned memory on the tensor's own stream, the event that signals its arrival,
exact widening of dtypes that numpy lacks. `defer_copy` runs on the caller's thread and returns at
once. The worker reads the `DeferredTensor` and may wait.
If torch has no such copy (Apple's MPS, a backend without pinned memory), the caller waits for a plain one.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tblog.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


# Devices that can copy to pinned memory asynchronously, and how the worker waits without spinning.
_EVENT_OPTIONS = {"cuda": {"blocking": True}, "xpu": {}}


def is_deferrable(tensor: Any) -> bool:
    """Return whether a tensor can be copied to the host without waiting."""
    return tensor.device.type in _EVENT_OPTIONS


def is_widened(dtype: Any) -> bool:
    """Return whether numpy lacks a torch dtype, and float32 represents it exactly."""
    name = str(dtype)
    return name == "torch.bfloat16" or "float8" in name


def widen(tensor: Any) -> Any:
    """Return bfloat16 and float8 tensors as float32, which represents each of their values exactly."""
    return tensor.float() if is_widened(tensor.dtype) else tensor


class DeferredTensor:
    """A pending copy to host memory."""

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
        """Return one element of the first dimension. One copy serves many numbers."""
        return DeferredTensor(self._host[index], self._arrived)

    def __float__(self) -> float:
        """Wait for the copy of one number and return it."""
        self._arrived.synchronize()
        return float(self._host)


def defer_copy(tensor: Any) -> DeferredTensor:
    """Start the copy of a detached, dense, deferrable tensor to the host.

    Args:
        tensor: a tensor of any shape and dtype.

    Raises:
        InvalidValueError: a CUDA graph is being captured, and the copy would become part of it.
    """
    return _defer(sys.modules["torch"], tensor)


def defer_together(tensors: Sequence[Any]) -> list[DeferredTensor]:
    """Start one copy of deferrable tensors with one element each, on one device and of one dtype."""
    torch = sys.modules["torch"]
    together = torch.stack([tensor.detach().reshape(()) for tensor in tensors])
    copy = _defer(torch, together)
    return [copy.element(index) for index in range(len(tensors))]


def refuse_capture(torch: Any) -> None:
    """Raise if the stream is being captured: a copy would become part of the graph.

    Raises:
        InvalidValueError: a CUDA graph is being captured.
    """
    if torch.cuda.is_current_stream_capturing():
        raise InvalidValueError(
            "a CUDA tensor was logged while a CUDA graph was being captured; log it after the capture, "
            "or log the static output after each replay"
        )


def _defer(torch: Any, tensor: Any) -> DeferredTensor:
    device = tensor.device
    if device.type == "cuda":
        refuse_capture(torch)
    module = getattr(torch, device.type)
    with module.device(device):
        host = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        arrived = module.Event(**_EVENT_OPTIONS[device.type])
        arrived.record()
    return DeferredTensor(host, arrived)
