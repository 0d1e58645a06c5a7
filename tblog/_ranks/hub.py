"""Rank 0's own key-value store, through which all ranks send their numbers.

The store of the process group only tells the ranks where this one is. A writer must not need the group's for longer:
whoever keeps the server of a destroyed group alive makes a new group on the same port read the addresses of the old one
(torch's env:// servers are shared by port), and that hangs.

Lives here: making the store, its address, and connecting to it: one connection for all writers of a process, since none of
their requests waits for another rank. Runs on the couriers' threads.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from datetime import timedelta
from typing import Any, NamedTuple

from tblog._locks import ForkSafeLock

CONNECT_SECS = 10.0


class Hub(NamedTuple):
    """A store that all ranks can reach.

    Attributes:
        store: a connection to it.
        host: of its server; empty if that is the host of the process group's store, by whatever name a rank knows it.
        port: of its server; 0 if it is the process group's store itself.
    """

    store: Any
    host: str
    port: int


_own: tuple[int, Any] | None = None
_connections: dict[tuple[int, str, int], Any] = {}
_making = ForkSafeLock()


def open_hub(group: Any) -> Hub:
    """Return this process's store for the ranks of a group (on rank 0).

    A group whose store has no host, such as a file, exchanges everything through that store, and so does one on a
    machine that allows no more servers.
    """
    global _own  # noqa: PLW0603 - one server for all writers of the process
    root = _root(group)
    if not hasattr(root, "port"):
        return Hub(group.clone(), "", 0)
    with _making:
        if _own is None or _own[0] != os.getpid():
            try:
                _own = os.getpid(), _connection("localhost", 0, is_server=True)
            except Exception:
                return Hub(group.clone(), "", 0)
        return Hub(_own[1], _host_beside(root), _own[1].port)


def connect(group: Any, host: str, port: int) -> Any:
    """Return a connection to rank 0's store.

    Raises:
        RuntimeError: it does not answer within `CONNECT_SECS`.
    """
    if not port:
        return group.clone()
    key = os.getpid(), host or str(_root(group).host), port
    if key not in _connections:
        _connections[key] = _connection(*key[1:])
    return _connections[key]


def _connection(host: str, port: int, *, is_server: bool = False) -> Any:
    return sys.modules["torch.distributed"].TCPStore(
        host, port, is_master=is_server, wait_for_workers=False, timeout=timedelta(seconds=CONNECT_SECS)
    )


def _root(store: Any) -> Any:
    while hasattr(store, "underlying_store"):
        store = store.underlying_store
    return store


def _host_beside(root: Any) -> str:
    """Return this machine's address, as it is seen from the group's store; empty if that is on this machine."""
    with contextlib.suppress(OSError):
        for family, _, _, _, address in socket.getaddrinfo(root.host, root.port, type=socket.SOCK_DGRAM):
            with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect(address)  # sends nothing
                here = str(probe.getsockname()[0])
                return "" if here == address[0] else here
    return ""
