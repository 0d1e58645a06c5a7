"""Batches of bytes from the ranks to rank 0, through a key-value store of rank 0.

A pile has a counter of its values, and a key for each value. To put a value, a rank increments the counter and sets the
key of that number. Rank 0 reads the counter, which tells it in one request whether there is anything to take. The
requests use connections of their own: a training thread that waits in a store holds the lock of its connection.

The ranks find rank 0's store through that of the process group, which may outlive a training: torchrun's does, when it
restarts all ranks. So each rank asks for the address under a random key, and rank 0 answers with the address and the
random name of a session. No rank reads or continues what an earlier generation left.

Lives here: keys, and their order. Must not: wait for a key that may never be set.
Runs on the courier's thread. Each request takes some 20 us, and raises or hangs with the store.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from tblog._ranks.hub import connect, open_hub

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from tblog._ranks.batches import Parcel
    from tblog._ranks.hub import Hub
    from tblog._ranks.place import Place

MAX_POSTED = 64
"""Maximum batches of one rank that rank 0 has not taken: the store keeps them in memory."""
HELLOS_AT_ONCE = 64
MAX_HOLES = 1_000
"""Maximum number of batches that were announced but never set, because their rank died in between."""


def group_store() -> Any:
    """Return the store that torch's process group was made with; None if this process made no group."""
    store = _store_of_group()
    return None if store is _inherited else store


def _store_of_group() -> Any:
    distributed = sys.modules.get("torch.distributed")
    is_initialized = getattr(distributed, "is_initialized", None)
    if distributed is None or is_initialized is None or not is_initialized():
        return None
    return distributed.distributed_c10d._get_default_store()  # noqa: SLF001 - there is no public way


_inherited: Any = None


def _note_inherited() -> None:
    """Note the group of the parent process: a forked child that used it would act as the parent's rank."""
    global _inherited  # noqa: PLW0603 - once in each child
    _inherited = _store_of_group()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_inherited)


class Session:
    """A rank's state of a mailbox. It outlives the writer's close: a reopened writer continues with it."""

    def __init__(self) -> None:
        self.openings = 0
        """How often this rank has opened the writer."""
        self.thread: threading.Thread | None = None
        """The courier's of the latest opening."""
        self.early: deque[tuple[float, Parcel]] = deque()
        """Of rank 0: batches of ranks that have opened it more often, and when they came."""
        self.place: Place | None = None
        self.forget()

    def forget(self) -> None:
        """Reset: nothing was exchanged yet, or it was with another rank 0."""
        self.batches: _Pile | None = None
        self.store: Any = None
        """Where the batches are, if this rank knows it."""
        self.hub: Hub | None = None
        """Of rank 0: the same."""
        self.met = 0
        """Of rank 0: the number of ranks that know it."""
        self.begin_in(None)

    def begin_in(self, group: Any) -> None:
        """Begin to look for the other ranks in a group's store."""
        self.group: Callable[[], Any] = _nothing if group is None else weakref.ref(group)
        self.hellos = _Pile("hello")
        self.word = ""
        """Under this key, rank 0 will say where the batches go."""


def _nothing() -> None:
    """Stand in for a reference to a store."""


