"""A writer's life: construction, opening, pickling, `repr`, flushing and closing.

Lives here: the configuration, the file writers of one `SummaryWriter`, and the counters of those that are closed.
Must not: know what is logged. Runs on callers' threads, in signal handlers and finalisers.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tblog import _display, summaries
from tblog._discarding_writer import DiscardingFileWriter
from tblog._files.handles import with_handles
from tblog._files.logdirs import address_of, explained, name_of
from tblog._files.stores import is_remote
from tblog._locks import ForkSafeLock
from tblog._past import Past
from tblog._run_file_writer import RunFileWriter
from tblog._values.arguments import default_logdir, refuse_unknown, to_step
from tblog._values.checks import plain_text
from tblog._values.compiled_calls import keep_out
from tblog.errors import InvalidValueError, without_user
from tblog.file_writer import FileWriter
from tblog.options import WriterOptions
from tblog.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from tblog._files.resume import Resume
    from tblog._ranks.membership import Membership


class BaseWriter:
    """Opens, closes and shows itself; see `SummaryWriter` for the arguments."""

    _OWN_STATE: ClassVar[tuple[str, ...]] = (
        "file_writer",
        "all_writers",
        "_leaving",
        "_opening",
        "_past",
        "_pid",
    )
    """The attributes that a copy or a pickle leaves out and sets anew; each class lists its own."""
    _silent = False
    """Whether another rank writes what this one logs, too: no array is copied, no figure drawn, no graph read."""
    _numberless = False
    """Whether that holds for scalars as well."""

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        comment: object = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | os.PathLike[str] | None = None,
        comet_config: Mapping[str, Any] | None = None,
        *,
        options: WriterOptions | None = None,
        resume: bool | int = False,
        **kwargs: Any,
    ) -> None:
        refuse_unknown(kwargs, BaseWriter)
        directory = logdir if logdir is not None else log_dir
        self.log_dir = name_of(directory, "log_dir") if directory else default_logdir(comment)
        self.logdir = self.log_dir
        self._address = address_of(self.log_dir, "log_dir")  # which a copy keeps, wherever it is opened
        self.purge_step = None if purge_step is None else to_step(purge_step, "purge_step")
        self.max_queue = max_queue
        self.flush_secs = flush_secs
        self.filename_suffix = filename_suffix
        self.options = WriterOptions.of(options)
        self.kwargs = kwargs
        self._write_to_disk = write_to_disk
        self._comet_config = comet_config
        self._membership = (
            None if self.options.ranks == "all" else with_handles(partial(self._join, directory))
        )
        self._resume = with_handles(partial(self._resuming, resume))  # what is imported late needs a handle
        self._patient = False
        keep_out(type(self))
        with explained(self.log_dir):
            with_handles(summaries.load_checks)
        self._start_unopened()
        self._get_file_writer()
        self._patient = True  # training goes on when a later file cannot be opened

    def _join(self, directory: object) -> Membership:
        """Find the place of this process among the ranks of a training, if the options ask for it."""
        with explained(self.log_dir):
            from tblog._ranks.membership import Membership

        membership = Membership(self.options.ranks, self.log_dir if directory else "", self._address)
        self._follow(membership)
        return membership

    def _follow(self, membership: Membership) -> None:
        """Look up the rank, which decides whether and where this process writes."""
        membership.look()
        self._silent = not membership.writes
        self._numberless = self._silent and self.options.ranks != "reduce"
        if self.options.ranks == "each":
            self.log_dir = self.logdir = membership.logdir
            self._address = membership.address

    def _resuming(self, resume: bool | int) -> Resume | None:
        """Find the step to go on from, which `purge_step` may give."""
        if resume is False and self.purge_step is None:
            self.next_step = 0
            return None
        with explained(self.log_dir):
            from tblog._files.resume import Resume, last_step

        step = self.purge_step
        if isinstance(resume, np.bool_):
            resume = bool(resume)
        elif resume is not True and resume is not False:
            step = to_step(resume, "resume", "True, False, or the step to go on with, an int")
            if step < 0:
                raise InvalidValueError(
                    f"resume was {step}, which would cut the whole run off; give True, False, or the step to go on with. "
                    "Where steps are negative, purge_step cuts at one"
                )
        self.next_step = step if step is not None else 0
        if resume is True and step is None and is_remote(self._address):
            raise InvalidValueError(
                f"resume was True, and nobody can look for the last step in {without_user(self.log_dir)}; give the "
                "step to go on from"
            )
        if resume is True and step is None:
            with explained(self.log_dir):
                last = last_step(self._address)
            self.next_step = 0 if last is None else last + 1
        return None if resume is False and step is None else Resume(step)

    def _start_unopened(self) -> None:
        self._pid = os.getpid()
        self.file_writer: Any = None
        self.all_writers: dict[str, Any] | None = None
        self._leaving: list[Any] = []  # a thread closes these just now: a flush in another one waits for them
        self._past = Past()
        self._opening = ForkSafeLock()
        self.forget_channel()

    def forget_channel(self) -> None:
        """Forget the open channel; for classes that keep one."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the configuration: a copy, or a writer sent to another process, opens its own file."""
        own = {name for kind in type(self).__mro__ for name in vars(kind).get("_OWN_STATE", ())}
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the configuration; the event file is opened by the first call that needs it."""
        self.__dict__.update(state)
        self._resume = None  # the original has done so
        self._start_unopened()

    def _get_file_writer(self) -> Any:
        """Return the file writer of the log directory, opened anew after a `close`."""
        with self._opening:
            if self.all_writers is None or self.file_writer is None:
                made = self._new_file_writer()
                if (
                    self.all_writers is None or self.file_writer is None
                ):  # a signal handler may have opened one meanwhile
                    self.file_writer, self.all_writers = made, {self.log_dir: made}
            return self.file_writer

    def _new_file_writer(self) -> Any:
        if self._membership is not None:
            self._follow(self._membership)
        if self._numberless or not self._write_to_disk:
            return DiscardingFileWriter(self.log_dir)
        resume, self._resume = self._resume, None
        return self._file_writer_class()(
            self.log_dir,
            self.max_queue,
            self.flush_secs,
            plain_text(self.filename_suffix or "")
            + ("" if self._membership is None else self._membership.suffix),
            options=self.options,
            resume=resume,
            patient=self._patient,
            address=self._address,
            made_in=self._pid,
        )

    def _file_writer_class(self) -> Callable[..., FileWriter]:
        if self.options.ranks != "reduce" or self._membership is None:
            return FileWriter
        with explained(self.log_dir):
            from tblog._ranks.reducing_writer import ReducingFileWriter

        return partial(ReducingFileWriter, self._membership.place, self._membership.shared_name)

    def get_logdir(self) -> str:
        """Return the directory of the event files, as it was given."""
        return self.log_dir

    def __repr__(self) -> str:
        """Return the directory, whether it is open, and the counts."""
        return _display.line(*self._shown())

    def _repr_html_(self) -> str:
        """Return the same as a table, with the lines that open TensorBoard: what a notebook shows."""
        return _display.page(*self._shown())

    def _shown(self) -> tuple[str, str, str, Stats]:
        own = self.__dict__.get("file_writer")
        state = "closed" if own is None else "open" if isinstance(own, FileWriter) else "writes nothing"
        known = "_past" in self.__dict__  # it is not, while the constructor runs and after it raised
        logdir = without_user(self.__dict__.get("log_dir", ""))
        return type(self).__name__, logdir, state, self.stats if known else Stats()

    @property
    def stats(self) -> Stats:
        """Return the counters of this writer since it was made."""
        writers = (*self._leaving, self.file_writer)
        return sum((each.stats for each in writers if isinstance(each, FileWriter)), self._past.stats)

    def flush(self) -> None:
        """Return when everything logged before is with the operating system, where SIGKILL cannot reach it.

        After a `close`, returns at once.

        Raises:
            WriteError: a record was lost, and the options say strict.
        """
        for writer in (*self._leaving, *tuple((self.all_writers or {}).values())):
            if not isinstance(writer, RunFileWriter):  # which its parent flushes
                writer.flush()

    def close(self) -> None:
        """Write and sync everything and close the files; a second call does nothing.

        The next `add_*` opens a new event file in the same directory.

        Raises:
            WriteError: a record was lost, and the options say strict.
        """
        if self._membership is not None:
            self._membership.check()
        earlier = tuple(self._leaving)
        writers = tuple((self.all_writers or {}).values())
        self._leaving.extend(writers)
        self.all_writers = self.file_writer = None
        self.forget_channel()
        try:
            for writer in writers:
                if isinstance(writer, FileWriter):
                    writer.left = True
            for writer in writers:
                if isinstance(writer, FileWriter):
                    writer.close()
                elif not isinstance(writer, RunFileWriter):  # which its parent closes
                    writer.flush()
                    writer.close()
            for writer in earlier:
                if not isinstance(writer, RunFileWriter):
                    writer.flush()
        except Exception:
            self._count_closed((*earlier, *writers))
            raise
        # An interrupt skips this: the next flush or close then waits for them.
        self._count_closed((*earlier, *writers))

    def _count_closed(self, writers: tuple[Any, ...]) -> None:
        with self._opening:
            for writer in writers:
                if writer in self._leaving:
                    self._leaving.remove(writer)
                    if isinstance(writer, FileWriter):
                        self._past.add(writer.stats)

    def reopen(self) -> None:
        """Open a new event file after a `close`; does nothing before."""
        self._get_file_writer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
