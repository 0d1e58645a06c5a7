"""Handles the numbers of one rank: rank 0 joins all ranks' numbers, and the others send theirs.

Lives here: one class for rank 0 and one for the others, between the light lane and the courier. Runs on the worker thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tblog._delivery.entries import NumberOfRun, Scalar
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

    def take(self, numbers: Sequence[NumberOfRun]) -> None:
        """Join numbers that this rank logged."""
        self._joiner.add(0, numbers)

    def collect(self, *, is_last: bool) -> tuple[int, dict[str, list[Scalar]]]:
        """Join the numbers that have arrived; return their count, and the closed points by run."""
        joined = 0
        if self._courier is not None:
            while (is_last or joined < NUMBERS_A_STEP) and (batch := self._courier.received()) is not None:
                self._joiner.add(batch.rank, batch.numbers)
                joined += len(batch.numbers)
        if is_last:
            self._joiner.close_all()
        return joined, self._joiner.closed(has_all=not self.has_more)

    @property
    def has_more(self) -> bool:
        """Return whether numbers have arrived that are not joined yet."""
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
