"""The counters of a writer."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Stats:
    """Counters of one writer.

    Attributes:
        queued: records accepted.
        written: records handed to the operating system, or confirmed by an object store. An embedding counts
            when its files are.
        dropped: records refused because the queue was full, or given up at `close` because the
            storage did not take or confirm them. A record counts once, as written, dropped or failed.
        failed: records that could not be encoded, and models whose graph could not be read.
        incomplete: points of `ranks="reduce"` that were written without the numbers of some ranks.
        values_left_out: values that summaries skipped or changed: NaN in a histogram, a clipped sample.
        bytes: bytes handed to the operating system, or confirmed by an object store.
        worker_secs: CPU seconds that the worker threads spent on this writer.

    Example:
        >>> from tblog import SummaryWriter
        >>> with SummaryWriter("runs/stats") as writer:
        ...     writer.add_scalar("loss", 0.5, 0)
        ...     writer.add_histogram("weights", [1.0, float("nan")], 0)
        >>> stats = writer.stats
        >>> stats.written, stats.dropped, stats.failed, stats.values_left_out
        (2, 0, 0, 1)
    """

    queued: int = 0
    written: int = 0
    dropped: int = 0
    failed: int = 0
    bytes: int = 0
    worker_secs: float = 0.0
    values_left_out: int = 0
    incomplete: int = 0

    def __add__(self, other: Stats) -> Stats:
        """Return the sum of both, field by field."""
        return Stats(*map(sum, zip(astuple(self), astuple(other), strict=True)))
