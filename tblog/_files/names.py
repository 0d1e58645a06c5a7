"""The names of event files.

`events.out.tfevents.<seconds>.<host>.<nanoseconds>.<pid><suffix>`, all numbers zero-padded, since
TensorBoard reads the files of a run in the order of their names. A process never uses a time twice, and
the files are created exclusively: two writers never open the same one. A run below the writer's own has
`-<depth>` after the process: how many directories further up the writer's own file is. Used on any thread.
"""

from __future__ import annotations

import os
import platform
import re
import time
from typing import NamedTuple

from tblog._locks import ForkSafeLock

_STARTED_NS = time.time_ns()

_naming = ForkSafeLock()
_last_time_ns = 0
_OURS = re.compile(r"events\.out\.tfevents\.(\d{10})\.(.+)\.(\d{9})\.(\d{7,})(?:-(\d{1,4}))?")


class Name(NamedTuple):
    """The parts of the name of a file that tblog made.

    Attributes:
        time_ns: the time of opening, in nanoseconds since the epoch.
        host: the machine's name.
        pid: the process's id.
        depth: how many directories the writer's own file is further up.
    """

    time_ns: int
    host: str
    pid: int
    depth: int


def parsed(name: str) -> Name | None:
    """Parse a file's name; return None if tblog did not make it."""
    found = _OURS.match(name)
    if found is None:
        return None
    secs, machine, nanos, pid, depth = found.groups()
    return Name(int(secs) * 1_000_000_000 + int(nanos), machine, int(pid), int(depth or 0))


def is_made_here(name: Name) -> bool:
    """Return whether this process made a file, and not an earlier one with its number."""
    return (name.host, name.pid) == (host(), os.getpid()) and name.time_ns >= _STARTED_NS


def is_of_this_host(name: str) -> bool:
    """Return whether a file was made on this machine, by any library."""
    return re.match(rf"events\.out\.tfevents\.\d+\.{re.escape(host())}(?![A-Za-z0-9-])", name) is not None


def torch_maker(name: str) -> tuple[int, int] | None:
    """Return the time and the process of a file that torch made on this machine, else None."""
    found = re.match(rf"events\.out\.tfevents\.(\d{{10}})\.{re.escape(host())}\.(\d+)\.\d+(?!\d)", name)
    return None if found is None or parsed(name) is not None else (int(found[1]), int(found[2]))


def new_name(suffix: str, depth: int = 0) -> str:
    """Return a name that sorts after every earlier one of this process."""
    global _last_time_ns  # noqa: PLW0603 - names are unique in a process, so the process remembers the last
    with _naming:
        _last_time_ns = now = max(time.time_ns(), _last_time_ns + 1)
    secs, nanos = divmod(now, 1_000_000_000)
    below = f"-{depth}" if depth else ""
    return f"events.out.tfevents.{secs:010d}.{host()}.{nanos:09d}.{os.getpid():07d}{below}{suffix}"


def host() -> str:
    """Return this machine's name as it is in file names."""
    return platform.node().replace("/", "_")
