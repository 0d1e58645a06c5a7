"""The thread between the worker and the store: it posts this rank's numbers, or fetches those of the others.

The store may be slow, or hang together with its host. So neither the training's threads nor tblog's worker ever query
it. They put numbers here and take them from here. Only `flush` and `close` wait, with a deadline.

Lives here: the thread, its two queues and their limits.
Must not: know files. One thread for each open writer, "tblog-ranks"; its whole body is `_run`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from tblog._locks import Answer, here, on_worker
from tblog._ranks.backlog import Backlog
from tblog._ranks.batches import receive
from tblog._ranks.mailbox import Mailbox, group_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tblog._delivery.entries import NumberOfRun
    from tblog._ranks.batches import Parcel
    from tblog._ranks.mailbox import Session
    from tblog._ranks.place import Place
    from tblog._reports import Reports

PAUSE_SECS = 0.1
PAUSE_OF_A_RANK_SECS = 0.001
"""Added for each rank: with more ranks, each posts less often, so rank 0 has no more batches to take."""
BATCHES_AT_ONCE = 64
MAX_BATCHES = 512
"""Maximum batches that wait for the worker of rank 0. The rest stay in the store."""
MEETING_SECS = 2.0
"""Time after a writer was opened, or first saw a group, in which its ranks look for each other often, and in which rank 0
keeps the store of a group that is destroyed meanwhile."""
MEETING_PAUSE_SECS = 0.02
LINK_SECS = 10.0
"""Maximum time that another rank, when it closes, waits for rank 0 to open its writer and to take numbers."""


class Courier:
    """Carries the numbers of one writer between the ranks.

    Args:
        place: the rank of this process, and the number of ranks.
        name: the name of the writer's mailbox.
        session: this rank's state of the mailbox.
        reports: receives losses and their causes.
        arrived: called when numbers of other ranks have arrived.
        early_secs: maximum time, in seconds, to keep the numbers of a rank that has opened its writer more
            often than this one. They belong to this rank's next opening.
    """

    def __init__(
        self,
        place: Place,
        name: str,
        session: Session,
        reports: Reports,
        arrived: Callable[[], None],
        early_secs: float,
    ) -> None:
        self.sent = 0
        """Number of values that the store has accepted."""
        self._place = place
        self._name = name
        self._session = session
        self._reports = reports
        self._arrived = arrived
        self._early_secs = early_secs
        session.openings += 1
        self._opening = session.openings
        self._before = session.thread
        self._outgoing = Backlog(place.rank, session.openings)
        self._incoming: deque[Parcel] = deque()
        self._gone: set[int] = set()  # ranks that have closed their writers as often as this one
        self._box = Mailbox(name, place, session)
        self._group = group_store()  # kept: it may be destroyed before the ranks have met
        self._meet_until = time.monotonic() + MEETING_SECS
        self._had_group = session.batches is not None
        self._failed_group: Callable[[], Any] | None = None
        self._let_in: dict[int, int] = {}  # by rank: the opening that is not the same as here, and taken
        self._closing = False
        self._give_up_at = 0.0
        self._leave_at = 0.0
        self._leave: Callable[[], object] | None = None
        self._is_linked = False
        self._asked = self._answered = 0
        self._bell: SimpleQueue[None] = SimpleQueue()  # put is reentrant: a signal handler may flush
        self._waiting: deque[Answer] = deque()  # one of each caller who waits for the end of a round
        self._pid = os.getpid()
        self._pause_secs = PAUSE_SECS + PAUSE_OF_A_RANK_SECS * place.world_size
        self._thread: threading.Thread | None = None

    # On the worker's thread.

    def send(self, numbers: Sequence[NumberOfRun]) -> None:
        """Queue numbers for rank 0. Those that there is no room for are lost and counted."""
        lost = self._outgoing.put(numbers)
        if lost:
            self._reports.unsent(lost, "rank 0 does not take them")

    def received(self) -> Parcel | None:
        """Return the oldest batch of the other ranks, or None."""
        return self._incoming.popleft() if self._incoming else None

    @property
    def has_received(self) -> bool:
        """Return whether a batch waits to be received."""
        return bool(self._incoming)

    def end(self) -> None:
        """Let the thread send the rest, tell rank 0 that nothing follows, and end."""
        self._give_up_at = time.monotonic() + LINK_SECS
        self._closing = True
        self._bell.put(None)

    # On callers' threads.

    def start(self) -> None:
        """Start the thread, once the files are open."""
        self._thread = self._session.thread = threading.Thread(
            target=self._run, name="tblog-ranks", daemon=True
        )
        with contextlib.suppress(RuntimeError):  # the interpreter is ending
            self._thread.start()

    def when_others_have_closed(self, leave: Callable[[], object], secs: float) -> None:
        """Let the thread call `leave` once all other ranks have closed their writers, or after `secs`."""
        self._leave_at = time.monotonic() + secs
        self._leave = leave
        self._bell.put(None)

    def settle(self, secs: float) -> None:
        """Return when the store has all that was sent, and all that it had is fetched, or after `secs`.

        Soon after the opening, this includes that the ranks know each other.
        """
        self._asked += 1
        asked = self._asked
        self._bell.put(None)
        self._wait_for(lambda: self._answered >= asked and not self._has_more, secs)

    def wait_for_others(self, secs: float) -> None:
        """Return when all other ranks have closed their writers and their numbers have arrived, or after `secs`."""
        self._wait_for(lambda: self._are_others_gone, secs)

    def join(self, secs: float) -> None:
        """Return when the thread has ended, or after `secs`; report numbers that were not sent."""
        if self.is_running and not on_worker():
            assert self._thread is not None
            self._thread.join(secs)
            lost = len(self._outgoing)
            if self._thread.is_alive() and lost:
                self._reports.unsent(lost, "the writer was closed, and the store did not answer")

    @property
    def _has_more(self) -> bool:
        return self._is_meeting or (self._is_linked and len(self._outgoing) > 0)

    @property
    def _are_others_gone(self) -> bool:
        return not self._is_linked or len(self._gone) >= self._place.world_size - 1

    def _wait_for(self, happened: Callable[[], bool], secs: float) -> None:
        deadline = time.monotonic() + secs
        while self.is_running and not on_worker() and time.monotonic() < deadline:
            round_ended = Answer()
            self._waiting.append(round_ended)
            if happened():
                return
            # Not for long: a child that a signal handler forks here goes on, without the thread.
            round_ended.wait(min(self._pause_secs, deadline - time.monotonic()))

    @property
    def is_running(self) -> bool:
        """Return whether the thread runs in this process. It does not run in a forked child."""
        return self._pid == os.getpid() and self._thread is not None and self._thread.is_alive()

    # On the thread.

    def _run(self) -> None:
        here.works = True
        while not self._round():
            if self._leave is not None and (self._are_others_gone or time.monotonic() >= self._leave_at):
                leave, self._leave = self._leave, None
                leave()
            with contextlib.suppress(Empty):
                self._bell.get(timeout=MEETING_PAUSE_SECS if self._is_meeting else self._pause_secs)
                while True:
                    self._bell.get_nowait()
        self._group = None
        self._box.meet(None)

    def _round(self) -> bool:
        """Send or fetch what is pending; return whether this was the last round."""
        asked, is_last = self._asked, self._closing
        must_wait = self._before is not None and self._before.is_alive()  # the opening before has not ended
        if not must_wait:
            self._meet()
        self._is_linked = must_wait or self._box.is_open
        try:
            if not must_wait and self._box.is_open:
                if not self._carry(is_last=is_last):  # the store is full until rank 0 takes some
                    is_last = is_last and time.monotonic() >= self._give_up_at
            elif must_wait or self._box.is_meeting:  # rank 0 has no writer yet
                is_last = is_last and time.monotonic() >= self._give_up_at
        except Exception as error:  # from rank 0's store: its process may be gone
            self._is_linked, self._failed_group = False, self._session.group
            self._session.forget()
            self._reports.store_failed(error)
        if is_last and self._place.rank == 0:  # late batches are for the next opening
            self._session.early.extendleft((0.0, batch) for batch in reversed(self._incoming))
        if is_last and not self._had_group:
            self._reports.no_group(self._place.world_size)
        if is_last and self._outgoing:
            self._reports.unsent(len(self._outgoing), "the writer was closed before rank 0 took them")
        self._answered = asked
        while self._waiting:
            self._waiting.popleft().set()
        return is_last

    @property
    def _is_meeting(self) -> bool:
        """Return whether the writer was opened just now, and some rank does not know yet where to send its numbers."""
        return self._box.is_meeting and self._box.needs_group and time.monotonic() < self._meet_until

    def _meet(self) -> None:
        """Look for the other ranks in the group's store, but never again in one that failed: that can take minutes.

        A destroyed group is kept only until the ranks have met, see hub.py.
        """
        group = group_store()
        if group is not None:
            if not self._had_group:
                self._meet_until = time.monotonic() + MEETING_SECS
            self._had_group = True
            self._group = group
        elif self._group is not None and self._box.needs_group:
            group = self._group
        if group is not None and self._failed_group is not None and group is self._failed_group():
            group = None
        try:
            self._box.meet(group)
        except Exception as error:  # its server may be gone
            self._failed_group = self._session.group
            self._box.meet(None)
            if self._box.needs_group:
                self._reports.store_failed(error)
        if not self._box.needs_group or time.monotonic() >= self._meet_until:
            self._group = None

    def _carry(self, *, is_last: bool) -> bool:
        """Post or fetch; return False if something could not be posted."""
        if self._place.rank:
            return self._post(is_last=is_last)
        if not is_last:  # what comes too late is for the next opening
            self._fetch()
        return True

    def _post(self, *, is_last: bool) -> bool:
        while (oldest := self._outgoing.oldest(is_last=is_last)) is not None:
            if not self._box.post(oldest.data):
                return False
            self._outgoing.remove()
            self.sent += oldest.size
            if is_last and not self._outgoing:
                break
        self._box.confirm()
        return True

    def _fetch(self) -> None:
        for came, batch in [early.popleft() for early in (self._session.early,) for _ in range(len(early))]:
            self._sort(batch, came)
        while len(self._incoming) < MAX_BATCHES and (taken := self._box.take(BATCHES_AT_ONCE)):
            for data in taken:
                try:
                    batch = receive(data)
                except Exception as error:  # of another version of tblog
                    self._reports.store_failed(error)
                    continue
                self._sort(batch, time.monotonic())
            self._arrived()

    def _sort(self, batch: Parcel, came: float) -> None:
        """Take a batch now, or keep it for the next opening if its rank is there already."""
        expected = max(self._opening, self._let_in.get(batch.rank, 0))
        if batch.opening > expected:
            self._gone.add(batch.rank)
            if len(self._session.early) < MAX_BATCHES and time.monotonic() < came + self._early_secs:
                self._session.early.append((came, batch))
                return
            self._let_in[batch.rank] = expected = batch.opening  # only that rank has closed its writer
        if batch.opening == expected:
            (self._gone.add if batch.is_last else self._gone.discard)(batch.rank)
        self._incoming.append(batch)
        self._arrived()