class Mailbox:
    """One writer's box, as one rank sees it.

    Args:
        name: the same on all ranks, and unique to this writer.
        place: this process.
        session: this rank's state of the box; changed here.
    """

    def __init__(self, name: str, place: Place, session: Session) -> None:
        self._name = f"tblog/{name}"
        self._place = place
        self._session = session
        self._meeting: Any = None
        if session.place != place:
            session.place = place
            session.forget()

    def meet(self, group: Any) -> None:
        """Look for the other ranks in the store of the process group; to be called in each round.

        Args:
            group: the store; None if there is none (any more).
        """
        session = self._session
        if group is None:
            self._meeting = None
            return
        if self._meeting is None or session.group() is not group:
            self._meeting = self._of_this_writer(group.clone())
            if session.group() is not group:
                session.begin_in(group)
        if self._place.rank == 0:
            self._answer(group)
        elif session.batches is None:
            self._ask(group)

    def _answer(self, group: Any) -> None:
        session = self._session
        if session.batches is None or session.hub is None:
            session.hub = open_hub(group)
            session.batches = _Pile(uuid.uuid4().hex)
            session.store = self._of_this_writer(session.hub.store)
        answer = json.dumps(
            {"name": session.batches.name, "host": session.hub.host, "port": session.hub.port}
        )
        for word in session.hellos.take(self._meeting, HELLOS_AT_ONCE):
            self._meeting.set(word.decode(), answer)
        if self.needs_group:
            session.met = session.store.add(f"{session.batches.name}/met", 0)

    def _ask(self, group: Any) -> None:
        session = self._session
        if not session.word:
            session.word = uuid.uuid4().hex
            session.hellos.put(self._meeting, session.word.encode())
        if self._meeting.check([session.word]):
            answer = json.loads(self._meeting.get(session.word))
            session.store = self._of_this_writer(connect(group, answer["host"], answer["port"]))
            session.store.add(f"{answer['name']}/met", 1)
            session.batches = _Pile(answer["name"])

    def _of_this_writer(self, store: Any) -> Any:
        return sys.modules["torch.distributed"].PrefixStore(self._name, store)

    @property
    def is_meeting(self) -> bool:
        """Return whether there is a group, in whose store the others may be."""
        return self._meeting is not None

    @property
    def is_open(self) -> bool:
        """Return whether rank 0 has made the store for the batches, and this rank knows it."""
        return self._session.batches is not None

    @property
    def needs_group(self) -> bool:
        """Return whether some rank does not know yet where the batches go, so that the group's store is needed."""
        return not self.is_open or (self._place.rank == 0 and self._session.met < self._place.world_size - 1)

    def post(self, data: bytes) -> bool:
        """Send a batch to rank 0; return False if `MAX_POSTED` of this rank still wait there."""
        assert self._session.batches is not None
        return self._session.batches.put(self._session.store, data)

    def confirm(self) -> None:
        """Return once the store has all that was posted: it answers requests in order."""
        assert self._session.batches is not None
        self._session.batches.count(self._session.store)

    def take(self, most: int) -> list[bytes]:
        """Remove and return up to `most` of the oldest batches (on rank 0)."""
        assert self._session.batches is not None
        return self._session.batches.take(self._session.store, most)


class _Pile:
    """Numbered values under one name in a store."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._mine: deque[str] = deque()  # put by this rank, perhaps not yet taken
        self._seen = 0
        self._holes: deque[int] = deque()

    def count(self, store: Any) -> int:
        """Return how many values were ever put."""
        counted: int = store.add(f"{self.name}/count", 0)
        return counted

    def put(self, store: Any, data: bytes) -> bool:
        """Put a value; return False without putting it if `MAX_POSTED` of this rank still wait."""
        while len(self._mine) >= MAX_POSTED // 2 and not store.check([self._mine[0]]):
            self._mine.popleft()
        if len(self._mine) >= MAX_POSTED:
            return False
        key = self._key(store.add(f"{self.name}/count", 1))
        store.set(key, data)
        self._mine.append(key)
        return True

    def take(self, store: Any, most: int) -> list[bytes]:
        """Remove and return up to `most` of the oldest values."""
        counted = self.count(store)
        new = range(self._seen + 1, min(counted, self._seen + most) + 1)
        keys = [self._key(number) for number in new]
        if keys and not self._holes and store.check(keys):  # the usual case: two requests for all of them
            taken = list(store.multi_get(keys))
            for key in keys:
                store.delete_key(key)
            self._seen = new[-1]
            return taken
        return self._take_one_by_one(store, most, counted)

    def _take_one_by_one(self, store: Any, most: int, counted: int) -> list[bytes]:
        taken: list[bytes] = []
        for number in (*self._holes, *range(self._seen + 1, counted + 1)):
            if len(taken) == most:
                break
            key = self._key(number)
            is_there = store.check([key])
            if is_there:
                taken.append(store.get(key))
                store.delete_key(key)
            self._note(number, is_there=is_there)
        return taken

    def _key(self, number: int) -> str:
        return f"{self.name}/{number}"

    def _note(self, number: int, *, is_there: bool) -> None:
        if number <= self._seen:
            if is_there:
                self._holes.remove(number)
            return
        self._seen = number
        if not is_there:
            self._holes.append(number)
            if len(self._holes) > MAX_HOLES:
                self._holes.popleft()
