"""The network: two convolutions, one hidden layer, 38,282 parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DigitNet(nn.Module):
    """Classify 8x8 grey images into ten digits."""

    def __init__(self, channels: int = 16, hidden: int = 64, dropout: float = 0.2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(2 * channels * 4 * 4, hidden)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden, 10)

    def embed(self, images: Tensor) -> Tensor:
        """Return the activations of the penultimate layer, (N, hidden)."""
        maps = torch.relu(self.conv1(images))
        maps = self.pool(torch.relu(self.conv2(maps)))
        return torch.relu(self.hidden(maps.flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (N, 10)."""
        logits: Tensor = self.classifier(self.dropout(self.embed(images)))
        return logits
