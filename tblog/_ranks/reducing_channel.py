"""A channel whose numbers are joined over all ranks: that of rank 0 writes, those of the others send.

Lives here: the parts of a channel that differ. Must not: know where the numbers of a rank go, and when they are missing.
Runs on callers' threads.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tblog._delivery.channel import Channel
from tblog._delivery.light_lane import is_scalar
from tblog._ranks.courier import Courier
from tblog._ranks.joining import Joiner
from tblog._ranks.no_files import NoFiles
from tblog._ranks.reducers import JoiningReducer, SendingReducer

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
"""Maximum time that `close` of rank 0 waits for the other ranks, and that of another for the store."""


class ReducingChannel(Channel):
    """The channel of one rank.

    Args:
        place: this process.
        name: of the writer's mailbox.
        session: what this rank knows of that.
        arguments: those of `Channel`.
    """

    def __init__(self, place: Place, name: str, session: Session, *arguments: Any) -> None:
        self._place = place
        self._name = name
        self._session = session
        self._pid = os.getpid()
        self._courier: Courier | None = None
        super().__init__(*arguments)

    def _new_reducer(self) -> Reducer | None:
        if self._pid != os.getpid():  # a forked child: it has no courier
            return None
        if self._place.world_size > 1:
            self._courier = Courier(self._place, self._name, self._session, self.reports, self._wake)
        if self._place.rank and self._courier is not None:
            return SendingReducer(self._courier)
        options = self.options
        joiner = Joiner(
            self._place.world_size, options.reductions, options.reduce_wait_secs, self.reports, self._clock
        )
        return JoiningReducer(joiner, self._courier)

    def _wake(self) -> None:
        self.queue.wake()  # which is another function once a worker serves the channel

    def _new_files(self) -> RunFiles | StoredRuns:
        if not self._place.rank:
            return super()._new_files()
        return NoFiles(
            self.logdir,
            self.reports,
            lambda: 0 if self._courier is None else self._courier.sent,
            self.queue.count_dropped,
        )

    def put(self, entry: Entry) -> None:
        """Queue an entry; on another rank than 0, only scalars."""
        if not self._place.rank or is_scalar(entry):
            super().put(entry)

    def flush(self) -> bool:
        """Return when what this rank logged is with the storage, or with the store: for which it waits `FLUSH_SECS`."""
        if self._place.rank or self._courier is None:
            is_flushed = super().flush()
            if self._courier is not None:
                self._courier.settle(FLUSH_SECS)
            return is_flushed
        self._courier.settle(FLUSH_SECS)
        return super().flush()

    def close(self) -> bool:
        """Return when everything is written or sent, and the others have closed, for which it waits `CLOSE_SECS`."""
        if self._courier is not None and not self._place.rank and not self.is_closing:
            self._courier.settle(FLUSH_SECS)  # it may not have seen yet that there is a store
            self._courier.wait_for_others(CLOSE_SECS)
        is_closed = super().close()
        if self._courier is not None:
            self._courier.join(CLOSE_SECS)
        return is_closed
