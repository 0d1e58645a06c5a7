"""What is shown of a tensor: some channels, one sample, and no more rows and columns than fit.

Runs on the training thread; makes views, or copies of what is shown, and waits for no device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tblog.adapters._captions import counted
from tblog.errors import InvalidValueError

if TYPE_CHECKING:
    from torch import Tensor


def take(tensor: Tensor, which: int | Sequence[int], dim: int, what: str) -> Tensor:
    """Return the first so many slices of a tensor along an axis, as a view, or those of given indices.

    Args:
        tensor: any shape.
        which: how many, 1 or more, or the indices.
        dim: the axis.
        what: names the slices in an error, such as "conv1 channels".

    Raises:
        InvalidValueError: an index is outside, or there are none.
    """
    import torch

    size = tensor.shape[dim]
    if isinstance(which, int) and which > 0:
        return tensor.narrow(dim, 0, min(which, size))
    indices = () if isinstance(which, int) else which
    outside = [index for index in indices if not -size <= index < size]
    if outside or not len(indices):
        raise InvalidValueError(
            f"The {what} {outside or which!r} were asked for, of {size}; "
            f"give how many, or indices from 0 to {size - 1}"
        )
    # Not an index tensor, for which a GPU would be waited.
    return torch.stack([tensor.select(dim, index) for index in indices], dim=dim)


def names(which: int | Sequence[int], size: int) -> list[str]:
    """Return the indices of what `take` returns, counted from 0, as labels."""
    chosen = range(min(which, size)) if isinstance(which, int) else which
    return [str(index % size) for index in chosen]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Choose what is shown of an activation.

    Attributes:
        channels: how many, or their indices.
        sample: index in the batch.
        batch_dim: the axis of the batch.
        max_side: rows or columns of a map; longer ones are thinned.
    """

    channels: int | Sequence[int]
    sample: int
    batch_dim: int
    max_side: int

    def picture(self, inputs: Tensor) -> Tensor | None:
        """Return the sample of (N, C, H, W) inputs as (1, C, h, w), thinned as its maps; None if there is none."""
        if not -len(inputs) <= self.sample < len(inputs):
            return None
        return self._thinned(inputs[self.sample])[0][None]

    def maps(self, tensor: Tensor, name: str, axis: str) -> tuple[Tensor, str, list[str]]:
        """Return the maps to show, (n, H, W) or (n, P, H, W), the words that describe them, and the name of each.

        What is one picture has no names of its own.

        Args:
            tensor: an activation of 2 to 5 axes, detached.
            name: of the layer, for errors.
            axis: what a channel is called.

        Raises:
            InvalidValueError: the shape does not fit, or there is no such sample or channel.
        """
        shape = "x".join(map(str, tensor.shape))
        if not 2 <= tensor.dim() <= 5 or not tensor.numel():
            raise InvalidValueError(
                f"The layer {name} gave a tensor of shape ({shape}); wanted are 2 to 5 axes, such as "
                "(N, C, H, W) or (N, L, C), and some elements: choose another layer or give a transform"
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
                f"Sample {self.sample} was asked for, and {name} gave a batch of {size}, shape ({shape}); "
                f"give a sample from 0 to {size - 1}, or the right batch_dim"
            )
        return tensor.select(self.batch_dim, self.sample)
