"""The packages of the originals, and the classes that tblog has replaced. Any thread may read them."""

from __future__ import annotations

TORCH, TENSORBOARDX = "torch.utils.tensorboard", "tensorboardX"

replaced: dict[str, dict[str, type]] = {}
"""The classes that `patch` has replaced, by package and name."""


def original(package: str, name: str) -> type | None:
    """Return the original class that tblog has replaced, or None if it has not replaced it."""
    return replaced.get(package, {}).get(name)
