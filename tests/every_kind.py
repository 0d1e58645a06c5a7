"""One record of each kind, by calls that all three writers have."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def log_every_kind(log: Any, flavor: str) -> None:
    """Log each kind of record at steps 0 to 2."""
    rng = np.random.default_rng(0)
    for step in range(3):
        log.add_scalar("loss", 1 / (step + 1), step)
        log.add_histogram("weights", rng.normal(size=1000), step)
        log.add_image("noise", rng.integers(0, 255, (3, 5, 7), np.uint8), step)
        sound = rng.uniform(-1, 1, 400).astype(np.float32)
        log.add_audio(
            "beep", sound[:, None] if flavor == "tensorboardX" else sound[None], step, sample_rate=8000
        )
        log.add_text("note", f"*step* {step} ü", step)
        log.add_pr_curve("pr", rng.integers(0, 2, 100), rng.random(100), step, num_thresholds=20)
        vertices = rng.random((1, 6, 3)).astype(np.float32)
        log.add_mesh(
            "ball",
            as_tensor(vertices),
            as_tensor(np.full((1, 6, 3), 9)),
            as_tensor(np.full((1, 2, 3), 1)),
            None,
            step,
        )
    log.add_embedding(
        as_tensor(rng.random((4, 3)).astype(np.float32)), ["a", "b", "c", "d"], global_step=7, tag="words"
    )
    log.add_custom_scalars(
        {"first": {"pair": ["Multiline", ["loss", "acc"]], "band": ["Margin", ["m", "lo", "hi"]]}}
    )
    if flavor != "tensorboardX":
        log.add_tensor("raw", as_tensor(np.arange(6.0).reshape(2, 3)), 4)
    log.add_hparams({"lr": 0.1, "name": "x", "flag": True}, {"best": 0.5})


def as_tensor(array: NDArray[Any]) -> torch.Tensor:
    """Return an array as a torch tensor."""
    return torch.from_numpy(np.asarray(array))
