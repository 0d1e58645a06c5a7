"""What the ranks of `python -m benchmarks.scale` log: the rank logs it, and the parent checks it."""

from __future__ import annotations


def tags_of(count: int) -> list[str]:
    """Return tags as long as the other benchmarks' tag, whose bytes are known."""
    return [f"loss/{number:05d}" for number in range(count)]


def value_of(rank: float, step: int) -> float:
    """Return the value of all tags of a rank at a step, exact in float32; of a mean rank, the mean over ranks."""
    return float(step + rank / 1024)
