"""Log a batch at each step: TensorBoard's slider goes through the steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_sample_images

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/images") -> None:
    """Log two photographs as they fade."""
    photographs = np.stack(load_sample_images().images) / 255
    with SummaryWriter(log_dir) as writer:
        for step in range(5):
            writer.add_images("photographs", photographs * (1 - step / 5), step, dataformats="NHWC")


if __name__ == "__main__":
    main()
