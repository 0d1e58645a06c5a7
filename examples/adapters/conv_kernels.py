"""Log the filters of convolutions: grids on the Images page, statistics on Scalars and Histograms."""

from __future__ import annotations

from pathlib import Path

from torchvision.models import resnet18, vgg11

from subjects import training_digits
from tblog import SummaryWriter
from tblog.adapters.conv_kernels import conv_kernels


def main(log_dir: str | Path = "runs/conv_kernels") -> None:
    """Log the kernels of a network in training, and of larger ones with random weights."""
    with SummaryWriter(log_dir) as writer:
        for epoch, model, _ in training_digits():
            writer.add_records(conv_kernels(model, tag="digits"), epoch)
        # weights="DEFAULT" if you can download them
        layers = ["conv1", "layer1.0.conv1", "layer2.0.downsample.0"]
        writer.add_records(conv_kernels(resnet18(), layers, tag="resnet18"))
        writer.add_records(conv_kernels(vgg11(), "features.3", channels=[0, 1, 2, 3], tag="vgg11"))


if __name__ == "__main__":
    main()
