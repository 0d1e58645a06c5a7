"""An edit that leaves out values of a run, but keeps the metadata of their tags.

TensorBoard reads the kind of a tag from its first value with metadata, and some writers add metadata only to the first
value. If that value is left out, the first one that stays gets its metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog._cli.edits import Found, Kept, edited
from tblog._cli.tags import mentions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Leaving:
    """Leaves out some values of some tags.

    Args:
        tags: the tags with values to leave out.
        goes: returns whether to leave out a value of these tags; called in the order of the run's files.
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
