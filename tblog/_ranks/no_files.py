"""Stands in for the event files of a rank that sends its numbers to rank 0. Runs on the worker thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog._files.run_files import RunFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._reports import Reports


class NoFiles(RunFiles):
    """A channel's files that write nothing.

    Args:
        logdir: the directory that rank 0 writes to.
        reports: receives failures.
        sent: returns the number of numbers that the store has.
        refused: receives the number of records that arrive here. They come from a forked child, which cannot send.
    """

    def __init__(
        self, logdir: str, reports: Reports, sent: Callable[[], int], refused: Callable[[int], None]
    ) -> None:
        super().__init__(logdir, "", None, reports)
        self._sent = sent
        self._refused = refused

    @property
    def written(self) -> int:
        """Return the number of records that were sent."""
        return self._sent()

    def open(self) -> None:
        """Do nothing."""

    def append(self, run: str, frames: bytes | bytearray | memoryview, records: int) -> None:
        """Count records as dropped."""
        del run, frames
        self._refused(records)

    def leave(self) -> None:
        """Do nothing."""

    def recover(self) -> None:
        """Do nothing."""

    write = flush = sync = recover

    def close(self) -> tuple[int, OSError | None]:
        """Do nothing; nothing is lost."""
        return 0, None
