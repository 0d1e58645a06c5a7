"""Finds out who may be writing to an event file, so that nobody cuts a file that a writer has open.

- tblog's writers hold a lock on their open files. The file of a run below a writer's own may be closed to free handles;
  the lock on the writer's own file protects it.
- The system's tables of open handles (/proc of Linux) show other writers, also those of this process.
- torch's writer opens its file for each record. In this process, its thread shows it. In another, the process in the
  file's name is running, and wrote to the file recently.
- A file that these cannot cover (on another machine, of another user, or without such tables) is watched for a moment
  if it changed recently: it may grow.

What cannot be known: a writer that none of these covers, and whose file does not grow in that moment.

Lives here: the evidence, in words. Must not: change files, warn. Runs on any thread.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, BinaryIO

from tblog._files.names import host, is_of_this_host, parsed, torch_maker
from tblog._files.sinks import Identity, claim, identity, open_to_claim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WATCH_SECS = 1.0
"""Time to watch a file whose writers cannot be seen."""

RECENT_SECS = 150.0
"""A file unchanged for this time has no writer: both originals flush every 120 seconds."""

ENDING_SECS = 10.0
"""Time that a killed process may take to close its handles, a GPU's included."""

GROWS = "it grows, so a writer is at work"

_PAUSE_SECS = 0.05
_FRESH_SECS, _FOUND_SECS = 10.0, 0.2
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
_PROC = "/proc"
_EXITING, _SIGKILL = 0x4, 1 << 8  # of a process's flags, and of its pending signals: man 5 proc

_living: dict[Identity, None] = {}
_leaving: set[Identity] = set()
_seen: tuple[float, dict[Identity, list[tuple[str, str]]]] = (0.0, {})


def begin(file: Identity) -> None:
    """Register a file of a writer of this process, open or not."""
    _leaving.discard(file)
    _living[file] = None


def leave(file: Identity) -> None:
    """Note that the writer of a file takes no more records for it, but still writes the waiting ones."""
    _leaving.add(file)


def end(file: Identity) -> None:
    """Unregister a file that its writer will not write to again."""
    _living.pop(file, None)
    _leaving.discard(file)


def is_of_a_writer_here(file: Identity) -> bool:
    """Return whether a writer of this process is not done with a file."""
    return file in _living


def grows_here(file: Identity) -> bool:
    """Return whether a writer of this process still takes records for a file."""
    return file in _living and file not in _leaving


def by_tblog(path: str, file: BinaryIO) -> str:
    """Say that a writer of tblog has a file; or return "", and have the file locked until it is closed."""
    here, name = identity(file.fileno()), parsed(os.path.basename(path))
    if is_of_a_writer_here(here):
        return _told([os.getpid()])
    maker = [name.pid] if name is not None and name.host == host() else []
    deadline = time.monotonic() + ENDING_SECS
    while not claim(file.fileno(), alone=True):
        holders = _holders(here, file)
        if not _all_end(holders or maker, deadline):  # one of several threads may end behind the first
            return _told(holders)
    return _by_owner(path)


def by_others(path: str, file: BinaryIO, patience: float) -> str:
    """Say that a process has a file open for writing, or that it grows; return "" if neither can be seen.

    Args:
        path: the event file.
        file: the open file.
        patience: the most seconds to watch a file whose writers cannot be seen.
    """
    here = identity(file.fileno())
    deadline = time.monotonic() + ENDING_SECS
    while _all_end(_holders(here, file), deadline):
        pass
    seen = by_others_now(path, file)
    if seen or patience <= 0 or not _is_recent(file) or not _is_out_of_sight(path, file):
        return seen
    return GROWS if _grows(path, patience) else ""


def by_others_now(path: str, file: BinaryIO) -> str:
    """Say that a process has a file open for writing; return "" if none can be seen. This does not wait."""
    holders = _holders(identity(file.fileno()), file)
    if holders:
        return _told(holders)
    return _by_torch(path) if _is_recent(file) else ""


def _by_owner(path: str) -> str:
    """Say that the writer of a run below its own is at work, because the run's file may be closed."""
    folder, name = os.path.split(path)
    run = parsed(name)
    if run is None or not run.depth:
        return ""
    with contextlib.suppress(OSError), os.scandir(os.path.join(folder, *[os.pardir] * run.depth)) as entries:
        for entry in entries:
            own = parsed(entry.name)
            if own is not None and (own.host, own.pid, own.depth) == (run.host, run.pid, 0):
                with open_to_claim(entry.path) as file:
                    if identity(file.fileno()) not in _living and not claim(file.fileno(), alone=True):
                        return f"its writer is at work, which has {os.path.normpath(entry.path)} open"
    return ""


def _by_torch(path: str) -> str:
    """Say that torch's writer is at work, in this process or perhaps in another."""
    made_at, pid = torch_maker(os.path.basename(path)) or (0, 0)
    if pid == os.getpid():
        return (
            _told([pid]) if any(_is_torchs_thread(thread, path) for thread in threading.enumerate()) else ""
        )
    started_at = _started_at(pid) if pid else None
    if started_at is None or started_at > made_at + 2.0:
        return ""
    return f"it was written less than {RECENT_SECS:.0f} s ago, and {_named(pid)}, which made it, still runs"


