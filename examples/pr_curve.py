"""Log precision against recall for a classifier of two classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/pr_curve") -> None:
    """Log the curve of a classifier that separates its classes better at each step."""
    generator = np.random.default_rng(seed=0)
    labels = generator.random(1000) < 0.3
    noise = generator.normal(size=1000)
    with SummaryWriter(log_dir) as writer:
        for step in range(5):
            predictions = 1 / (1 + np.exp(-(noise + labels * step)))
            writer.add_pr_curve("classifier", labels, predictions, step)


if __name__ == "__main__":
    main()
