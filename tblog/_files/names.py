"""The names of event files.

`events.out.tfevents.<seconds>.<host>.<nanoseconds>.<pid><suffix>`, all numbers zero-padded, since
TensorBoard reads the files of a run in the order of their names. A process never uses a time twice, and
the files are created exclusively: two writers never open the same one. Used on any thread.
"""

from __future__ import annotations

import os
import socket
import time

from tblog._locks import ForkSafeLock

_naming = ForkSafeLock()
_last_time_ns = 0


def new_name(suffix: str) -> str:
    """Return a name that sorts after every earlier one of this process."""
    global _last_time_ns  # noqa: PLW0603 - names are unique in a process, so the process remembers the last
    with _naming:
        _last_time_ns = now = max(time.time_ns(), _last_time_ns + 1)
    secs, nanos = divmod(now, 1_000_000_000)
    return f"events.out.tfevents.{secs:010d}.{host()}.{nanos:09d}.{os.getpid():07d}{suffix}"


def host() -> str:
    """Return this machine's name as it stands in the names of files."""
    return socket.gethostname().replace("/", "_")
