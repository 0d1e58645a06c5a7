"""What happens to a writer in a forked child.

Fork, tested in tests/test_contract.py: the child keeps nothing of the parent's queue and files. What
waited at the fork is written by the parent, once. A writer that the child goes on using opens an
event file of its own at its next call. No lock of the parent's survives, whoever held it.
"""

from __future__ import annotations

import os
import threading

from tblog import _worker
from tblog._locks import importing, renew_in_child

IMPORT_SECS = 10.0
"""The longest that a fork waits for a worker in the middle of encoding, where it may import modules."""

_forking = threading.local()


def _before() -> None:
    _forking.holds = importing.acquire(timeout=IMPORT_SECS)


def _after_in_parent() -> None:
    if _forking.holds:
        importing.release()


def _after_in_child() -> None:
    renew_in_child()
    _worker.start_anew_in_child()


def arm() -> None:
    """Have forked children start anew. Called once, when the first module that opens files is loaded."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
