"""Where the originals live, and the classes whose place tblog's have taken; any thread may ask."""

from __future__ import annotations

TORCH, TENSORBOARDX = "torch.utils.tensorboard", "tensorboardX"

replaced: dict[str, dict[str, type]] = {}
"""The classes that `patch` has replaced, by package and name."""


def original(package: str, name: str) -> type | None:
    """Return the class whose place tblog's has taken, or None where nothing is replaced."""
    return replaced.get(package, {}).get(name)
