"""Log a model's layers, shapes and sizes: a table on the Text page, totals on Scalars and HParams."""

from __future__ import annotations

from pathlib import Path

from torchvision.models import resnet18, vgg11

from subjects import DigitNet
from tblog import SummaryWriter
from tblog.adapters.model_summary import model_summary


def main(log_dir: str | Path = "runs/model_summary") -> None:
    """Log the demo's network, ResNet-18 and VGG-11, each in a run of its own, to compare them."""
    networks = {
        "digits": (DigitNet(), (1, 1, 8, 8)),
        "resnet18": (resnet18(), (1, 3, 224, 224)),
        "vgg11": (vgg11(), (1, 3, 224, 224)),
    }
    for name, (model, input_size) in networks.items():
        with SummaryWriter(Path(log_dir) / name) as writer:
            writer.add_records(model_summary(model, input_size, depth=2, hparams=True), 0)


if __name__ == "__main__":
    main()
