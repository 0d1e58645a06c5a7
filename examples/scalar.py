"""Log one number at each step: a curve on the Scalars page."""

from __future__ import annotations

import math
from pathlib import Path

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/scalar") -> None:
    """Log a sine."""
    with SummaryWriter(log_dir) as writer:
        for step in range(100):
            writer.add_scalar("sine", math.sin(step / 10), step)


if __name__ == "__main__":
    main()
