"""Restores what was cut out of event files, also after the run went on.

The old points come back to where they were. Newer points of the same tag, up to the last step that came back, would
hide them from TensorBoard's loaders or make a zigzag with them. They are set aside in turn, and restoring those undoes
the restore. If the process is killed at any moment, nothing is lost, and the next attempt finishes the work.
"""

from __future__ import annotations

import contextlib
import os
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tblog._files.kept import Extent, Kept, TakenOut, Why, extent_of, fits, take_out, together
from tblog._files.resume import event_paths
from tblog._files.rewrite import HeldFile, chunks_of, unless_in_use, write_file
from tblog._files.walk import walk
from tblog._wire.event_heads import event_head, event_tags
from tblog._wire.events import first_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOWEST, _HIGHEST = -(1 << 63) - 1, 1 << 63  # beyond all steps
_OPEN = "a writer has {} open; close it, and restore again"
_OTHER: dict[Why, Why] = {"cut": "undone", "undone": "cut"}


class NotRestoredError(Exception):
    """The restore is not possible now. The message says why, and what to do."""


class Steps(NamedTuple):
    """The first and the last step of a tag."""

    first: int
    last: int


def restore(kept: list[Kept]) -> tuple[Extent, Extent]:
    """Put back what was taken out at one time in one run, and set aside what was logged there since.

    Args:
        kept: all that one writer, or one command, kept of the run's files.

    Returns:
        How much was put back, and how much was set aside.

    Raises:
        NotRestoredError: a writer has a file of the run open, or one has changed since. Nothing was done.
        OSError: a file cannot be written. The next call continues from there.
    """
    folder, why, when = os.path.dirname(kept[0].path), kept[0].why, kept[0].when
    for path in event_paths(folder):
        _require_unused(path)
    for each in kept:
        if os.path.exists(each.event_path):
            with open(each.event_path, "rb") as file:
                _require_fit(each, file)
    for each in kept:
        _put_back(each)
    aside: list[TakenOut] = []
    if why in _OTHER:
        back = {each.event_path: _steps_of_tags(each.path) for each in kept}
        aside = [
            take_out(path, _stays_beside(path, back), _OTHER[why], when)
            for path in event_paths(folder)
            if path not in back
        ]
    put_back = together(extent_of(each.path) for each in kept)
    for each in kept:
        os.unlink(each.path)
    return put_back, together(each.extent for each in aside)


def _require_unused(path: str) -> None:
    with _held(path):
        pass


@contextlib.contextmanager
def _held(path: str) -> Iterator[HeldFile]:
    with unless_in_use(path) as held:
        if held is None or not held.may_change():
            raise NotRestoredError(_OPEN.format(path))
        yield held


def _require_fit(kept: Kept, file: BinaryIO) -> None:
    if not fits(kept, file):
        raise NotRestoredError(
            f"{kept.event_path} has changed since {kept.path} was kept. Restore what was kept later first; or "
            "give the kept file a name with tfevents in it, in a directory of its own"
        )


def _put_back(kept: Kept) -> None:
    path = kept.event_path
    with open(kept.path, "rb") as rest:
        if not os.path.exists(path):  # somebody removed it
            first = [first_event(1.0)] if kept.start else []
            write_file(path, chain(first, chunks_of(rest)), mode_of=kept.path)
            return
        with _held(path) as held:
            _require_fit(kept, held.file)
            if not held.rewrite(chain(held.chunks(0, kept.start), chunks_of(rest))):
                raise NotRestoredError(_OPEN.format(path))


def _steps_of_tags(path: str) -> dict[str, Steps]:
    found: dict[str, Steps] = {}
    with open(path, "rb") as file:
        for piece in walk(file):
            if piece.data is not None:
                step = event_head(piece.data).step
                for tag in event_tags(piece.data):
                    first, last = found.get(tag, (step, step))
                    found[tag] = Steps(min(first, step), max(last, step))
    return found


def _stays_beside(path: str, back: dict[str, dict[str, Steps]]) -> Callable[[bytes], bool]:
    """Return a function that says whether a record of another file can stay beside what came back.

    TensorBoard reads the files in the order of their names. A record drops earlier ones of its tag at its step and
    beyond. In the Python loader, a session's START does so for all tags.
    """
    first: dict[str, int] = {}  # of what comes after this file
    last: dict[str, int] = {}  # of what comes before it
    for other, tags in back.items():
        for tag, steps in tags.items():
            if other < path:
                last[tag] = max(last.get(tag, steps.last), steps.last)
            else:
                first[tag] = min(first.get(tag, steps.first), steps.first)
    last_of_all = max(last.values(), default=_LOWEST)

    def stays(data: bytes) -> bool:
        head = event_head(data)
        if head.starts_session:
            return head.step > last_of_all
        return all(last.get(tag, _LOWEST) < head.step < first.get(tag, _HIGHEST) for tag in event_tags(data))

    return stays
