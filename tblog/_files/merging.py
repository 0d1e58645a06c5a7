"""Making few files of a closed run's many segments.

Lives here: which are put together, under which name, in which order. Must not: know fsspec or the network.

A merged file is put before its parts are removed, and its name lies right behind its first part's: no moment loses
anything, and a process that is killed between leaves points twice. A loader that is at a part that is removed stays
there; so merging is an option, for runs that are read later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tblog._wire.events import FIRST_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MERGED_BYTES = 32 << 20
"""Maximum size of a merged file: this much is in memory meanwhile."""


class Part(NamedTuple):
    """A segment that the store has confirmed."""

    url: str
    nbytes: int


class Objects(Protocol):
    """A store, as `file_systems.Store` is one."""

    def put(self, url: str, content: bytes) -> None:
        """Give an object this content."""
        ...

    def get_all(self, urls: Sequence[str]) -> list[bytes]:
        """Return the contents of objects."""
        ...

    def remove_all(self, urls: Sequence[str]) -> None:
        """Remove objects."""
        ...


def merge(store: Objects, parts: Sequence[Part]) -> None:
    """Put the segments of one run together, as many as fit into a file each time.

    Args:
        store: has the segments.
        parts: in the order of their names.

    Raises:
        OSError: the store refuses, or somebody removed a segment; what is merged so far stays.
    """
    for group in _groups(parts):
        urls = [part.url for part in group]
        first, *others = store.get_all(urls)
        store.put(f"{urls[0]}-merged", b"".join((first, *(other[FIRST_EVENT_BYTES:] for other in others))))
        store.remove_all(urls)


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
