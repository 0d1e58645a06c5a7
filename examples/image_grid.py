"""Log a batch as one picture: a grid made by torchvision."""

from __future__ import annotations

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torchvision.utils import make_grid

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/image_grid") -> None:
    """Log 32 handwritten digits, eight in a row."""
    digits = torch.from_numpy(load_digits().images[:32]).unsqueeze(1) / 16
    with SummaryWriter(log_dir) as writer:
        writer.add_image("digits", make_grid(digits, nrow=8, padding=1, pad_value=0.5))


if __name__ == "__main__":
    main()
