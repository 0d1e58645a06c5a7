"""Merges the many segments of a closed run into a few files.

Lives here: which are merged, under which name, in which order. Must not: know fsspec or the network.

A merged file is put before its parts are removed, and its name lies right behind its first part's: no moment loses
anything, and a process that is killed between leaves points twice. Where the store removes nothing, as for a key
without that right, the parts are emptied: who may put may do that. A loader that is at a part that is removed stays
there; so merging is an option, for runs that are read later.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tblog._wire.events import FIRST_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MERGED_BYTES = 32 << 20
"""Maximum size of a merged file: this much is in memory meanwhile."""
PAUSES_SECS = (0.5, 1.0, 2.0, 4.0)
"""Pauses between the tries to empty files that would show points twice."""


class Part(NamedTuple):
    """A segment that the store has confirmed."""

    url: str
    nbytes: int


class Objects(Protocol):
    """A store; `file_systems.Store` is one."""

    def put(self, url: str, content: bytes) -> None:
        """Give an object this content."""
        ...

    def get_all(self, urls: Sequence[str], nbytes: int) -> list[bytes]:
        """Return the contents of objects, `nbytes` together."""
        ...

    def remove_all(self, urls: Sequence[str]) -> None:
        """Remove objects."""
        ...


def merge(
    store: Objects, parts: Sequence[Part], pause: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Put the segments of one run together, as many as fit into a file each time; yield the URL of each such file.

    Args:
        store: has the segments.
        parts: in the order of their names.
        pause: waits so many seconds.

    Raises:
        OSError: the store refuses, or somebody removed a segment; what is merged so far stays, and no point is there
            twice unless the store refuses everything for longer than the pauses.
    """
    for group in _groups(parts):
        urls = [part.url for part in group]
        first, *others = store.get_all(urls, sum(part.nbytes for part in group))
        merged, empty = f"{urls[0]}-merged", first[:FIRST_EVENT_BYTES]
        content = b"".join((first, *(other[FIRST_EVENT_BYTES:] for other in others)))
        try:
            store.put(merged, content)
        except OSError:  # it may have it, and only the answer was lost
            _put_all(store, [merged], empty, pause)
            raise
        try:
            store.remove_all(urls)
        except OSError:
            _put_all(store, urls, empty, pause)
            raise
        yield merged


def _put_all(store: Objects, urls: Iterable[str], content: bytes, pause: Callable[[float], None]) -> None:
    for url in urls:
        for secs in PAUSES_SECS:
            try:
                store.put(url, content)
            except OSError:
                pause(secs)
            else:
                break
        else:
            store.put(url, content)


def _groups(parts: Iterable[Part]) -> Iterator[list[Part]]:
    group: list[Part] = []
    for part in parts:
        if group and sum(each.nbytes for each in group) + part.nbytes > MERGED_BYTES:
            if len(group) > 1:
                yield group
            group = []
        group.append(part)
    if len(group) > 1:
        yield group
