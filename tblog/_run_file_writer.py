"""The writer of a run below another's directory, as `add_scalars` makes them: `SummaryWriter.all_writers` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog._message_writer import MessageWriter
from tblog._values.arguments import check_run

if TYPE_CHECKING:
    from tblog._delivery.channel import Channel
    from tblog.file_writer import FileWriter
    from tblog.records import Record
    from tblog.stats import Stats


class RunFileWriter(MessageWriter):
    """A sibling of `FileWriter` without a queue of its own: it uses its parent's.

    Args:
        parent: writes to the directory above.
        run: the run's name below that.

    Raises:
        InvalidValueError: the name would lead out of the directory.
    """

    def __init__(self, parent: FileWriter, run: str) -> None:
        name = check_run(run)
        super().__init__(f"{parent.get_logdir()}/{name}", name)
        self._parent = parent

    def channel(self, *, reopen: bool = True) -> Channel:
        """Return the parent's."""
        return self._parent.channel(reopen=reopen)

    def put(self, record: Record, step: int, wall_time: float) -> None:
        """Queue a record for this run."""
        self._parent.put(record, step, wall_time, self.run)

    @property
    def stats(self) -> Stats:
        """Return the parent's counters, which include this run."""
        return self._parent.stats

    def flush(self) -> None:
        """Flush the parent."""
        self._parent.flush()

    def close(self) -> None:
        """Flush the parent, which closes this run's file with its own."""
        self._parent.flush()