def _is_torchs_thread(thread: threading.Thread, path: str) -> bool:
    """Return whether a thread belongs to tensorboard's EventFileWriter and appends to a file.

    https://github.com/tensorflow/tensorboard/blob/da1944c21c9cc83b0d7e10dbe1b39bc2357cd87e/tensorboard/summary/writer/event_file_writer.py
    """
    file = getattr(getattr(thread, "_record_writer", None), "_writer", None)
    with contextlib.suppress(OSError, TypeError, ValueError):
        return os.path.samefile(getattr(file, "filename", ""), path)
    return False


def _told(holders: Iterable[int]) -> str:
    shown = ", ".join(map(_named, holders))
    return f"a writer has it open{shown and f' ({shown})'}"


def _named(pid: int) -> str:
    if pid == os.getpid():
        return "this process"
    with (
        contextlib.suppress(OSError),
        open(f"{_PROC}/{pid}/comm", encoding="utf-8", errors="replace") as comm,
    ):
        return f"process {pid}, {comm.read().strip()}"
    return f"process {pid}"


# The tables of open handles.


def _holders(wanted: Identity, file: BinaryIO) -> list[int]:
    """Return the processes that have a file open for writing, as far as this one can see.

    The tables are long, so they are read once for many files. The writers of a file that has not changed since
    then are in them.
    """
    global _seen  # noqa: PLW0603 - what was read last
    seen_at, found = _seen
    age = time.time() - seen_at
    if (
        age > (_FOUND_SECS if wanted in found else _FRESH_SECS)
        or os.fstat(file.fileno()).st_mtime > seen_at - 1
    ):
        seen_at = time.time()
        found = _look()
        _seen = (seen_at, found)
    own = str(os.getpid()), str(file.fileno())  # to lock it, see `open_to_claim`
    return sorted(
        {
            int(pid)
            for pid, handle in found.get(wanted, ())
            if (pid, handle) != own and _is_for_writing(pid, handle)
        }
    )


def _look() -> dict[Identity, list[tuple[str, str]]]:
    """Return the processes and the numbers of all handles on event files, by file."""
    found: dict[Identity, list[tuple[str, str]]] = {}
    for pid in os.listdir(_PROC) if os.path.isdir(_PROC) else ():
        if pid.isdigit():
            for handle, file in _opened_by(pid):
                found.setdefault(file, []).append((pid, handle))
    return found


def _opened_by(pid: str) -> Iterator[tuple[str, Identity]]:
    """Yield a process's handles on event files; none if the process is gone, or belongs to another user."""
    with contextlib.suppress(*_GONE), os.scandir(f"{_PROC}/{pid}/fd") as handles:
        for handle in handles:
            with contextlib.suppress(*_GONE):
                if "tfevents" in os.path.basename(os.readlink(handle.path)):
                    stat = os.stat(handle.path)
                    yield handle.name, (stat.st_dev, stat.st_ino)


def _is_for_writing(pid: str, handle: str) -> bool:
    with contextlib.suppress(*_GONE), open(f"{_PROC}/{pid}/fdinfo/{handle}", "rb") as told:
        return any(
            int(value, 8) & os.O_ACCMODE != os.O_RDONLY
            for field, value in (line.split()[:2] for line in told if line.startswith(b"flags:"))
        )
    return False


def _all_end(pids: list[int], deadline: float) -> bool:
    """Return True after a pause if all processes are about to end, or False at once if not, or after the deadline."""
    if not pids or not all(map(_ends, pids)) or time.monotonic() > deadline:
        return False
    time.sleep(_PAUSE_SECS)
    return True


def _ends(pid: int) -> bool:
    """Return whether a process was killed, or is gone."""
    try:
        with open(f"{_PROC}/{pid}/stat", "rb") as stat:
            state, *fields = stat.read().rpartition(b")")[2].split()
        with open(f"{_PROC}/{pid}/status", encoding="utf-8", errors="replace") as status:
            pending = [int(line.split()[1], 16) for line in status if line.startswith(("SigPnd", "ShdPnd"))]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in b"ZX" or bool(int(fields[5]) & _EXITING) or any(mask & _SIGKILL for mask in pending)


def _started_at(pid: int) -> float | None:
    """Return when a process began, in seconds since the epoch, or None if it is gone."""
    try:
        with open(f"{_PROC}/{pid}/stat", "rb") as stat, open(f"{_PROC}/stat", "rb") as system:
            ticks = int(stat.read().rpartition(b")")[2].split()[19])
            booted_at = next(int(line.split()[1]) for line in system if line.startswith(b"btime"))
    except (*_GONE, StopIteration):
        return None
    return None if _ends(pid) else booted_at + ticks / os.sysconf("SC_CLK_TCK")


# Out of their sight.


def _is_out_of_sight(path: str, file: BinaryIO) -> bool:
    return (
        not os.path.isdir(f"{_PROC}/self/fd")
        or not is_of_this_host(os.path.basename(path))
        or os.geteuid() not in {0, os.fstat(file.fileno()).st_uid}
    )


def _is_recent(file: BinaryIO) -> bool:
    return time.time() - os.fstat(file.fileno()).st_mtime < RECENT_SECS


def _grows(path: str, patience: float) -> bool:
    before, deadline = _state(path), time.monotonic() + patience
    while time.monotonic() < deadline:
        time.sleep(_PAUSE_SECS)
        if _state(path) != before:
            return True
    return False


def _state(path: str) -> tuple[int, float]:
    with open(path, "rb") as file:  # NFS asks the server when a file is opened
        stat = os.fstat(file.fileno())
        return stat.st_size, stat.st_mtime
