"""An edit that leaves out values of a run, but keeps the metadata of their tags.

TensorBoard reads the kind of a tag from its first value with metadata, and some writers add metadata only to the first
value. If that value is left out, the first one that stays gets its metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tblog._cli.applying import Decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from tblog._cli.stretches import Values


class Leaving:
    """Leaves out some values of some tags.

    Args:
        tags: the only ones of which values go.
        goes: says so of values, given with their tags by number, in the order of the run's files; what it says of
            other tags does not count.
    """

    def __init__(self, tags: Iterable[str], goes: Callable[[Values, list[str]], NDArray[np.bool_]]) -> None:
        self._tags, self._goes = frozenset(tags), goes
        self._orphaned: dict[str, bytes] = {}
        self._told: set[str] = set()

    def __call__(self, values: Values, names: list[str]) -> Decisions:
        """Decide about the values of the next stretch."""
        numbers = [number for number, name in enumerate(names) if name in self._tags]
        concerned = np.isin(values.tags, numbers)
        goes = concerned & self._goes(values, names)
        orphans = {tag: int(at[0]) for tag, at in places_by(values.tags, goes & (values.told >= 0)).items()}
        new: dict[int, bytes] = {}
        for tag, places in places_by(values.tags, concerned & ~goes).items():
            place, name = int(places[0]), names[tag]
            if name not in self._told:
                self._told.add(name)
                if orphans.get(tag, place) < place:
                    self._adopt(values, name, orphans[tag])
                if (metadata := self._orphaned.get(name)) and values.told[place] < 0:
                    new[place] = metadata
        for tag, place in orphans.items():
            self._adopt(values, names[tag], place)
        return Decisions(goes, {}, new)

    def _adopt(self, values: Values, name: str, place: int) -> None:
        self._orphaned.setdefault(name, values.metadata[values.told[place]])


def places_by(tags: NDArray[np.int32], which: NDArray[np.bool_]) -> dict[int, NDArray[np.int64]]:
    """Return the places of some values by the numbers of their tags, in their order."""
    places = np.flatnonzero(which)
    places = places[np.argsort(tags[places], kind="stable")]
    parts = np.split(places, np.flatnonzero(np.diff(tags[places])) + 1)
    return {int(tags[part[0]]): part for part in parts if len(part)}
