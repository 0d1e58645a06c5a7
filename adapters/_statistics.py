"""What is told of a tensor without looking at it: all results stay tensors on its device.

Must not: call anything that waits for the device (`item`, `tolist`, `float`, `nonzero`, indexing by masks).
Runs on the training thread, inside hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor's values, detached: of a sparse one those that are stored, of complex numbers both parts.

    Of a DTensor, which is spread over processes, they are those of this process: reducing needs all
    processes, and one that watches alone would wait for the others for ever.
    """
    import torch

    values = tensor.detach()
    if hasattr(values, "to_local"):
        values = values.to_local()
    if values.is_sparse:
        values = values.coalesce().values()
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values


def norm(values: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean norm, added up in float32 at least."""
    import torch

    size: torch.Tensor = torch.linalg.vector_norm(
        values, dtype=torch.promote_types(values.dtype, torch.float32)
    )
    return size


def nonfinite_share(values: torch.Tensor) -> torch.Tensor:
    """Return which share of the values is NaN or infinite."""
    # Times 0 is 0 for what is finite and NaN for the rest, in fewer passes than isfinite() takes.
    return values.mul(0).count_nonzero() / values.numel()


def dead_share(values: torch.Tensor, axis: int) -> torch.Tensor:
    """Return which share of the units, the slices along an axis, is zero everywhere else."""
    import torch

    others = [other for other in range(values.dim()) if other != axis % values.dim()]
    greatest = values.abs().amax(others) if others else values
    return greatest.eq(0).mean(dtype=torch.float32)


def sample(values: torch.Tensor, most: int | None) -> torch.Tensor:
    """Return a flat copy of the values, or of so many at most, evenly spaced."""
    flat = values.reshape(-1)
    if most is None or len(flat) <= most:
        return flat.clone()
    # An odd stride does not fall into step with rows whose length is a power of two.
    stride = -(-len(flat) // most) | 1
    return flat[::stride].clone()
