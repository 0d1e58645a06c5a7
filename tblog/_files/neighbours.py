"""Reports what else is in a log directory: another active writer, or an earlier run that is logged over.

TensorBoard shows all event files of a directory as one run: two writers make one zigzag curve of each tag that both
log, and so does a program that is started again without `resume`. Each is reported once in a process.

Lives here: looking, after the first record and then less and less often, and the messages. An active writer holds
tblog's lock, or its file grows. An earlier run is read at its end, and the own file at its beginning.
Must not: change anything. Runs on the worker thread.

Not reported: a forked child that uses its parent's writer, as intended; a writer that logs nothing; tblog's writers
that came later, which report this themselves.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from tblog._files import in_use
from tblog._files.names import Name, is_made_here, parsed
from tblog._files.sinks import Identity, claim, open_to_claim
from tblog._files.walk import walk
from tblog._wire.event_heads import event_head, event_tags
from tblog._wire.events import FIRST_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FIRST_PAUSE_SECS = 1.0
"""The pause after the first look. Each pause is twice as long as the one before."""

_COMPARISONS = 6  # of the own beginning with an earlier end, until they have a tag in common
# Files that are looked at, and files whose end is read. More would keep the worker busy for long.
_LATEST = 16
_LATEST_READ = 3
_BYTES = 1 << 14

_told: set[tuple[str, str]] = set()


class _Other(NamedTuple):
    """Another event file of the directory."""

    path: str
    name: Name | None
    size: int
    identity: Identity


class Neighbours:
    """Watches the log directory of one writer.

    Args:
        logdir: the directory.
        goes_on: whether the writer knows how to continue what is there.
        clock: monotonic seconds.
    """

    def __init__(self, logdir: str, *, goes_on: bool, clock: Callable[[], float]) -> None:
        self._logdir = logdir
        self._clock = clock
        self._look_at = clock()
        self._pause_secs = FIRST_PAUSE_SECS
        self._sizes: dict[str, int] = {}
        self._comparisons_left = 0 if goes_on else _COMPARISONS
        self._ends: dict[str, int] | None = None

    @property
    def is_due(self) -> bool:
        """Return whether it is time to look. While the interpreter ends, files cannot be opened for that any more."""
        return self._clock() >= self._look_at and not sys.is_finalizing()

    def look(self, own_path: str) -> Iterator[str]:
        """Yield messages to report; none if the directory cannot be read.

        Args:
            own_path: the writer's file, which has a record.
        """
        self._look_at = self._clock() + self._pause_secs
        self._pause_secs *= 2
        with contextlib.suppress(OSError):
            others = self._others(own_path)
            at_work = self._find_at_work(others, parsed(os.path.basename(own_path)))
            if at_work is not None:
                yield from self._tell_at_work(at_work)
            elif self._comparisons_left:
                yield from self._compare(others, own_path)

    def _tell_at_work(self, other: _Other) -> Iterator[str]:
        self._comparisons_left = 0
        yield from self._once(
            "at work",
            f"tblog: another writer logs into {self._logdir}, too: {os.path.basename(other.path)}. TensorBoard makes "
            "one zigzag curve of a tag that both log. Give each writer, such as each rank of a training, a directory "
            "of its own; or log from one of them, with add_scalars",
        )

    def _others(self, own_path: str) -> list[_Other]:
        """Return the latest files of the directory but for the own one, in the order of their names."""
        own = os.path.basename(own_path)
        with os.scandir(self._logdir) as entries:
            names = sorted(entry.name for entry in entries if "tfevents" in entry.name and entry.name != own)
        found = []
        for name in names[-_LATEST:]:
            path = os.path.join(self._logdir, name)
            with contextlib.suppress(FileNotFoundError):
                stat = os.stat(path)
                found.append(_Other(path, parsed(name), stat.st_size, (stat.st_dev, stat.st_ino)))
        return found

    def _find_at_work(self, others: list[_Other], own: Name | None) -> _Other | None:
        before, self._sizes = self._sizes, {other.path: other.size for other in others}
        for other in others:
            if other.size <= FIRST_EVENT_BYTES:  # a rank that has a writer and logs nothing
                continue
            if other.name is not None and is_made_here(other.name):
                # At the second look: a name that is bound to a new writer lets go of the old one just now.
                if other.path in before and in_use.grows_here(other.identity):
                    return other
            elif other.name is None or own is None or other.name.time_ns < own.time_ns:
                if before.get(other.path, other.size) < other.size:
                    return other
                if other.name is not None and _is_locked(other.path):
                    return other
        return None

    def _compare(self, others: list[_Other], own_path: str) -> Iterator[str]:
        """Report a tag that begins before its end in an earlier run."""
        self._comparisons_left -= 1
        earlier = [other for other in others if other.path < own_path and not _is_of_this_process(other)]
        earlier = earlier[-_LATEST_READ:]
        if self._ends is None:
            self._ends = _steps(map(_tail, earlier), max)
        if not self._ends:
            self._comparisons_left = 0
            return
        with open(own_path, "rb") as file:
            starts = _steps([file.read(_BYTES)], min)
        common = self._ends.keys() & starts.keys()
        if common:
            self._comparisons_left = 0
        for tag in sorted(tag for tag in common if starts[tag] <= self._ends[tag])[:1]:
            at_work = next(filter(_is_at_work, earlier), None)
            if at_work is not None:
                yield from self._tell_at_work(at_work)
                return
            yield from self._once(
                "earlier run",
                f"tblog: {self._logdir} holds an earlier run, whose {tag!r} ends at step {self._ends[tag]}; now it "
                f"begins at step {starts[tag]}, and TensorBoard makes one curve of both. resume=True goes on with the "
                f"run, from the writer's next_step; purge_step={starts[tag]} cuts its end off; a directory of its own "
                "keeps both",
            )

    def _once(self, what: str, message: str) -> Iterator[str]:
        key = (what, os.path.abspath(self._logdir))
        if key not in _told:
            _told.add(key)
            yield message


def _is_of_this_process(other: _Other) -> bool:
    return other.name is not None and is_made_here(other.name)


def _is_at_work(other: _Other) -> bool:
    with open(other.path, "rb") as file:
        return bool(in_use.by_others_now(other.path, file))


def _is_locked(path: str) -> bool:
    with open_to_claim(path) as file:
        return not claim(file.fileno(), alone=True)


def _tail(other: _Other) -> bytes:
    with open(other.path, "rb") as file:
        file.seek(max(0, other.size - _BYTES))
        return file.read(_BYTES)


def _steps(parts: Iterable[bytes], choose: Callable[[int, int], int]) -> dict[str, int]:
    """Return the chosen step of each tag in parts of files, which may begin and end inside of a record."""
    found: dict[str, int] = {}
    for part in parts:
        for piece in walk(io.BytesIO(part)):
            if piece.data is not None:
                step = event_head(piece.data).step
                for tag in event_tags(piece.data):
                    found[tag] = choose(found.get(tag, step), step)
    return found
