"""Log which parts of a picture speak for a class: class activation maps on the Images page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torchvision.models import resnet18, swin_t, vit_b_16

from subjects import MEAN, STD, photographs, trained_digits
from tblog import SummaryWriter
from tblog.adapters.cam import class_activation_maps, swin_reshape, vit_reshape

LAYER = "pool"  # after the last convolution's ReLU: before it, negative evidence counts as well
METHODS = ["GradCAM", "GradCAM++", "ScoreCAM", "AblationCAM", "LayerCAM", "EigenCAM"]


def log_digits(writer: SummaryWriter) -> None:
    """Log maps of the demo's network for the predicted digits, by several methods and for another class."""
    model, validation = trained_digits()
    digits, labels = validation.images[:6], validation.labels[:6]
    for method in METHODS:
        records = class_activation_maps(
            model, digits, LAYER, method, mean=0, std=1, labels=labels, tag="digits"
        )
        writer.add_records(records)
    writer.add_records(class_activation_maps(model, digits, None, "FullGrad", mean=0, std=1, tag="digits"))
    eights = class_activation_maps(model, digits, LAYER, targets=8, mean=0, std=1, tag="digits_as_eights")
    writer.add_records(eights)


def log_larger_networks(writer: SummaryWriter) -> None:
    """Log maps of networks with random weights; use weights="DEFAULT" if you can download them."""
    torch.manual_seed(0)
    pictures = photographs()
    drawn: dict[str, Any] = {"mean": MEAN, "std": STD}
    writer.add_records(
        class_activation_maps(resnet18(), pictures, ["layer2", "layer4"], tag="resnet18", **drawn)
    )

    model = vit_b_16()
    torch.nn.init.normal_(model.heads.head.weight, std=0.02)  # without weights it is 0, and so is every map
    layer = "encoder.layers.encoder_layer_11.ln_1"
    writer.add_records(
        class_activation_maps(model, pictures, layer, reshape_transform=vit_reshape, tag="vit", **drawn)
    )
    writer.add_records(
        class_activation_maps(swin_t(), pictures, "norm", reshape_transform=swin_reshape, tag="swin", **drawn)
    )


def main(log_dir: str | Path = "runs/cam") -> None:
    """Log maps of a trained network and of larger ones with random weights."""
    with SummaryWriter(log_dir) as writer:
        log_digits(writer)
        log_larger_networks(writer)


if __name__ == "__main__":
    main()
