"""Log what excites the filters of a layer: pictures grown from noise, on the Images page."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.models import vgg11

from subjects import MEAN, STD, training_digits
from tblog import SummaryWriter
from tblog.adapters.activation_maximization import activation_maximization


def main(log_dir: str | Path = "runs/activation_maximization") -> None:
    """Log what excites a network in training, epoch by epoch, and VGG-11 with random weights."""
    with SummaryWriter(log_dir) as writer:
        for epoch, model, _ in training_digits():
            filters = activation_maximization(model, "conv2", range(16), (1, 8, 8), tag="digits")
            writer.add_records(filters, epoch)
            # A mean of 0 and a standard deviation of 1 keep the pictures in the digits' range, 0 to 1.
            classes = activation_maximization(
                model, "classifier", range(10), (1, 8, 8), mean=0, std=1, tag="digits"
            )
            writer.add_records(classes, epoch)

        torch.manual_seed(0)
        network = vgg11()  # use weights="DEFAULT" if you can download them
        records = activation_maximization(
            network, "features.6", range(4), (3, 64, 64), mean=MEAN, std=STD, progress=True, tag="vgg11"
        )
        writer.add_records(records)


if __name__ == "__main__":
    main()
