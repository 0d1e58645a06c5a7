"""The training: plain PyTorch without logging."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from digits.data import Split
from digits.model import DigitNet


@dataclass(frozen=True)
class Config:
    """The hyperparameters, of which a person would try several values."""

    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 0.01
    dropout: float = 0.2
    weight_decay: float = 0.0001
    seed: int = 0

    def as_dict(self) -> dict[str, int | float]:
        """Return the names and values, as hyperparameters are logged."""
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """What one optimisation step showed; the tensors are detached, and nothing waits for them."""

    epoch: int
    ends_epoch: bool
    loss: Tensor
    accuracy: Tensor
    gradient_norm: Tensor
    learning_rate: float | Tensor


@dataclass(frozen=True)
class Evaluation:
    """The network's results for a whole split: probabilities (N, 10) and their predictions (N,)."""

    loss: Tensor
    accuracy: Tensor
    probabilities: Tensor
    predictions: Tensor


def training_steps(model: nn.Module, data: Split, config: Config) -> Iterator[Step]:
    """Train `model`, yielding after each step, with its gradients still in place."""
    steps_per_epoch = -(-len(data) // config.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, epochs=config.epochs, steps_per_epoch=steps_per_epoch
    )
    for epoch in range(config.epochs):
        order = torch.randperm(len(data))
        for number, batch in enumerate(order.split(config.batch_size), start=1):
            model.train()
            logits = model(data.images[batch])
            loss = functional.cross_entropy(logits, data.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            gradient_norm = nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            yield Step(
                epoch=epoch,
                ends_epoch=number == steps_per_epoch,
                loss=loss.detach(),
                accuracy=(logits.argmax(1) == data.labels[batch]).float().mean(),
                gradient_norm=gradient_norm,
                learning_rate=schedule.get_last_lr()[0],
            )
            schedule.step()


@torch.no_grad()
def evaluate(model: DigitNet, data: Split) -> Evaluation:
    """Evaluate `model` on all of `data`."""
    model.eval()
    logits = model(data.images)
    predictions = logits.argmax(1)
    return Evaluation(
        loss=functional.cross_entropy(logits, data.labels),
        accuracy=(predictions == data.labels).float().mean(),
        probabilities=logits.softmax(1),
        predictions=predictions,
    )


@torch.no_grad()
def embed(model: DigitNet, data: Split) -> Tensor:
    """Return the penultimate layer's activations for all of `data`, (N, hidden)."""
    model.eval()
    return model.embed(data.images)
