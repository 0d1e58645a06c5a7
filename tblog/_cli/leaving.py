"""An edit that leaves out values of a run, without taking the meaning from those that stay.

TensorBoard takes what a tag is from the first value of it that has metadata, and some writers give it to none but the
first: where that one goes, the first that stays gets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog._cli.edits import Found, Kept, edited
from tblog._cli.tags import mentions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Leaving:
    """Leaves out the values of some tags that go.

    Args:
        tags: the only ones of which values go.
        goes: says so of each of their values, in the order of the run's files.
    """

    def __init__(self, tags: Iterable[str], goes: Callable[[Found], bool]) -> None:
        self._tags, self._goes = frozenset(tags), goes
        self._may_concern = mentions(self._tags)
        self._orphaned: dict[str, bytes] = {}
        self._told: set[str] = set()

    def __call__(self, data: bytes) -> bytes | None:
        return edited(data, self._decide) if self._may_concern(data) else data

    def _decide(self, found: Found) -> Kept | None:
        tag, metadata = found.tag, found.metadata
        if tag not in self._tags:
            return Kept(tag)
        if self._goes(found):
            if metadata:
                self._orphaned.setdefault(tag, metadata)
            return None
        is_told = tag in self._told
        self._told.add(tag)
        return Kept(tag, b"" if is_told else self._orphaned.get(tag, b""))
