"""tensorboardX without the `crc32c` package, so it computes checksums in Python."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.peers._peer import Peer


def _open(logdir: str) -> Any:
    sys.modules["crc32c"] = None  # type: ignore[assignment]  # makes the import fail, as if it were missing
    from tensorboardX import SummaryWriter

    return SummaryWriter(logdir)


PEER = Peer(
    name="tensorboardX-plain",
    label="tensorboardX, no crc32c",
    questions=frozenset({1, 2}),
    open=_open,
)
