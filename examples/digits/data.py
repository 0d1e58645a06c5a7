"""The data: 1,797 handwritten digits of 8x8 pixels, which scikit-learn ships."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

CLASSES = [str(digit) for digit in range(10)]


@dataclass(frozen=True)
class Split:
    """Images (N, 1, 8, 8), float32 in [0, 1], and their labels (N,), int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def load_splits(seed: int) -> tuple[Split, Split]:
    """Return four fifths of the digits for training and one fifth for validation, balanced by class."""
    digits = load_digits()
    images = torch.from_numpy(digits.images).float().div(16).unsqueeze(1)
    labels = torch.from_numpy(digits.target).long()
    train, validation = train_test_split(
        torch.arange(len(labels)), test_size=0.2, stratify=digits.target, random_state=seed
    )
    return Split(images[train], labels[train]), Split(images[validation], labels[validation])
