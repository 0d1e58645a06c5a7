"""The attention weights of a layer that does not return them.

Runs on the caller's thread, in a forward hook. Most transformers call `nn.MultiheadAttention` without
weights, and others get them averaged over the heads. So this module computes them a second time.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tblog.errors import InvalidValueError

if TYPE_CHECKING:
    from torch import Tensor, nn


def attention_type() -> type[nn.MultiheadAttention]:
    """Return the type of the layers whose weights can be computed."""
    from torch import nn

    return nn.MultiheadAttention


def attention_weights(
    layer: nn.MultiheadAttention, args: tuple[Any, ...], kwargs: dict[str, Any], sample: int
) -> Tensor:
    """Compute the weights of each head for one sample, (1, heads, L, S), without dropout.

    Args:
        layer: the layer. Its mode is restored.
        args: its positional arguments.
        kwargs: its keyword arguments.
        sample: the index in the batch. 0 or -1 if there is no batch.

    Raises:
        InvalidValueError: the batch has no such sample.
    """
    import torch

    given = inspect.signature(layer.forward).bind(*args, **kwargs).arguments
    if given["query"].dim() == 3:
        _keep_sample(given, sample, axis=0 if layer.batch_first else 1, heads=layer.num_heads)
    given |= {"need_weights": True, "average_attn_weights": False}
    training = layer.training
    layer.training = False  # not eval(), which would also set the children
    try:
        with torch.no_grad():
            _, weights = layer.forward(**given)
    finally:
        layer.training = training
    assert weights is not None
    return weights if weights.dim() == 4 else weights.unsqueeze(0)


def _keep_sample(given: dict[str, Any], sample: int, axis: int, heads: int) -> None:
    size = given["query"].shape[axis]
    if not -size <= sample < size:
        raise InvalidValueError(
            f"sample was {sample}, in a batch of {size}; give an index from 0 to {size - 1}"
        )
    start = sample % size
    for name in ("query", "key", "value"):
        given[name] = given[name].narrow(axis, start, 1)
    if given.get("key_padding_mask") is not None:
        given["key_padding_mask"] = given["key_padding_mask"].narrow(0, start, 1)
    mask = given.get("attn_mask")
    if mask is not None and mask.dim() == 3:
        given["attn_mask"] = mask.narrow(0, start * heads, heads)
