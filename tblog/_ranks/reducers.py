"""Handles the numbers of one rank: rank 0 joins all ranks' numbers, and the others send theirs.

Lives here: one class for rank 0 and one for the others, between the light lane and the courier. Runs on the worker thread.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tblog._ranks.backlog import MAX_NUMBERS, Backlog
from tblog._ranks.batches import unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tblog._delivery.entries import NumberOfRun, Scalar
    from tblog._ranks.batches import Parcel
    from tblog._ranks.courier import Courier
    from tblog._ranks.joining import Joiner

NUMBERS_A_STEP = 1_000


class JoiningReducer:
    """The reducer of rank 0.

    Args:
        joiner: joins the numbers.
        courier: brings the numbers of the other ranks; None if there are no other ranks.
    """

    def __init__(self, joiner: Joiner, courier: Courier | None) -> None:
        self._joiner = joiner
        self._courier = courier
        self._own = Backlog(0)
        self._held: dict[int, deque[Parcel]] = {}  # by rank: what came of those that are far ahead
        self._held_count = 0

    def take(self, numbers: Sequence[NumberOfRun]) -> None:
        """Join numbers that this rank logged, or keep them if it is far ahead of the others."""
        start = 0
        while start < len(numbers) and (
            self._courier is None or (self._joiner.has_room(0) and not self._own)
        ):
            self._joiner.add(0, numbers[start : start + NUMBERS_A_STEP])
            start += NUMBERS_A_STEP
        rest = numbers[start:]
        while rest:
            lost = self._own.put(rest)
            rest = rest[len(rest) - lost :]
            if (
                lost
            ):  # make room: the oldest points will be closed without the ranks that have not come so far
                self._join_next_own()
                self._join_next_held()

    def collect(self, *, is_last: bool) -> tuple[int, dict[str, list[Scalar]]]:
        """Join what has arrived; return how many numbers that was, and the closed points by run."""
        joined = self._join_held(has_to=is_last)
        if self._courier is not None:
            while (is_last or joined < NUMBERS_A_STEP) and (parcel := self._courier.received()) is not None:
                if is_last or (parcel.rank not in self._held and self._joiner.has_room(parcel.rank)):
                    joined += self._join(parcel)
                elif parcel.size:
                    self._held.setdefault(parcel.rank, deque()).append(parcel)
                    self._held_count += parcel.size
        joined += self._join_own(has_to=is_last)
        if is_last:
            self._joiner.close_all()
        return joined, self._joiner.closed(has_all=not self._has_received)

    def _join_held(self, *, has_to: bool) -> int:
        joined = 0
        while self._held and (has_to or joined < NUMBERS_A_STEP):
            is_forced = has_to or self._held_count > MAX_NUMBERS
            more = self._join_next_held(is_forced=is_forced)
            if not more:
                break
            joined += more
        return joined

    def _join_next_held(self, *, is_forced: bool = True) -> int:
        """Join the oldest of each rank that has room."""
        joined = 0
        for rank, parcels in tuple(self._held.items()):
            if is_forced or self._joiner.has_room(rank):
                parcel = parcels.popleft()
                self._held_count -= parcel.size
                joined += self._join(parcel)
                if not parcels:
                    del self._held[rank]
        return joined

    def _join_own(self, *, has_to: bool) -> int:
        joined = 0
        while has_to or (joined < NUMBERS_A_STEP and self._joiner.has_room(0)):
            more = self._join_next_own()
            if not more:
                break
            joined += more
        return joined

    def _join_next_own(self) -> int:
        parcel = self._own.oldest()
        if parcel is None:
            return 0
        self._own.remove()
        return self._join(parcel)

    def _join(self, parcel: Parcel) -> int:
        self._joiner.add(parcel.rank, unpack(parcel).numbers)
        return parcel.size

    @property
    def has_more(self) -> bool:
        """Return whether there are numbers that can be joined, and are not yet."""
        return (
            self._has_received
            or (len(self._own) > 0 and self._joiner.has_room(0))
            or any(map(self._joiner.has_room, self._held))
        )

    @property
    def _has_received(self) -> bool:
        return self._courier is not None and self._courier.has_received

    def end(self) -> None:
        """End the courier."""
        if self._courier is not None:
            self._courier.end()


class SendingReducer:
    """The reducer of any other rank."""

    has_more = False

    def __init__(self, courier: Courier) -> None:
        self._courier = courier

    def take(self, numbers: Sequence[NumberOfRun]) -> None:
        """Send numbers that this rank logged to rank 0."""
        self._courier.send(numbers)

    def collect(self, *, is_last: bool) -> tuple[int, dict[str, list[Scalar]]]:
        """Return nothing to write."""
        del is_last
        return 0, {}

    def end(self) -> None:
        """Let the courier send the rest."""
        self._courier.end()
