"""The counters of a writer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from tblog._native import kind


@dataclass(frozen=True)
class Stats:
    """Counters of one writer.

    Attributes:
        queued: records accepted.
        written: records handed to the operating system, or confirmed by a store. An embedding counts
            when its files are.
        dropped: records refused because the queue was full, or given up at `close` because the
            storage did not take or confirm them. A record counts once, as written, dropped, failed or spilled.
        spilled: records in the spill directory of a writer whose store refuses, and not in the store.
        failed: records that could not be encoded, and models whose graph could not be read.
        incomplete: points of `ranks="reduce"` that were written without the numbers of some ranks.
        values_left_out: values that summaries skipped or changed: NaN in a histogram, a clipped sample.
        bytes: bytes handed to the operating system, or confirmed by an object store.
        worker_secs: CPU seconds that the worker threads spent on this writer.
        lane: "native" if the compiled module takes and encodes scalars, "pure" if Python alone does. Points of
            `ranks="reduce"` pass through Python's in both cases.

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
    spilled: int = 0
    incomplete: int = 0
    lane: str = kind()

    def __add__(self, other: Stats) -> Stats:
        """Return the sum of both, counter by counter."""
        counters = [field.name for field in fields(self) if field.name != "lane"]
        sums: dict[str, Any] = {name: getattr(self, name) + getattr(other, name) for name in counters}
        return Stats(**sums)
