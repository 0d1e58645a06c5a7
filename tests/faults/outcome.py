"""The outcome of a fault's trial."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Outcome:
    """The outcome of a trial. Each call of `add_*` counts as a record, even if it raised.

    Attributes:
        flushed, lost_flushed: records before the last flush that returned before the fault; those of them
            that no reader shows.
        unflushed, lost_unflushed: all other records of the trial, and those that no reader shows.
        lost_older: lost records that were logged more than a second before the last one.
        counted: lost records according to the writer's own counter.
        tails: files that end with part of a record.
        torn: files with damage before their end or in which a reader stops, and tags out of order.
        hung: trials in which the program or a child of it did not end.
        raised: calls that raised.
        longest: seconds of the longest call of `add_*`.
        fork: seconds of the longest fork.
        grown_kb: memory growth since the start.
    """

    flushed: int = 0
    lost_flushed: int = 0
    unflushed: int = 0
    lost_unflushed: int = 0
    lost_older: int = 0
    counted: int = 0
    tails: int = 0
    torn: int = 0
    hung: int = 0
    raised: int = 0
    longest: float = 0.0
    fork: float = 0.0
    grown_kb: int = 0

    def and_then(self, other: Outcome) -> Outcome:
        """Return both combined: sums, or the maximum of `longest`, `fork` and `grown_kb`."""
        pairs = {
            field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)
        }
        return Outcome(
            **{
                name: (max if name in {"longest", "fork", "grown_kb"} else sum)(pair)
                for name, pair in pairs.items()
            }
        )
