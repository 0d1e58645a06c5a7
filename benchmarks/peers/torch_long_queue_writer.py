"""torch.utils.tensorboard with room for a million events, so that callers rarely wait."""

from __future__ import annotations

from typing import Any

from benchmarks.peers._peer import Peer


def _open(logdir: str) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(logdir, max_queue=1_000_000)


PEER = Peer(
    name="torch-long-queue",
    label="torch, max_queue=1,000,000",
    questions=frozenset({1, 2, 3, 12}),
    open=_open,
)
