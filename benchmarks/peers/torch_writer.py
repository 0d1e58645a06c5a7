"""torch.utils.tensorboard, with its default settings."""

from __future__ import annotations

from typing import Any

from benchmarks import _slow_storage
from benchmarks.peers._peer import Peer


def _open(logdir: str) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(logdir)


def _on_slow_storage(logdir: str, secs: float) -> Any:
    return _open(_slow_storage.by_tensorboard(logdir, secs))


PEER = Peer(
    name="torch",
    label="torch",
    questions=frozenset({1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}),
    open=_open,
    quick=True,
    import_line="from torch.utils.tensorboard import SummaryWriter",
    on_slow_storage=_on_slow_storage,
)
