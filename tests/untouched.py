"""What an adapter must leave unchanged in a model and in torch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

_HOOK_TABLES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def untouched(model: torch.nn.Module) -> Iterator[None]:
    """Assert that the block leaves the model, the random states and torch's modes exactly unchanged."""
    before = _seen(model)
    try:
        yield
    finally:
        after = _seen(model)
        assert after.keys() == before.keys()
        for name, value in before.items():
            assert _same(after[name], value), name


def _seen(model: torch.nn.Module) -> dict[str, Any]:
    seen = {
        "python's random state": random.getstate(),
        "numpy's random state": _listed(np.random.get_state()),  # noqa: NPY002  (the state that others use)
        "torch's random state": torch.get_rng_state(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "modules": [(name, id(module)) for name, module in model.named_modules()],
    }
    for name, module in model.named_modules():
        seen[f"mode of {name}"] = module.training
        for table in _HOOK_TABLES:
            seen[f"{table} of {name}"] = list(getattr(module, table).items())
    for name, parameter in model.named_parameters():
        seen[f"parameter {name}"] = (
            id(parameter),
            parameter.requires_grad,
            parameter.device,
            parameter._version,
        )
        seen[f"value of {name}"] = parameter.detach().clone()
        seen[f"hooks of {name}"] = list((parameter._backward_hooks or {}).items())
        seen[f"gradient of {name}"] = (
            id(parameter.grad),
            None if parameter.grad is None else parameter.grad.clone(),
        )
    for name, buffer in model.named_buffers():
        seen[f"buffer {name}"] = (id(buffer), buffer._version, buffer.clone())
    return seen


def _listed(state: Any) -> list[Any]:
    return [part.tolist() if hasattr(part, "tolist") else part for part in state]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
