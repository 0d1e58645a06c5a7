"""What the adapters' examples look at: the demo's network on digits, and two photographs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the folder of the demo's package `digits`

from digits.data import Split, load_splits
from digits.model import DigitNet
from digits.training import Config, training_steps

__all__ = [
    "MEAN",
    "STD",
    "Config",
    "DigitNet",
    "load_splits",
    "photographs",
    "trained_digits",
    "training_digits",
    "training_steps",
]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def photographs(side: int = 224) -> Tensor:
    """Return scikit-learn's temple and flower, normalised, (2, 3, side, side)."""
    pictures = torch.from_numpy(np.stack(load_sample_images().images)).permute(0, 3, 1, 2) / 255
    pictures = nn.functional.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
    return (pictures - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def training_digits(epochs: int = 4) -> Iterator[tuple[int, DigitNet, Split]]:
    """Train the demo's network; yield epoch, network and the validation digits, first untrained."""
    config = Config(epochs=epochs)
    torch.manual_seed(config.seed)
    train, validation = load_splits(config.seed)
    model = DigitNet()
    yield 0, model, validation
    for step in training_steps(model, train, config):
        if step.ends_epoch:
            yield step.epoch + 1, model, validation


def trained_digits(epochs: int = 4) -> tuple[DigitNet, Split]:
    """Return the demo's network, trained, and the validation digits."""
    *_, (_, model, validation) = training_digits(epochs)
    return model.eval(), validation
