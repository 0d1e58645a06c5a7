"""Statistics of a tensor that stay tensors on its device.

Must not: call anything that waits for the device (`item`, `tolist`, `float`, `nonzero`, indexing by masks).
Runs on the training thread, inside hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor's values, detached: the stored ones of a sparse tensor, both parts of complex numbers.

    Of a DTensor, which is distributed over processes, return those of this process. A reduction needs all
    processes, and a process that watches alone would wait for the others forever.
    """
    import torch

    values = tensor.detach()
    if hasattr(values, "to_local"):
        values = values.to_local()
    if values.is_sparse:
        values = values.coalesce().values()
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values


def norm(values: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean norm, summed in float32 or a wider dtype."""
    import torch

    size: torch.Tensor = torch.linalg.vector_norm(
        values, dtype=torch.promote_types(values.dtype, torch.float32)
    )
    return size


def nonfinite_share(values: torch.Tensor) -> torch.Tensor:
    """Return the share of values that are NaN or infinite."""
    # Times 0 gives 0 for finite values and NaN for others, in fewer passes than isfinite().
    return values.mul(0).count_nonzero() / values.numel()


def dead_share(values: torch.Tensor, axis: int) -> torch.Tensor:
    """Return the share of units, the slices along an axis, that are all zero."""
    import torch

    others = [other for other in range(values.dim()) if other != axis % values.dim()]
    greatest = values.abs().amax(others) if others else values
    return greatest.eq(0).mean(dtype=torch.float32)


def sample(values: torch.Tensor, most: int | None) -> torch.Tensor:
    """Return a flat copy of the values, or of at most `most` evenly spaced ones."""
    flat = values.reshape(-1)
    if most is None or len(flat) <= most:
        return flat.clone()
    # With an odd stride, rows whose length is a power of two do not always give the same columns.
    stride = -(-len(flat) // most) | 1
    return flat[::stride].clone()
