"""The part of a tensor to show: some channels, one sample, and as many rows and columns as fit.

Runs on the training thread. Makes views, or copies of what is shown, and never waits for a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tblog.adapters._captions import counted
from tblog.errors import InvalidValueError, shortened

if TYPE_CHECKING:
    from torch import Tensor


def take(tensor: Tensor, which: int | Sequence[int], dim: int, what: str) -> Tensor:
    """Return the first slices of a tensor along an axis, as a view, or the slices with given indices.

    Args:
        tensor: a tensor of any shape.
        which: the number of slices, 1 or more, or their indices.
        dim: the axis.
        what: the name of the slices in an error, such as "conv1 channels".

    Raises:
        InvalidValueError: an index is out of range, or there are no slices.
    """
    import torch

    size = tensor.shape[dim]
    if isinstance(which, int) and which > 0:
        return tensor.narrow(dim, 0, min(which, size))
    indices = () if isinstance(which, int) else which
    outside = [index for index in indices if not -size <= index < size]
    if outside or not len(indices):
        raise InvalidValueError(
            f"The {what} were {shortened(outside or which)}, but there are {size}; "
            f"give how many, or indices from 0 to {size - 1}"
        )
    # Not an index tensor, which would make the call wait for a GPU.
    return torch.stack([tensor.select(dim, index) for index in indices], dim=dim)


def names(which: int | Sequence[int], size: int) -> list[str]:
    """Return the indices of what `take` returns, counted from 0, as labels."""
    chosen = range(min(which, size)) if isinstance(which, int) else which
    return [str(index % size) for index in chosen]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Choose what is shown of an activation.

    Attributes:
        channels: the number of channels, or their indices.
        sample: the index in the batch.
        batch_dim: the axis of the batch.
        max_side: the maximum number of rows or columns of a map. Larger maps are subsampled.
    """

    channels: int | Sequence[int]
    sample: int
    batch_dim: int
    max_side: int

    def picture(self, inputs: Tensor) -> Tensor | None:
        """Return the sample of (N, C, H, W) inputs as (1, C, h, w), subsampled like its maps, or None."""
        if not -len(inputs) <= self.sample < len(inputs):
            return None
        return self._thinned(inputs[self.sample])[0][None]

    def maps(self, tensor: Tensor, name: str, axis: str) -> tuple[Tensor, str, list[str]]:
        """Return the maps to show, (n, H, W) or (n, P, H, W), a description, and the name of each map.

        A single map has no name.

        Args:
            tensor: a detached activation of 2 to 5 axes.
            name: the name of the layer, for errors.
            axis: the noun for a channel.

        Raises:
            InvalidValueError: the shape does not fit, or there is no such sample or channel.
        """
        shape = "x".join(map(str, tensor.shape))
        if not 2 <= tensor.dim() <= 5 or not tensor.numel():
            raise InvalidValueError(
                f"The layer {name} returned a tensor of shape ({shape}), which is empty or does not have 2 to 5 axes, such as "
                "(N, C, H, W) or (N, L, C); choose another layer or give a transform"
            )
        tensor = tensor.abs() if tensor.is_complex() else tensor
        if tensor.dim() == 2:
            rows = tensor.movedim(self.batch_dim, 0)
            shown = take(rows, self.channels, 0, f"{name} samples")
            return (
                shown[None],
                f"{counted(len(shown), len(rows), 'sample')} down, features across · {shape}",
                [],
            )
        one = self._one(tensor, name, shape)
        if one.dim() == 2:
            shown = take(one.t(), self.channels, 0, f"{name} {axis}s")
            words = counted(len(shown), one.shape[1], axis)
            return shown[None], f"{words} down, positions across · {shape}", []
        thinned, step = self._thinned(one)
        shown = take(thinned, self.channels, 0, f"{name} {axis}s")
        left_out = f", 1 of {step} rows and columns" if step > 1 else ""
        return (
            shown,
            f"{counted(len(shown), len(one), axis)}{left_out} · {shape}",
            names(self.channels, len(one)),
        )

    def _thinned(self, maps: Tensor) -> tuple[Tensor, int]:
        step = -(-max(maps.shape[-2:]) // self.max_side)
        return maps[..., ::step, ::step], step

    def _one(self, tensor: Tensor, name: str, shape: str) -> Tensor:
        size = tensor.shape[self.batch_dim]
        if not -size <= self.sample < size:
            raise InvalidValueError(
                f"sample was {self.sample}, but {name} returned a batch of {size}, shape ({shape}); "
                f"give a sample from 0 to {size - 1}, or the right batch_dim"
            )
        return tensor.select(self.batch_dim, self.sample)
