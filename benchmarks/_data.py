"""What the trials log: the same values in the child that logs and in the parent that reads back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TAG = "train/loss"


def floats(count: int, seed: int = 0) -> list[float]:
    """Return `count` Python floats, positive and negative, none of them exact in float32."""
    return [float(value) for value in array(count, seed)]


def array(count: int, seed: int = 0) -> NDArray[np.float64]:
    """Return the values of `floats` as float64."""
    import numpy as np

    return np.random.default_rng(seed).standard_normal(count)


def tags(count: int) -> list[str]:
    """Return `count` names of series, like those of training programs."""
    return [f"layer{index:05d}/loss" for index in range(count)]


def photograph(seed: int = 0, side: int = 512) -> NDArray[np.uint8]:
    """Return a picture that compresses like a photograph: smooth shapes and a little noise, (3, H, W)."""
    import numpy as np

    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    planes = [
        sum(
            np.sin(2 * np.pi * (random.uniform(-4, 4, 2) @ [y.ravel(), x.ravel()] + random.uniform()))
            for _ in range(6)
        )
        for _ in range(3)
    ]
    picture = np.stack(planes).reshape(3, side, side) * 30 + 128 + random.normal(0, 4, (3, side, side))
    return picture.clip(0, 255).astype(np.uint8)


def drawing(seed: int = 0, side: int = 512) -> NDArray[np.uint8]:
    """Return a picture that compresses well: squares of few colours, (3, H, W)."""
    import numpy as np

    y, x = np.mgrid[0:side, 0:side] // 64
    return np.stack([(x + y) * 15, x * 30, (y + seed) * 20]).astype(np.uint8)


def unusual_arrays() -> dict[str, NDArray[Any]]:
    """Return arrays, by name, on which a histogram's shortcuts go wrong."""
    import numpy as np

    random = np.random.default_rng(7)
    normal = random.standard_normal(50_000)
    return {
        "float64": normal,
        "float16": normal.astype(np.float16),
        "denormal": (normal * 1e-40).astype(np.float32),
        "huge": (np.sign(normal) * 10.0 ** random.uniform(15, 38, 50_000)).astype(np.float32),
        "wide": (normal * 10.0 ** random.uniform(-30, 30, 50_000)).astype(np.float32),
        "int64": random.integers(-(2**40), 2**40, 50_000),
        "uint8": random.integers(0, 256, 50_000).astype(np.uint8),
        "bool": normal > 0,
        "with NaN": np.where(normal > 1, np.nan, normal).astype(np.float32),
        "on the edges": (1e-12 * 1.1 ** random.integers(0, 700, 50_000)).astype(np.float64),
    }
