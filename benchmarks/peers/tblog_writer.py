"""tblog, with its default settings."""

from __future__ import annotations

from typing import Any

from benchmarks import _slow_storage
from benchmarks.peers._peer import Peer


def _open(logdir: str) -> Any:
    import tblog

    return tblog.SummaryWriter(logdir)


def _on_slow_storage(logdir: str, secs: float) -> Any:
    return _open(_slow_storage.by_tensorboardx(logdir, secs))


PEER = Peer(
    name="tblog",
    label="tblog",
    questions=frozenset(range(1, 15)),
    open=_open,
    swift=True,
    quick=True,
    import_line="from tblog import SummaryWriter",
    on_slow_storage=_on_slow_storage,
)
