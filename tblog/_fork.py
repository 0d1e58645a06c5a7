"""What happens to a writer in a forked child.

Fork, tested in tests/test_contract.py: the child keeps nothing of the parent's queue and files. What
waited at the fork is written by the parent, once. A writer that the child goes on using opens an
event file of its own at its next call. No lock of the parent's survives, whoever held it.
"""

from __future__ import annotations

import os

from tblog import _eventfile, _worker


def _after_in_child() -> None:
    _eventfile.renew_lock_in_child()
    _worker.start_anew_in_child()


def arm() -> None:
    """Have forked children start anew. Called once, when the first module that opens files is loaded."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_in_child)
