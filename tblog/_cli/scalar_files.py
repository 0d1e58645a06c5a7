"""New runs of scalars: an event file for each, written at once.

A SummaryWriter waits for a disk that is full and lets the program go on without what it cannot write. A command ends
with an error instead, so that no half of a run is taken for a whole.

Lives here: scalars -> event files. Must not: know where the scalars come from.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from tblog._files.names import new_name
from tblog._wire.events import first_event
from tblog._wire.scalar_columns import ScalarEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tblog._wire.scalar_columns import ScalarEntry

_MOST_WAITING = 20_000
"""Scalars in memory: those of many runs may come in turns, and each turn opens a file."""


class ScalarFiles:
    """Event files below a directory, one for each run; the end of its block writes what waits.

    Args:
        folder: the directory, which exists.

    Raises:
        OSError: a file cannot be written; raised by `add` and at the end of the block.
    """

    def __init__(self, folder: str) -> None:
        self._folder, self._encoder, self._many = folder, ScalarEncoder(), 0
        self._paths: dict[str, str] = {}
        self._waiting: dict[str, list[ScalarEntry]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is None:
            self._write()
            for path in self._paths.values():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())

    def add(self, run: str, scalars: Sequence[ScalarEntry]) -> None:
        """Add scalars, each a tag, a value, a step and a time, to the end of a run."""
        if not scalars:
            return
        self._waiting.setdefault(run, []).extend(scalars)
        self._many += len(scalars)
        if self._many >= _MOST_WAITING:
            self._write()

    def _write(self) -> None:
        for run, scalars in self._waiting.items():
            content = self._encoder.encode(scalars)
            if run not in self._paths:
                folder = os.path.join(self._folder, run)
                os.makedirs(folder, exist_ok=True)
                self._paths[run] = os.path.join(folder, new_name(""))
                content = first_event(scalars[0][3] or 1.0) + content
            with open(self._paths[run], "ab") as file:
                file.write(content)
        self._waiting, self._many = {}, 0
