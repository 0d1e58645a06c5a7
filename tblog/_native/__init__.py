"""The compiled module, where there is one: what holds the interpreter lock for long in Python, in C.

Lives here: whether there is one. It is optional: without a compiler the installation goes through without it,
and `TBLOG_PURE=1`, when tblog is installed or when it is imported, does without it, too. All that it does is
also there in Python, in the modules that ask for it; those are the specification, and tests compare the two.

Free threading: nothing here is safe without the interpreter lock, nor is the pure path. The lane is changed by plain
statements in C, one call at a time under that lock, so the module does not declare the slot `Py_mod_gil`, and an
interpreter without the lock takes it back when it loads the module. (So far none does: setup.py builds nothing for it,
because the stable ABI of the others is not its own, and it takes the pure path.) Statement by statement, what would be
shared in C:

- `lane->put++`, the cells of `lane->open`, its `used`, `events` and `bytes`: changed by callers, all under the lock; no call
  between `tblog_lane_end` and `tblog_lane_add` lets go of it (a deque's `append` runs no Python code).
- `lane->taken`: written by the thread that takes, read by callers; a stale one makes a caller see less room, never more.
- `Numbers.end` and `encode` set `ended` under the lock; only then is anything read without it, and nothing is added any more.
- `lane->tags`: a prefix is never replaced, and numbers keep the dict that has theirs.

In the pure path, `deque.append` and `popleft` are whole by themselves, but three things are not:
`len(pending) < room` and the append behind it, so that the bound is exceeded by one record for each thread, as it is
promised; `self._pending = channel.queue.pending`, between whose halves a close may come, so that what is appended then is
lost; and the counters (`taken`, `_bytes_taken`), which one thread alone changes. So an interpreter without the lock keeps all
promises but this one: what is logged in the very moment in which another thread closes the writer may be lost.
"""

from __future__ import annotations

import logging
import os
from types import ModuleType

compiled: ModuleType | None = None
"""The module `tblog._native._compiled`, or None."""


def _is_outdated(built: str, folder: str) -> bool:
    """Return whether a source beside the module is newer than it. Only a checkout has sources there."""
    when = os.stat(built).st_mtime
    return any(
        entry.name.endswith((".c", ".h")) and entry.stat().st_mtime > when for entry in os.scandir(folder)
    )


if os.environ.get("TBLOG_PURE", "") in {"", "0"}:
    try:
        from tblog._native import _compiled

        compiled = _compiled
    except ImportError:  # it was not built, or for another machine
        pass
    else:
        if _is_outdated(_compiled.__file__, os.path.dirname(__file__)):
            compiled = None
            logging.getLogger("tblog").warning(
                "tblog: the compiled module is older than its source, so it is not used; "
                "build it again by: pip install --editable ."
            )


def kind() -> str:
    """Return what is used: "native", or "pure" for Python alone."""
    return "pure" if compiled is None else "native"
