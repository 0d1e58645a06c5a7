"""What a trial of a fault showed."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Outcome:
    """What a trial showed. Records are those of calls, whether or not they raised.

    Attributes:
        flushed, lost_flushed: records that a returned flush had followed before the fault; those of them
            that no reader shows.
        unflushed, lost_unflushed: all other records of the trial, and those that no reader shows.
        lost_older: lost records that were logged more than a second before the last one.
        counted: lost records that the writer's own counter has.
        tails: files that end with a part of a record.
        torn: files with damage before their end or in which a reader stops, and tags out of order.
        hung: trials in which the program or a child of it did not end.
        raised: calls that raised.
        longest: seconds of the longest call of `add_*`.
        fork: seconds of the longest fork.
        grown_kb: memory above that at the start.
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
        """Return both together: the longest and the largest of what has no sum."""
        pairs = {
            field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)
        }
        return Outcome(
            **{
                name: (max if name in {"longest", "fork", "grown_kb"} else sum)(pair)
                for name, pair in pairs.items()
            }
        )
