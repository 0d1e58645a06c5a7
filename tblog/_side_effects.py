"""What running a model changes beside its modules: random states and gradients. Saved, and restored afterwards.

Lives here: what the reader of graphs and the adapters both need. They keep the modules themselves in ways of their own:
a reader may replace anything in them, an adapter works beside a training step whose buffers and graphs it must not
touch.
Runs on the caller's thread. Nothing here waits for a device.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Restore the random states of Python, numpy, torch on the CPU and, if it is in use, CUDA."""
    import torch

    with ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002 - the state that others use
        stack.callback(torch.set_rng_state, torch.get_rng_state())
        if torch.cuda.is_initialized():
            stack.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
        yield


def take_gradients(model: nn.Module, stack: ExitStack) -> None:
    """Remove the gradients of the parameters; `stack` restores the same tensors, and the flags `requires_grad`."""
    for parameter in model.parameters():
        for name in ("grad", "requires_grad"):
            stack.callback(_put_back, parameter, name, getattr(parameter, name))
        if parameter.grad is not None:
            parameter.grad = None


def _put_back(parameter: nn.Parameter, name: str, value: Any) -> None:
    if getattr(parameter, name) is not value:  # torch rejects some values even if they are already set
        setattr(parameter, name, value)
