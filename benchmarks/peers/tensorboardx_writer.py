"""tensorboardX, with its default settings and the `crc32c` package installed."""

from __future__ import annotations

from typing import Any

from benchmarks import _slow_storage
from benchmarks.peers._peer import Peer


def _open(logdir: str) -> Any:
    import crc32c  # noqa: F401  (fail if it is missing: tensorboardX would be slower)
    from tensorboardX import SummaryWriter

    return SummaryWriter(logdir)


def _on_slow_storage(logdir: str, secs: float) -> Any:
    return _open(_slow_storage.by_tensorboardx(logdir, secs))


PEER = Peer(
    name="tensorboardX",
    label="tensorboardX",
    questions=frozenset({1, 2, 3, 5, 6, 8, 9, 10, 11}),
    open=_open,
    import_line="from tensorboardX import SummaryWriter",
    on_slow_storage=_on_slow_storage,
)
