"""Numbers of one rank that wait, in the order of its calls: all but the newest as bytes, which take a tenth of the memory.

Lives here: that queue and its limit. The worker adds, and the courier's thread or the worker takes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tblog._locks import ForkSafeLock
from tblog._ranks.batches import Batch, Parcel, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tblog._delivery.entries import NumberOfRun

NUMBERS_A_BATCH = 500  # the worker joins a batch without a pause
MAX_NUMBERS = 2_000_000
"""Maximum numbers that wait. Each takes about 30 bytes."""


class Backlog:
    """A bounded queue of numbers.

    Args:
        rank: that logged them.
        opening: how often that rank has opened the writer.
    """

    def __init__(self, rank: int, opening: int = 1) -> None:
        self._rank = rank
        self._opening = opening
        self._packed: deque[Parcel] = deque()
        self._newest: deque[NumberOfRun] = deque()
        self._count = 0
        self._lock = ForkSafeLock()

    def __len__(self) -> int:
        """Return how many numbers wait."""
        return self._count

    def put(self, numbers: Sequence[NumberOfRun]) -> int:
        """Add numbers; return how many of them there was no room for."""
        with self._lock:
            room = max(0, MAX_NUMBERS - self._count)
            self._newest.extend(numbers[:room])
            self._count += min(room, len(numbers))
            while len(self._newest) >= 2 * NUMBERS_A_BATCH:
                self._pack()
        return max(0, len(numbers) - room)

    def oldest(self, *, is_last: bool = False) -> Parcel | None:
        """Return the oldest batch, or None if nothing waits. It stays until `remove`.

        Args:
            is_last: whether nothing will be added. Then the last batch says so, and there is always one.
        """
        with self._lock:
            if not self._packed and (self._newest or is_last):
                self._pack(is_last=is_last)
            return self._packed[0] if self._packed else None

    def remove(self) -> None:
        """Remove the oldest batch."""
        with self._lock:
            self._count -= self._packed.popleft().size

    def _pack(self, *, is_last: bool = False) -> None:
        count = min(NUMBERS_A_BATCH, len(self._newest))
        numbers = [self._newest.popleft() for _ in range(count)]
        batch = Batch(self._rank, numbers, is_last and not self._newest, self._opening)
        self._packed.append(Parcel(self._rank, batch.is_last, self._opening, count, pack(batch)))
