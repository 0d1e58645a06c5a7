"""Log how the layers of a network learn, every tenth step: Time Series, Text and Custom Scalars pages."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from subjects import DigitNet, load_splits
from tblog import SummaryWriter
from tblog.adapters.parameters import ParameterWatch


def main(log_dir: str | Path = "runs/parameters") -> None:
    """Train the demo's network under watch with two learning rates, one of which kills units."""
    train, _ = load_splits(seed=0)
    for rate in (0.05, 1.0):
        torch.manual_seed(0)
        model = DigitNet()
        optimizer = torch.optim.SGD(model.parameters(), rate)
        with (
            SummaryWriter(f"{log_dir}/learning_rate_{rate}") as writer,
            ParameterWatch(model, every=10, histograms=True, writer=writer) as watch,
        ):
            writer.add_custom_scalars(watch.layout())
            for _ in range(301):
                batch = torch.randint(len(train), (64,))
                optimizer.zero_grad()
                functional.cross_entropy(model(train.images[batch]), train.labels[batch]).backward()
                optimizer.step()


if __name__ == "__main__":
    main()
