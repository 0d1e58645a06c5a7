"""Batches of bytes from the ranks to rank 0, through the key-value store of torch's process group.

A pile has a counter of its values, and a key for each value. To put a value, a rank increments the counter and sets the
key of that number. Rank 0 reads the counter, which tells it in one request whether there is anything to take. The
requests use a connection of their own, a clone of the store: a training thread that waits in the store holds the
original's lock.

A store may outlive a training: torchrun's does, when it restarts all ranks. So rank 0 creates a session with a random
name, and each rank asks for that name under a random key. No rank reads or continues what an earlier generation left.

Lives here: keys, and their order. Must not: wait for a key that may never be set.
Runs on the courier's thread. Each request takes some 20 us, and raises or hangs with the store.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading

    from tblog._ranks.batches import Batch

MAX_POSTED = 64
"""Maximum number of batches of one rank in the store, which keeps them in memory."""
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
        """The courier's thread of the latest opening."""
        self.early: deque[tuple[float, Batch]] = deque()
        """On rank 0: batches of ranks that have opened the writer more often, with their times of arrival."""
        self.begin()

    def begin(self) -> None:
        """Reset, because nothing was exchanged yet, or only in another store."""
        self.hellos = _Pile("hello")
        self.batches: _Pile | None = None


class Mailbox:
    """One writer's box, as one rank sees it.

    Args:
        store: the process group's store, or one like it.
        name: a name that is the same on all ranks, and unique to this writer.
        rank: the rank of this process.
        session: this rank's state of the box, which changes.
    """

    def __init__(self, store: Any, name: str, rank: int, session: Session) -> None:
        self._store: Any = sys.modules["torch.distributed"].PrefixStore(f"tblog/{name}", store.clone())
        self._session = session
        self._word = ""
        if session.batches is not None and self._store.check([f"{session.batches.name}/open"]):
            return
        session.begin()
        if rank == 0:
            session.batches = _Pile(uuid.uuid4().hex)
            self._store.set(f"{session.batches.name}/open", "")
        else:
            self._word = uuid.uuid4().hex
            session.hellos.put(self._store, self._word.encode())

    @property
    def is_open(self) -> bool:
        """Return whether rank 0 has published the session's name."""
        if self._session.batches is None and self._store.check([self._word]):
            self._session.batches = _Pile(self._store.get(self._word).decode())
        return self._session.batches is not None

    def post(self, data: bytes) -> bool:
        """Send a batch to rank 0; return False if `MAX_POSTED` of this rank still wait there."""
        assert self._session.batches is not None
        return self._session.batches.put(self._store, data)

    def confirm(self) -> None:
        """Return once the store has all that was posted: it answers requests in order."""
        assert self._session.batches is not None
        self._session.batches.count(self._store)

    def take(self, most: int) -> list[bytes]:
        """Remove and return up to `most` of the oldest batches; tell new ranks the session's name (on rank 0)."""
        assert self._session.batches is not None
        for word in self._session.hellos.take(self._store, most):
            self._store.set(word.decode(), self._session.batches.name)
        return self._session.batches.take(self._store, most)


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
