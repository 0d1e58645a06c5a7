"""Log the outputs of layers in a forward pass that runs anyway: grids of maps on the Images page."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.models import resnet18, vgg11, vit_b_16

from subjects import photographs, training_digits
from tblog import SummaryWriter
from tblog.adapters.feature_maps import FeatureMaps


@torch.no_grad()
def log_larger_networks(writer: SummaryWriter) -> None:
    """Log maps of networks with random weights; use weights="DEFAULT" if you can download them."""
    pictures = photographs()
    model = resnet18().eval()
    with FeatureMaps(model, ["conv1", "layer?.0.conv1"], tag="resnet18") as maps:
        model(pictures)
    writer.add_records(maps.records())

    model = vgg11().eval()
    with FeatureMaps(model, "features.0", show="both", sample=1, channels=16, tag="vgg11") as maps:
        model(pictures)
    writer.add_records(maps.records())

    model = vit_b_16().eval()
    first = "encoder.layers.encoder_layer_0"
    with (
        FeatureMaps(model, f"{first}.self_attention", show="attention", tag="vit_attention") as attention,
        FeatureMaps(model, first, tag="vit_tokens") as tokens,
    ):
        model(pictures)
    writer.add_records(attention.records() + tokens.records())


def main(log_dir: str | Path = "runs/feature_maps") -> None:
    """Log maps of a network in training, and of larger ones with random weights."""
    with SummaryWriter(log_dir) as writer:
        for epoch, model, validation in training_digits():
            with FeatureMaps(model, ["conv1", "conv2"], scale="layer", tag="digits") as maps:
                model.eval()(validation.images)  # the evaluation that each epoch ends with
            writer.add_records(maps.records(), epoch)
        log_larger_networks(writer)


if __name__ == "__main__":
    main()
