"""A channel whose numbers are joined over all ranks: rank 0 writes, and the others send.

Lives here: the parts of a channel that differ. Must not: know how numbers are joined, or when one counts as missing.
Runs on callers' threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tblog._delivery.channel import Channel
from tblog._delivery.light_lane import is_scalar
from tblog._locks import on_worker
from tblog._ranks.courier import Courier
from tblog._ranks.joining import Joiner
from tblog._ranks.no_files import NoFiles
from tblog._ranks.reducers import JoiningReducer, SendingReducer
from tblog._ranks.working_time import WorkingTime

if TYPE_CHECKING:
    from tblog._delivery.entries import Entry
    from tblog._delivery.light_lane import Reducer
    from tblog._files.run_files import RunFiles
    from tblog._files.stored_runs import StoredRuns
    from tblog._ranks.mailbox import Session
    from tblog._ranks.place import Place

FLUSH_SECS = 5.0
"""Maximum time that `flush` waits for the store."""
CLOSE_SECS = 10.0
"""Maximum time that `close` waits: on rank 0 for the other ranks, and on the others for the store."""

leaving: list[ReducingChannel] = []
"""Channels of dropped writers, some of which still send or wait for other ranks."""


class ReducingChannel(Channel):
    """The channel of one rank.

    Args:
        place: the rank of this process, and the number of ranks.
        name: the name of the writer's mailbox.
        session: this rank's state of the mailbox; None in a forked child, which can neither send nor receive.
        arguments: the arguments of `Channel`.
    """

    _TAKES_BLOCKS: ClassVar[bool] = False  # each number becomes an object anyway, to be joined or sent

    def __init__(self, place: Place, name: str, session: Session | None, *arguments: Any) -> None:
        self._place = place
        self._name = name
        self._session = session
        self._courier: Courier | None = None
        super().__init__(*arguments)

    def _new_reducer(self) -> Reducer | None:
        if self._session is None:
            return None
        if self._place.world_size > 1:
            early_secs = self.options.reduce_wait_secs / 2  # so points of rank 0 still wait for these numbers
            arguments = (self._place, self._name, self._session, self.reports, self._wake)
            self._courier = Courier(*arguments, early_secs)
        if self._place.rank and self._courier is not None:
            return SendingReducer(self._courier)
        options = self.options
        joiner = Joiner(
            self._place.world_size,
            options.reductions,
            options.reduce_wait_secs,
            self.reports,
            WorkingTime(self._clock),
        )
        return JoiningReducer(joiner, self._courier)

    def leave_to_parent(self) -> None:
        """Be closed in a forked child; see `Channel.leave_to_parent`. The parent exchanges the numbers."""
        self._courier = None
        super().leave_to_parent()

    def _wake(self) -> None:
        self.queue.wake()  # looked up late: it changes once a worker serves the channel

    def _new_files(self) -> RunFiles | StoredRuns:
        if not self._place.rank:
            return super()._new_files()
        return NoFiles(
            self.logdir,
            self.reports,
            lambda: 0 if self._courier is None else self._courier.sent,
            self.queue.count_dropped,
        )

    def open(self, *, patient: bool) -> None:
        """Create the event file, on rank 0, and start to exchange numbers; see `Channel.open`."""
        super().open(patient=patient)
        if self._courier is not None:
            self._courier.start()

    def put(self, entry: Entry) -> None:
        """Queue an entry; on ranks other than 0, only scalars."""
        if not self._place.rank or is_scalar(entry):
            super().put(entry)

    def flush(self) -> bool:
        """Return when the storage or the store has this rank's records; wait at most `FLUSH_SECS` for the store."""
        # A signal handler may fork anywhere here: then it is gone, and waits for nothing.
        courier = self._courier
        if self._place.rank or courier is None:
            is_flushed = super().flush()
            if courier is not None:
                courier.settle(FLUSH_SECS)
            return is_flushed
        courier.settle(FLUSH_SECS)
        return super().flush()

    def close(self) -> bool:
        """Return when everything is written or sent; wait at most `CLOSE_SECS` for the others to close."""
        if on_worker():
            self.let_go()
            return False
        courier = self._courier
        if courier is not None and not self._place.rank and not self.is_closing:
            courier.settle(FLUSH_SECS)  # it may not have found the store yet
            courier.wait_for_others(CLOSE_SECS)
        is_closed = super().close()
        if courier is not None:
            courier.join(CLOSE_SECS)
        return is_closed

    def let_go(self) -> None:
        """Close without waiting. Rank 0 closes once the others have, or after `CLOSE_SECS`."""
        if self._courier is None:
            self.start_closing()
            return
        leaving[:] = [channel for channel in leaving if channel.is_leaving]
        leaving.append(self)
        if self._place.rank or not self._courier.is_running:
            self.start_closing()
        else:
            self._courier.when_others_have_closed(self.start_closing, CLOSE_SECS)

    @property
    def is_leaving(self) -> bool:
        """Return whether it is still open, or its courier still works."""
        return self.served and (not self.closed or (self._courier is not None and self._courier.is_running))
