"""Counts the histogram of a GPU tensor on the GPU. 12 KB are copied instead of the tensor.

Runs on the caller's thread and waits for nothing: the operations are queued on the tensor's stream.
They sort the values and look up the edges among them. The result is exact and deterministic, because
no two threads of the GPU add to the same number. It works on every torch device, and the tests run it on the CPU.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import numpy as np

from tblog._values.devices import defer_copy, refuse_capture
from tblog._values.torch_tensors import is_ordinary
from tblog.records import CountedHistogramRecord
from tblog.summaries._bins import tensorflow_edges

# Values sorted at a time. Each needs 40 bytes of GPU memory.
_PIECE = 1 << 22
_LEAST = 1 << 18


def counted(tag: str, tensor: Any, max_bins: int | None) -> CountedHistogramRecord | None:
    """Start counting a tensor on its device, or return None if copying is cheaper or counting impossible.

    Raises:
        InvalidValueError: a CUDA graph is being captured.
    """
    torch = sys.modules["torch"]
    is_plain = tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_complex()
    if not (tensor.is_cuda and is_plain and is_ordinary(tensor) and tensor.numel() >= _LEAST):
        return None
    refuse_capture(torch)
    try:
        figures = count(tensor)
    except torch.OutOfMemoryError:
        return None
    return CountedHistogramRecord(
        tag=tag, figures=defer_copy(figures), size=tensor.numel(), max_bins=max_bins
    )


def count(tensor: Any) -> Any:
    """Return the contents of a tensor's histogram over TensorFlow's bins, on the tensor's device.

    Args:
        tensor: dense real numbers of any shape and dtype.

    Returns:
        The `figures` of a `CountedHistogramRecord`.
    """
    torch = sys.modules["torch"]
    flat = tensor.detach().reshape(-1)
    pieces = torch.stack([_count_piece(torch, piece) for piece in flat.split(_PIECE)])
    counts, moments = pieces[:, :-5].sum(0), pieces[:, -5:]
    number, low, high, total, squares = moments.unbind(1)
    extremes = [number.sum(), low.amin(), high.amax(), total.sum(), squares.sum()]
    return torch.cat([counts, torch.stack(extremes)])


def _count_piece(torch: Any, values: Any) -> Any:
    if values.dtype in {torch.float16, torch.bfloat16} or "float8" in str(values.dtype):
        values = values.float()
    elif not values.is_floating_point():
        values = values.double()
    finite = values.isfinite()
    ordered = values.where(finite, torch.inf).sort().values  # values that are not finite come last
    edges = _edges(values.dtype).to(values.device, non_blocking=True)
    below = torch.searchsorted(ordered, edges)
    wide = values.where(finite, 0).double()
    moments = [
        finite.sum(),
        ordered[0],
        values.where(finite, -torch.inf).amax(),
        wide.sum(),
        (wide * wide).sum(),
    ]
    return torch.cat([below.diff().double(), torch.stack([moment.double() for moment in moments])])


@lru_cache(maxsize=8)
def _edges(dtype: Any) -> Any:
    """Return the edges on the host, rounded up to a dtype. A value of that dtype is below both edges or neither."""
    torch = sys.modules["torch"]
    edges = tensorflow_edges().copy()
    edges[-1] = np.nextafter(edges[-1], np.inf)  # the last bin includes its upper edge
    if dtype is torch.float32:
        near = edges.astype(np.float32)
        edges = np.where(near < edges, np.nextafter(near, np.float32(np.inf)), near)
    host = torch.from_numpy(edges)
    return host.pin_memory() if torch.cuda.is_available() else host
