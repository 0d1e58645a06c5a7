"""The thread between the worker and the store: it posts what this rank logged, or fetches what the others did.

The store may be slow, or hang with the host that it is on. So neither the training's threads nor tblog's worker ask it
anything: they put numbers here and take them from here, and wait with a deadline at most, in `flush` and `close`.

Lives here: the thread, its two queues and their bounds.
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

from tblog._locks import ForkSafeLock, mark_worker
from tblog._ranks.batches import Batch, pack, unpack
from tblog._ranks.mailbox import Mailbox, group_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tblog._delivery.entries import NumberOfRun
    from tblog._ranks.mailbox import Session
    from tblog._ranks.place import Place
    from tblog._reports import Reports

PAUSE_SECS = 0.1
PAUSE_OF_A_RANK_SECS = 0.001
"""For each rank: the more there are, the more rarely each posts, so that rank 0 has no more to take."""
NUMBERS_A_BATCH = 500  # the worker joins so many without a breath
BATCHES_AT_ONCE = 64
MAX_BATCHES = 512
"""Batches that wait for the worker of rank 0. Others stay in the store."""
MAX_TRIES = 3
LINK_SECS = 10.0
"""Maximum time that the end of another rank waits for rank 0 to open its writer."""
MAX_NUMBERS = 262_144
"""Numbers that wait on another rank. A waiting one takes about 150 bytes."""


_opening = ForkSafeLock()


class Courier:
    """Carries the numbers of one writer between the ranks.

    Args:
        place: this process.
        name: of the writer's mailbox.
        session: what this rank knows of that.
        reports: receives what is lost, and why.
        arrived: called when numbers of others have come.
    """

    def __init__(
        self, place: Place, name: str, session: Session, reports: Reports, arrived: Callable[[], None]
    ) -> None:
        self.sent = 0
        """Numbers that the store has."""
        self._place = place
        self._name = name
        self._session = session
        self._reports = reports
        self._arrived = arrived
        self._outgoing: deque[NumberOfRun] = deque()
        self._incoming: deque[Batch] = deque()
        self._gone: set[int] = set()  # ranks that have closed their writers
        self._store: Any = None
        self._tries = 0
        self._box: Mailbox | None = None
        self._closing = False
        self._give_up_at = 0.0
        self._is_linked = self._has_ended = False
        self._asked = self._answered = 0
        self._bell: SimpleQueue[None] = SimpleQueue()  # put is reentrant: a signal handler may flush
        self._round_ended = threading.Condition()
        self._pid = os.getpid()
        self._pause_secs = PAUSE_SECS + PAUSE_OF_A_RANK_SECS * place.world_size
        self._starting = ForkSafeLock()
        self._thread: threading.Thread | None = None

    # On any thread.

    def start(self) -> None:
        """Start the thread, once."""
        with self._starting:
            if self._thread is None and self._pid == os.getpid():
                thread = threading.Thread(target=self._run, name="tblog-ranks", daemon=True)
                with contextlib.suppress(RuntimeError):  # the interpreter ends
                    thread.start()
                    self._thread = thread

    # On the worker's thread.

    def send(self, numbers: Sequence[NumberOfRun]) -> None:
        """Let numbers go to rank 0. Those beyond the bound are lost and counted."""
        room = max(0, MAX_NUMBERS - len(self._outgoing))
        self._outgoing.extend(numbers[:room])
        if len(numbers) > room:
            self._reports.unsent(len(numbers) - room, "rank 0 does not take them")

    def received(self) -> Batch | None:
        """Return the oldest batch of the other ranks, or None."""
        return self._incoming.popleft() if self._incoming else None

    @property
    def has_received(self) -> bool:
        """Return whether a batch waits to be received."""
        return bool(self._incoming)

    def end(self) -> None:
        """Let the thread send the rest, tell rank 0 that it is all, and end."""
        self._give_up_at = time.monotonic() + LINK_SECS
        self._closing = True
        self._bell.put(None)

    # On callers' threads.

    def settle(self, secs: float) -> None:
        """Return when all that was sent is with the store, and all that was there is here, or after so many seconds."""
        self._asked += 1
        asked = self._asked
        self._bell.put(None)
        self._wait_for(lambda: self._answered >= asked and not (self._is_linked and self._outgoing), secs)

    def wait_for_others(self, secs: float) -> None:
        """Return when all other ranks have closed their writers, and their numbers are here, or after so many seconds."""
        others = self._place.world_size - 1
        self._wait_for(lambda: not self._is_linked or len(self._gone) >= others, secs)

    def join(self, secs: float) -> None:
        """Return when the thread has ended, or after so many seconds."""
        if self._pid != os.getpid():
            return
        if self._thread is not None:
            self._thread.join(secs)
        else:
            self._work_until(lambda: self._has_ended, secs)

    def _wait_for(self, happened: Callable[[], bool], secs: float) -> None:
        if self._pid != os.getpid():  # a forked child has no part in this
            return
        self.start()
        if self._thread is None:
            self._work_until(happened, secs)
        elif self._thread.is_alive():
            with self._round_ended:
                self._round_ended.wait_for(happened, secs)

    def _work_until(self, happened: Callable[[], bool], secs: float) -> None:
        """Do the thread's work here, because none starts any more: the interpreter ends."""
        end = time.monotonic() + secs
        while not (self._has_ended or happened()) and time.monotonic() < end:
            self._has_ended = self._round()
            time.sleep(PAUSE_OF_A_RANK_SECS)

    # On the thread.

    def _run(self) -> None:
        mark_worker(works=True)
        while not self._round():
            with contextlib.suppress(Empty):
                self._bell.get(timeout=self._pause_secs)
                while True:
                    self._bell.get_nowait()

    def _round(self) -> bool:
        """Carry what there is; return whether that was the last time."""
        asked, is_last = self._asked, self._closing
        try:
            if self._box is None:
                self._box = self._open_box()
            self._is_linked = self._box is not None and self._box.is_open
            if self._box is not None and self._is_linked:
                self._carry(self._box, is_last=is_last)
            elif self._box is not None:  # rank 0 has no writer yet
                is_last = is_last and time.monotonic() >= self._give_up_at
        except Exception as error:  # of the store: its server is gone, for one
            self._box, self._is_linked = None, False
            self._reports.store_failed(error)
        if is_last and self._outgoing:
            self._reports.unsent(len(self._outgoing), "the writer was closed, and they could not be sent")
        with self._round_ended:
            self._answered = asked
            self._round_ended.notify_all()
        return is_last

    def _open_box(self) -> Mailbox | None:
        """Open the box in the store of the process group, but not again in one that failed: that may take minutes."""
        store = group_store()
        if store is None or store is self._store:
            return None
        self._tries += 1
        if self._tries >= MAX_TRIES:
            self._store = store
        with _opening:  # writers of one process may find the store at the same moment
            box = Mailbox(store, self._name, self._place.rank, self._session)
        self._store = store
        return box

    def _carry(self, box: Mailbox, *, is_last: bool) -> None:
        if self._place.rank:
            self._post(box, is_last=is_last)
        else:
            self._fetch(box)

    def _post(self, box: Mailbox, *, is_last: bool) -> None:
        while self._outgoing or is_last:
            numbers = [self._outgoing.popleft() for _ in range(min(NUMBERS_A_BATCH, len(self._outgoing)))]
            is_all = is_last and not self._outgoing
            is_posted = False
            try:
                is_posted = box.post(pack(Batch(self._place.rank, numbers, is_all)))
            finally:
                if not is_posted:
                    self._outgoing.extendleft(reversed(numbers))
            if not is_posted:
                return
            self.sent += len(numbers)
            if is_all:
                break
        box.confirm()

    def _fetch(self, box: Mailbox) -> None:
        while len(self._incoming) < MAX_BATCHES and (taken := box.take(BATCHES_AT_ONCE)):
            for data in taken:
                try:
                    batch = unpack(data)
                except Exception as error:  # of another version of tblog
                    self._reports.store_failed(error)
                    continue
                self._incoming.append(batch)
                (self._gone.add if batch.is_last else self._gone.discard)(batch.rank)
            self._arrived()
