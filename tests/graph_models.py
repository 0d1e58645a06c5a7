"""Small models of common kinds, for the tests of graphs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


class Block(nn.Module):
    """A residual block with a module that does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2)
        self.drop = nn.Dropout()
        self.skip = nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image of the same shape."""
        return torch.relu(self.skip(image) + self.drop(self.norm(self.conv(image))))


class Small(nn.Module):
    """Two blocks in a list, the first of which runs twice, and a head with its own parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.scale = nn.Parameter(torch.ones(2))
        self.head = nn.Linear(2, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores."""
        for block in (self.blocks[0], self.blocks[1], self.blocks[0]):
            image = block(image)
        scores: torch.Tensor = self.head(image.mean((2, 3)) * self.scale)
        return scores


class DecoderLayer(nn.Module):
    """Attention and a feed-forward network, each with its residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Return hidden states of the same shape."""
        q, k, v = (
            self.qkv(self.norm1(hidden)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        hidden = hidden + self.out(mixed.transpose(1, 2).flatten(2))
        changed: torch.Tensor = hidden + self.mlp(self.norm2(hidden))
        return changed


@dataclass
class ModelOutput:
    """What a language model returns."""

    logits: torch.Tensor
    hidden_states: tuple[torch.Tensor, ...] = ()
    loss: torch.Tensor | None = None


class LanguageModel(nn.Module):
    """A decoder with tied embeddings, keyword arguments and a dataclass as its output."""

    def __init__(self, words: int = 11, width: int = 8, heads: int = 2, layers: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.layers = nn.ModuleList([DecoderLayer(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.embed.weight
        self.position: torch.Tensor
        self.register_buffer("position", torch.zeros(1, 16, width))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_hidden: bool = False,
    ) -> ModelOutput:
        """Return the logits of each token's successor, and the loss if `labels` are given."""
        hidden = self.embed(input_ids) + self.position[:, : input_ids.shape[1]]
        mask = None if attention_mask is None else attention_mask[:, None, None].bool()
        states = []
        for layer in self.layers:
            hidden = layer(hidden, mask)
            states.append(hidden)
        logits = self.head(self.norm(hidden))
        loss = None if labels is None else nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return ModelOutput(logits, tuple(states) if return_hidden else (), loss)


TOKENS = {"input_ids": torch.arange(10).view(2, 5), "attention_mask": torch.ones(2, 5, dtype=torch.int64)}


class Dynamic(nn.Module):
    """Runs a path that depends on its input's values."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the same shape."""
        x = self.a(x) if x.sum() > 0 else self.c(x)
        for _ in range(int(x.detach().isfinite().sum()) // 4):
            x = self.b(x).relu()
        return x


class Loop(nn.Module):
    """A recurrent cell that is called for each step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 8)
        self.out = nn.Linear(8, 2)

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """Return a prediction from (T, N, 4) steps."""
        h = c = steps.new_zeros(steps.shape[1], 8)
        for step in steps:
            h, c = self.cell(step, (h, c))
        prediction: torch.Tensor = self.out(h)
        return prediction


class Stateful(nn.Module):
    """Has every side effect that a forward should not have: on buffers, attributes, lists and random states."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.seen: list[torch.Tensor] = []
        self.notes = {"calls": {"count": 0}}
        self.count: torch.Tensor
        self.register_buffer("count", torch.zeros(()))
        self.plain = torch.zeros(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the same shape."""
        self.count += 1
        self.plain.add_(1)
        self.last = x
        self.seen.append(x)
        self.notes["calls"]["count"] += 1
        self.fc.cache = [x]  # type: ignore[assignment]  # a list is not a tensor, which is the point
        self.norm.train()
        result: torch.Tensor = self.norm(self.fc(x)) + torch.rand(4)
        return result


def bert() -> nn.Module:
    """Return a small BERT from the package transformers."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    model: nn.Module = BertModel(config)
    return model


SENTENCES = {"input_ids": torch.arange(16).view(2, 8), "attention_mask": torch.ones(2, 8, dtype=torch.int64)}
