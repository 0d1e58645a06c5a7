"""The physical limit of a call: one Python call, one `time.time()`, one list append, nothing kept."""

from __future__ import annotations

import time

from benchmarks.peers._peer import Peer


class _Append:
    def __init__(self) -> None:
        self._rows: list[tuple[str, float, int, float]] = []

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self._rows.append((tag, value, step, time.time()))

    def close(self) -> None:
        self._rows.clear()


def _open(_logdir: str) -> _Append:
    return _Append()


PEER = Peer(
    name="append", label="call, time(), append", questions=frozenset({1}), open=_open, swift=True, quick=True
)
