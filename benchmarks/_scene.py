"""The subject of question 13: a small training step of a ResNet-18, the same for all adapters and tutorials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Way = Callable[[Any, int], None]
"""One step that logs to a writer at a step."""

LAYER = "layer1.0.conv1"
LAST_LAYER = "layer4"
CLASS = 3
SIZE = (3, 64, 64)
ASCENT_STEPS = 16
ASCENT_CHANNELS = (0, 1)


class Scene:
    """A ResNet-18 with random weights, a batch of two pictures and an optimizer."""

    def __init__(self) -> None:
        import torch
        from torchvision import models

        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.model: Any = models.resnet18(weights=None, num_classes=10).eval()
        self.images = torch.rand(2, *SIZE)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4)
        self.train()

    @property
    def layer(self) -> Any:
        """Return the layer whose maps and kernels are shown."""
        return self.model.get_submodule(LAYER)

    def forward(self) -> None:
        """Run the model, as any training step does."""
        self.model(self.images)

    def train(self) -> None:
        """Make a training step, as any training program does."""
        self.optimizer.zero_grad()
        self.model(self.images).square().mean().backward()
        self.optimizer.step()
