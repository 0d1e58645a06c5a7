"""Draw several curves in one chart by `add_scalars`, which makes a run for each key."""

from __future__ import annotations

import math
from pathlib import Path

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/add_scalars") -> None:
    """Log three waves under one tag."""
    with SummaryWriter(log_dir) as writer:
        for step in range(100):
            x = step / 10
            waves = {"sine": math.sin(x), "cosine": math.cos(x), "damped": math.exp(-x / 5) * math.sin(x)}
            writer.add_scalars("waves", waves, step)


if __name__ == "__main__":
    main()
