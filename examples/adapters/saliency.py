"""Log how much each pixel counts for a class: saliency maps on the Images page."""

from __future__ import annotations

from pathlib import Path

from torchvision.models import vgg11

from subjects import MEAN, STD, photographs, trained_digits
from tblog import SummaryWriter
from tblog.adapters.saliency import saliency_maps

METHODS = ["gradient", "input_x_gradient", "guided_backprop", "smooth_grad", "integrated_gradients"]


def main(log_dir: str | Path = "runs/saliency") -> None:
    """Log maps of a trained network by each method, and of VGG-11 with random weights."""
    model, validation = trained_digits()
    digits = validation.images[:6]
    with SummaryWriter(log_dir) as writer:
        for method in METHODS:
            writer.add_records(saliency_maps(model, digits, method=method, tag="digits"))
        writer.add_records(
            saliency_maps(model, digits, targets=8, method="smooth_grad", tag="digits_as_eights")
        )

        network = vgg11()  # use weights="DEFAULT" if you can download them
        for style in ("grey", "heat", "overlay"):
            records = saliency_maps(
                network,
                photographs(),
                985,
                "guided_backprop",
                mean=MEAN,
                std=STD,
                style=style,
                class_names={985: "daisy"},
                tag=f"vgg11_{style}",
            )
            writer.add_records(records)


if __name__ == "__main__":
    main()
