"""The writers that are compared: each file of this folder has one, as `PEER`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from benchmarks.peers._peer import Peer

__all__ = ["Peer", "environment_of", "peer", "peers_of"]


@cache
def _all() -> dict[str, Peer]:
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    found = [importlib.import_module(f"{__name__}.{name}").PEER for name in names]
    return {peer.name: peer for peer in found}


def peer(name: str) -> Peer:
    """Return the peer of that name."""
    return _all()[name]


def environment_of(name: str) -> Mapping[str, str]:
    """Return the variables that a peer's process needs; none for what a question measures beside the peers."""
    return _all()[name].environment if name in _all() else {}


def peers_of(question: int, *, quick: bool) -> list[Peer]:
    """Return the peers that take part in a question, in the order of their names."""
    return [p for p in _all().values() if question in p.questions and (p.quick or not quick)]
