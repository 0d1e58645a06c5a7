"""Counts the histogram of a large array in the call, without the interpreter lock. 12 KB are queued instead of a copy.

A copy would be of fresh memory: the system's work for its pages takes longer than counting, and the worker
would have to read it again. Small arrays, whose copies take memory that was used before, are counted by the worker.
Runs on the caller's thread. Without the compiled module, nothing is counted here.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tblog._native import compiled
from tblog._values.arrays import snapshot, to_numpy
from tblog._values.devices import is_widened
from tblog._values.torch_tensors import is_ordinary, is_torch_tensor
from tblog.records import CountedHistogramRecord
from tblog.summaries._bins import compiled_type, count_compiled

_LEAST = 1 << 14


def counted(tag: str, values: Any, max_bins: int | None) -> CountedHistogramRecord | None:
    """Count an array in the "tensorflow" bins, or return None if a snapshot is cheaper or counting impossible.

    Raises:
        UnsupportedTypeError: the values cannot be read.
    """
    if compiled is None:
        return None
    array, kind = _in_memory(values, tag)
    if kind is None or not array.flags.forc:
        return None
    counts, moments = count_compiled(array.ravel(order="K"), kind)
    return CountedHistogramRecord(
        tag=tag, figures=np.concatenate([counts, moments]), size=array.size, max_bins=max_bins
    )


def _in_memory(values: Any, tag: str) -> tuple[Any, str | None]:
    """Return the caller's own memory as an array, and its type for the count, None if it shall not be counted."""
    if type(values) is np.ndarray:
        return values, compiled_type(values) if values.size >= _LEAST else None
    if not (is_torch_tensor(values) and values.is_cpu and is_ordinary(values) and values.numel() >= _LEAST):
        return None, None
    torch = sys.modules["torch"]
    if values.layout is not torch.strided or values.is_quantized:
        return None, None
    is_narrow = values.dtype is torch.bfloat16  # which numpy lacks
    if is_widened(values.dtype) and not is_narrow:
        return None, None
    array = snapshot(values.detach().view(torch.int16) if is_narrow else values, tag, copy=False)
    return array, "bf2" if is_narrow else compiled_type(to_numpy(array))
