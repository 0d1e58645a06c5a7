"""Show a model on the Graphs page."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/graph") -> None:
    """Log the graph of a small convolutional network."""
    model = nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 14 * 14, 10),
    )
    with SummaryWriter(log_dir) as writer:
        writer.add_graph(model, torch.zeros(1, 1, 28, 28))


if __name__ == "__main__":
    main()
