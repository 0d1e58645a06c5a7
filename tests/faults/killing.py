"""Programs that are killed before each operation on a file in turn, and what they leave."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tblog import SummaryWriter
from tblog._files.kept import kept_in
from tblog._files.walk import walk
from tblog._wire.framing import frame
from tests.reading import event_files

OPERATIONS = {
    "open",
    "os.link",
    "os.rename",
    "os.remove",
    "os.truncate",
    "os.chmod",
    "os.mkdir",
    "fcntl.flock",
}


def killed_at(operation: int, work: Callable[[], object]) -> bool:
    """Run an action in a child that is killed before its n-th file operation; return whether it got that far."""
    child = os.fork()
    if not child:
        left = [operation]

        def count(event: str, _arguments: object) -> None:
            if event in OPERATIONS:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def log_steps(logdir: Path, steps: Iterable[int], value: float = 1.0, **options: Any) -> None:
    """Log the same value at each step, in a run and in one below it."""
    with SummaryWriter(logdir, **options) as writer:
        for step in steps:
            writer.add_scalar("loss", value, step)
            writer.add_scalars("pair", {"a": value}, step)


def tear(path: Path) -> None:
    """Leave part of a record at the end of a file."""
    with open(path, "ab") as file:
        file.write(frame(b"x" * 50)[:30])


def readable(path: str | Path) -> list[bytes]:
    """Return the contents of a file's whole records."""
    with open(path, "rb") as file:
        return [piece.data for piece in walk(file) if piece.data is not None]


def kept_records(logdir: Path) -> list[bytes]:
    """Return the records in a run's kept files; a kept file that is listed is whole."""
    return [record for kept in kept_in(str(logdir)) for record in readable(kept.path)]


def all_records(logdir: Path) -> list[bytes]:
    """Return the records of a run's event files and kept files."""
    return [record for path in event_files(logdir) for record in readable(path)] + kept_records(logdir)
