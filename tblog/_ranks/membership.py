"""A writer's part in a training of several ranks: whether this process writes, and where.

A writer looks up its place among the ranks whenever it opens its files: in the constructor, at the first call
after a `close`, and at the first call of a copy in another process. If nothing gives the place then, the last known
one holds; a copy has the original's.

Lives here: what the option `ranks` means for files. Must not: open them. Runs on callers' threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog._ranks.place import ALONE, find_place
from tblog._reports import logger
from tblog.errors import InvalidValueError, without_user

if TYPE_CHECKING:
    from tblog.options import Ranks


class Membership:
    """What one writer knows of the ranks; copies keep it.

    Args:
        ranks: the option `ranks`, other than "all".
        logdir: the directory that all ranks give; empty if none was given.
        address: its absolute path or URL.

    Raises:
        InvalidValueError: `ranks` is "each" and there is no `logdir`.
    """

    def __init__(self, ranks: Ranks, logdir: str, address: str) -> None:
        if ranks == "each" and not logdir:
            raise InvalidValueError(
                'WriterOptions: ranks was "each", and no log_dir was given; give one that is the same for all ranks: the '
                "default has the time and the host in its name"
            )
        self.place = ALONE
        self._ranks = ranks
        self._logdir = logdir
        self._address = address
        self._is_told = False

    def look(self) -> None:
        """Look up the place again."""
        self.place = find_place() or self.place

    def check(self) -> None:
        """Warn once if the process group, made since, gives another place."""
        place = find_place()
        if place is not None and place != self.place and not self._is_told:
            self._is_told = True
            logger.warning(
                "tblog: a writer of %s took this process for rank %d of %d when it opened its files, and it is rank %d of "
                "%d. Make the writer after torch.distributed.init_process_group, or start the program by torchrun",
                without_user(self._logdir),
                *self.place,
                *place,
            )

    @property
    def writes(self) -> bool:
        """Return whether this process writes files."""
        return self._ranks == "each" or self.place.rank == 0

    @property
    def shared_name(self) -> str:
        """Return what identifies this writer within a rank, and is the same on all ranks."""
        return self._logdir

    @property
    def suffix(self) -> str:
        """Return the suffix of the event files' names: hosts with the same name can share a disk."""
        return f".rank{self.place.rank}" if self._ranks == "each" else ""

    @property
    def logdir(self) -> str:
        """Return the directory of this rank's run, below the given one."""
        return self._below(self._logdir)

    @property
    def address(self) -> str:
        """Return its absolute path or URL."""
        return self._below(self._address)

    def _below(self, directory: str) -> str:
        if self._ranks != "each":
            return directory
        digits = len(str(self.place.world_size - 1))
        return f"{directory.rstrip('/')}/rank{self.place.rank:0{digits}d}"
