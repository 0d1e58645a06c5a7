"""Log how a distribution changes over the steps: the Histograms and Distributions pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/histogram") -> None:
    """Log a normal distribution that moves and widens."""
    generator = np.random.default_rng(seed=0)
    with SummaryWriter(log_dir) as writer:
        for step in range(20):
            writer.add_histogram("normal", generator.normal(step / 5, 1 + step / 20, size=1000), step)


if __name__ == "__main__":
    main()
