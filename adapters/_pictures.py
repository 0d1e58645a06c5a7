"""Inputs of a model as images: without normalization, one channel in grey, three in colour.

Runs on the worker thread, except for the check of `mean` and `std`. Imports neither torch nor matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tblog.errors import InvalidValueError, shortened

ChannelValues: TypeAlias = "float | Sequence[float] | None"


def as_pictures(inputs: NDArray[Any], mean: ChannelValues, std: ChannelValues) -> NDArray[np.uint8]:
    """Turn (n, C, H, W) inputs of a model into (n, H, W, 3) uint8 images.

    Args:
        inputs: one channel is drawn in grey, three in colour, and of any other number their mean.
        mean: with `std`, undoes a normalization: inputs * std + mean is in [0, 1]. One number for
            each channel, or one for all. Without them, each input outside [0, 1] is scaled to that range.
        std: see `mean`.
    """
    pictures = inputs.astype(np.float32)
    if std is not None:
        pictures *= np.asarray(std, np.float32).reshape(-1, 1, 1)
    if mean is not None:
        pictures += np.asarray(mean, np.float32).reshape(-1, 1, 1)
    pictures = np.nan_to_num(pictures, posinf=1.0, neginf=0.0)
    if mean is None and std is None and (pictures.min() < 0 or pictures.max() > 1):
        axes = (1, 2, 3)
        low, high = pictures.min(axes, keepdims=True), pictures.max(axes, keepdims=True)
        pictures = (pictures - low) / np.where(high > low, high - low, 1.0)
    if pictures.shape[1] != 3:
        pictures = pictures.mean(axis=1, keepdims=True).repeat(3, axis=1)
    colors: NDArray[np.uint8] = np.rint(pictures.transpose(0, 2, 3, 1).clip(0, 1) * 255).astype(np.uint8)
    return colors


def require_channel_values(channels: int | None, mean: ChannelValues, std: ChannelValues) -> None:
    """Raise if only one of `mean` and `std` is given, or if they have a wrong number of values.

    Args:
        channels: the number of channels of the inputs, or None if it is not known yet.
        mean: one number, one for each channel, or None.
        std: as `mean`.

    Raises:
        InvalidValueError: only one is given, or one has neither one value nor one for each channel.
    """
    for name, values in (("mean", mean), ("std", std)):
        if channels is not None and values is not None and np.size(values) not in {1, channels}:
            raise InvalidValueError(
                f"{name} was {shortened(values)}, but the inputs have {channels} channels; give one number for each"
            )
    if (mean is None) != (std is None):
        given, missing = ("mean", "std") if std is None else ("std", "mean")
        raise InvalidValueError(
            f"got {given} without {missing}; give both, so that inputs * std + mean is in [0, 1]"
        )
