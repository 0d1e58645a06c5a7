"""The file writer of `ranks="reduce"`, and the names of its mailboxes.

Lives here: which mailbox a writer uses, and closing at the end of the process. Runs on callers' threads.
"""

from __future__ import annotations

import contextlib
import importlib.util
import weakref
from typing import TYPE_CHECKING, Any

from tblog._delivery.worker import first_at_the_end
from tblog._locks import ForkSafeLock
from tblog._ranks.mailbox import Session
from tblog._ranks.reducing_channel import ReducingChannel, leaving
from tblog.errors import MissingDependencyError
from tblog.file_writer import FileWriter

if TYPE_CHECKING:
    from tblog._delivery.channel import Channel
    from tblog._files.resume import Resume
    from tblog._ranks.place import Place

_naming = ForkSafeLock()
_used: dict[str, set[int]] = {}
_open: weakref.WeakSet[ReducingFileWriter] = weakref.WeakSet()
_sessions: dict[str, Session] = {}


class ReducingFileWriter(FileWriter):
    """A `FileWriter` whose scalars are joined over all ranks.

    Args:
        place: the rank of this process, and the number of ranks.
        shared_name: the directory's name, the same on all ranks.
        arguments: the positional arguments of `FileWriter`.
        more: the keyword arguments of `FileWriter`.

    Raises:
        MissingDependencyError: there are several ranks, and torch is not installed.
    """

    def __init__(self, place: Place, shared_name: str, *arguments: Any, **more: Any) -> None:
        if place.world_size > 1 and not _is_installed("torch"):
            raise MissingDependencyError("torch", "", f'ranks="reduce" with {place.world_size} ranks')
        self._place = place
        self._shared_name = shared_name.encode(errors="backslashreplace").decode()
        with _naming:
            used = _used.setdefault(self._shared_name, set())
            self._number = next(number for number in range(len(used) + 1) if number not in used)
            used.add(self._number)
        self._free = weakref.finalize(self, used.discard, self._number)
        self._free.atexit = False
        super().__init__(*arguments, **more)
        _open.add(self)

    def _make_channel(self, resume: Resume | None) -> Channel:
        name = f"{self._number}/{self._shared_name}"
        return ReducingChannel(
            self._place,
            name,
            None if self._is_inherited else _sessions.setdefault(name, Session()),
            *(self._address, self._suffix, self._flush_secs, self._options, resume),
        )

    def _find_mirror(self, channel: Channel) -> None:
        del channel  # tools would see the numbers of one rank only

    def close(self) -> None:
        """Write or send everything; see `ReducingChannel.close`."""
        try:
            super().close()
        finally:
            self._free()
            _open.discard(self)


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # a program has put something without a spec in its place
        return False


def _close_open() -> None:
    """Close open writers at the end of the process, as tblog's worker would without waiting for other ranks."""
    still_there = [channel.close for channel in leaving if channel.is_leaving]
    for close in (*still_there, *(writer.close for writer in tuple(_open))):
        with contextlib.suppress(Exception):  # of a strict writer: nobody can catch it any more
            close()


first_at_the_end.append(_close_open)
