"""`ScalarWriter`: the part of `SummaryWriter` that training loops live in.

Construction, the log directory, scalars, ready-made records, flush and close. No bytes are made here,
and no thread is started. The quick path of `add_scalar` builds a tuple and appends it to a deque:
no lock, no wake-up, no message. It knows the tags that were checked before; whatever is unusual (a new
tag, a closed or inherited writer, a full queue, a value that is no float) takes the long way.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from tblog import _display, summaries
from tblog._delivery.entries import RunScalar, ScalarDict, record_entry
from tblog._delivery.queue import NOWHERE, ClosedQueueError
from tblog._files.logdirs import address_of, explained, name_of
from tblog._files.resume import Resume, last_step
from tblog._files.stores import is_remote
from tblog._locks import ForkSafeLock
from tblog._values import arrays
from tblog._values.arguments import (
    check_run,
    clean_tag,
    default_logdir,
    is_cut,
    refuse_unknown,
    to_flag,
    to_step,
    to_wall_time,
)
from tblog._values.checks import plain_text
from tblog._values.compiled_calls import keep_out
from tblog.errors import InvalidTypeError, InvalidValueError, shortened, without_user
from tblog.file_writer import DiscardingFileWriter, FileWriter, RunFileWriter
from tblog.options import WriterOptions
from tblog.records import DescribedScalarRecord, Record, ScalarRecord, TensorScalarRecord
from tblog.stats import Stats

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator, Mapping
    from types import TracebackType

_now = time.time
_QUICK = arrays.QUICK_NUMBERS
_FIRST_STEP, _LAST_STEP = -(1 << 63), (1 << 63) - 1
_MAX_KNOWN_TAGS = 100_000
_OWN_FILES = (
    "file_writer",
    "all_writers",
    "_leaving",
    "_opening",
    "_tags",
    "_pending",
    "_room",
    "_past",
    "_auto_steps",
)

Writer = TypeVar("Writer", bound="ScalarWriter")


class ScalarWriter:
    """Log scalars and records to event files; see `SummaryWriter` for the arguments."""

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
        refuse_unknown(kwargs, ScalarWriter)
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
        self._metadata: tuple[Any, Any] | None = None
        self._resume = self._resuming(resume)
        self._patient = False
        keep_out(type(self))
        summaries.load_checks()
        self._start_unopened()
        self._get_file_writer()
        self._patient = True  # training goes on when a later file cannot be opened

    def _resuming(self, resume: bool | int) -> Resume | None:
        """Settle the step to go on from; `purge_step` is a way to say it."""
        step = self.purge_step
        if isinstance(resume, np.bool_):
            resume = bool(resume)
        elif resume is not True and resume is not False:
            step = to_step(resume, "resume", "True, False, or the step to go on with, an int")
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
        self.file_writer: Any = None
        self.all_writers: dict[str, Any] | None = None
        self._leaving: list[
            Any
        ] = []  # those that a thread closes just now: a flush of another one waits for them
        self._past = Stats()
        self._auto_steps: dict[str, int] = {}
        self._opening = ForkSafeLock()
        self.forget_channel()

    def forget_channel(self) -> None:
        """Take the long way at the next call: the queue that the quick path knows takes no more."""
        self._pending: deque[Any] = NOWHERE
        self._tags: dict[str, str] = {}
        self._room = 0

    def __getstate__(self) -> dict[str, Any]:
        """Return the configuration: a copy, or a writer sent to another process, opens its own file."""
        return {name: value for name, value in self.__dict__.items() if name not in _OWN_FILES}

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
                if self.all_writers is None or self.file_writer is None:  # no signal handler was quicker
                    self.file_writer, self.all_writers = made, {self.log_dir: made}
            return self.file_writer

    def _new_file_writer(self) -> Any:
        if not self._write_to_disk:
            return DiscardingFileWriter(self.log_dir)
        resume, self._resume = self._resume, None
        return FileWriter(
            self.log_dir,
            self.max_queue,
            self.flush_secs,
            self.filename_suffix,
            options=self.options,
            resume=resume,
            patient=self._patient,
            address=self._address,
        )

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
        """Return what this writer logged and what that cost so far."""
        writers = (*self._leaving, self.file_writer)
        return sum((each.stats for each in writers if type(each) is FileWriter), self._past)

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: Any = None,
        new_style: Any = None,
        double_precision: Any = None,
        *,
        display_name: str | None = None,
        summary_description: str | None = None,
    ) -> None:
        """Log one number.

        Args:
            tag: names the series.
            scalar_value: a Python number, a numpy scalar, or an array or tensor of one element, on
                any device; kept as float32. NaN and infinity are shown as such. A value on a GPU is
                copied without waiting for it.
            global_step: step, an integer of 64 bits; None is 0, or counts if the options say `auto_step`.
            walltime: seconds since the epoch; now, if None.
            new_style: write a tensor rather than a `simple_value`. In tensorboardX's signature this
                position is `display_name`: a string is taken as that.
            double_precision: with `new_style`, keep float64 (which TensorBoard's default loader
                does not show). In tensorboardX's signature, `summary_description`.
            display_name: title of the chart.
            summary_description: text behind the chart's information icon.

        Raises:
            UnsupportedTypeError: the value is no real number.
            NotAScalarError: it does not have exactly one element.
            InvalidTypeError, InvalidValueError: the tag, the step or the time is wrong.
        """
        try:
            name = self._tags[tag]
            number = scalar_value if type(scalar_value) is float else _QUICK[type(scalar_value)](scalar_value)
            if (
                type(global_step) is int
                and walltime is None
                and new_style is None
                and display_name is None
                and summary_description is None
                and _FIRST_STEP <= global_step <= _LAST_STEP
                and len(self._pending) < self._room
            ):
                entry = (name, number, global_step, _now())
                self._pending.append(entry)  # nothing can come between this line's look and its append
                return
        except (KeyError, TypeError, OverflowError, RuntimeError):  # a new tag or type, or an odd value
            pass
        if (
            (new_style is not None and new_style is not False)
            or (double_precision is not None and double_precision is not False)
            or display_name
            or summary_description
        ):
            self._add_told_scalar(
                tag,
                scalar_value,
                global_step,
                walltime,
                new_style,
                double_precision,
                display_name,
                summary_description,
            )
            return
        name = self._name(tag)
        value = self._number(scalar_value, name)
        self._put((name, value, self._step(name, global_step), self._wall_time(name, walltime)))
        self._know(tag, name)

    def _add_told_scalar(
        self,
        tag: str,
        value: Any,
        global_step: Any,
        walltime: Any,
        new_style: Any,
        double_precision: Any,
        display_name: str | None,
        description: str | None,
    ) -> None:
        """Log a scalar with the arguments that only one of the originals has."""
        name = self._name(tag)
        if isinstance(new_style, str) or isinstance(double_precision, str):
            display_name, description = new_style or display_name, double_precision or description
            new_style = double_precision = False
        new_style = to_flag(new_style, f"{name!r}: new_style")
        double_precision = to_flag(double_precision, f"{name!r}: double_precision")
        number = self._number(value, name)
        if new_style:
            record: Record = TensorScalarRecord(tag=name, value=number, double_precision=double_precision)
        elif display_name or description:
            record = DescribedScalarRecord(
                tag=name, value=number, display_name=display_name or "", description=description or ""
            )
        else:
            record = ScalarRecord(tag=name, value=number)
        self._log(record, global_step, walltime)

    def add_scalar_dict(
        self, tag_scalar_dict: Mapping[str, Any], global_step: Any = None, walltime: Any = None
    ) -> None:
        """Log many numbers of one step as one event: one entry in the queue, half the bytes on disk.

        Args:
            tag_scalar_dict: values by tag, each as in `add_scalar`.
            global_step: the step of all.
            walltime: seconds since the epoch; now, if None.

        Raises:
            The errors of `add_scalar`; nothing of the dict is logged then.
        """
        _require_dict("add_scalar_dict", tag_scalar_dict)
        try:
            tags = tuple(map(self._tags.__getitem__, tag_scalar_dict))
        except (KeyError, TypeError):
            tags = self._know_all(tag_scalar_dict)
        values = tuple(tag_scalar_dict.values())
        if set(map(type, values)) != {float}:
            values = arrays.scalars(values, tags)
        if tags:
            step = self._step(tags[0], global_step)
            self._put(ScalarDict(tags, values, step, self._wall_time(tags[0], walltime)))

    def _know_all(self, tags: Mapping[str, Any]) -> tuple[str, ...]:
        names = tuple(map(self._name, tags))
        for tag, name in zip(tags, names, strict=True):
            self._know(tag, name)
        return names

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: Any = None,
        walltime: Any = None,
    ) -> None:
        """Log several numbers that share one chart, each as the tag `main_tag` in a run of its own.

        The runs are directories below the log directory, as the flavor names them: torch
        `<main_tag with / as _>_<key>`, tensorboardX `<main_tag>/<key>`. They share this writer's
        queue and thread, and their files are closed and opened again where handles are few.

        Args:
            main_tag: the chart's tag.
            tag_scalar_dict: values by key, each as in `add_scalar`.
            global_step: the step of all.
            walltime: seconds since the epoch; now, if None.

        Raises:
            InvalidValueError: a key would name a directory outside the log directory.
            The errors of `add_scalar`; nothing of the dict is logged then.
        """
        _require_dict("add_scalars", tag_scalar_dict)
        name = self._name(main_tag)
        step, wall_time = self._step(name, global_step), self._wall_time(name, walltime)
        entries = [
            RunScalar(self._run_of(main_tag, key), (name, self._number(value, name), step, wall_time))
            for key, value in tag_scalar_dict.items()
        ]
        for entry in entries:
            self._put(entry)

    def _run_of(self, main_tag: str, key: str) -> str:
        parent = self._get_file_writer()
        group, name = plain_text(main_tag), plain_text(key)
        shown = (
            f"{group}/{name}"
            if self.options.flavor == "tensorboardX"
            else f"{group.replace('/', '_')}_{name}"
        )
        path = f"{self.log_dir}/{shown}"
        writers = self.all_writers or {}  # none where another thread closes the writer just now
        known = writers.get(path)
        if known is None:
            known = (
                DiscardingFileWriter(path)
                if isinstance(parent, DiscardingFileWriter)
                else RunFileWriter(parent, shown)
            )
            writers[path] = known
        return getattr(known, "run", "") or check_run(shown)

    def add_record(self, record: Record, global_step: Any = None, walltime: Any = None) -> None:
        """Log a ready-made record, such as an adapter returns; its arrays are not copied.

        Args:
            record: one of `tblog.records`.
            global_step: as in `add_scalar`.
            walltime: seconds since the epoch; now, if None.

        Raises:
            InvalidTypeError: it is no record.
            InvalidValueError: what it holds cannot be logged.
        """
        if not isinstance(record, Record):
            several = isinstance(record, Iterable) and not isinstance(record, (str, bytes))
            raise InvalidTypeError(
                f"add_record got {shortened(record)} of type {type(record).__name__}; give a record of tblog.records"
                + (", or several to add_records" if several else "")
            )
        if isinstance(record, ScalarRecord):
            self.add_scalar(record.tag, record.value, global_step, walltime)
            return
        tag = self._tag(record.tag)
        self._log(record if type(record.tag) is str else replace(record, tag=tag), global_step, walltime)

    def add_records(self, records: Iterable[Record], global_step: Any = None, walltime: Any = None) -> None:
        """Log all records of an iterable at one step; see `add_record`.

        Raises:
            InvalidTypeError: it is no iterable, or one of them is no record.
        """
        if not isinstance(records, Iterable):
            raise InvalidTypeError(
                f"add_records got {shortened(records)} of type {type(records).__name__}; give an iterable of records"
                + (", or one record to add_record" if isinstance(records, Record) else "")
            )
        for record in records:
            self.add_record(record, global_step, walltime)

    @contextlib.contextmanager
    def use_metadata(self, *, global_step: Any = None, walltime: Any = None) -> Iterator[Any]:
        """Give the calls inside a step and a time of their own where they name none (tensorboardX).

        Args:
            global_step: the step of calls that give None.
            walltime: the time of calls that give None, in seconds since the epoch.

        Raises:
            AssertionError: neither is given, or another `use_metadata` is active.
        """
        if self._metadata is not None:
            raise AssertionError("use_metadata: default metadata is already set; leave the outer block first")
        if global_step is None and walltime is None:
            raise AssertionError("use_metadata: give global_step, walltime or both")
        self._metadata = (global_step, walltime)
        self._tags.clear()
        try:
            yield self
        finally:
            self._metadata = None

    def flush(self) -> None:
        """Return when everything logged before is with the operating system, where SIGKILL cannot reach it.

        After a `close`, returns at once.

        Raises:
            WriteError: a record was lost, and the options say strict.
        """
        for writer in (*self._leaving, *tuple((self.all_writers or {}).values())):
            if not isinstance(writer, RunFileWriter):
                writer.flush()

    def close(self) -> None:
        """Write and sync everything and close the files; a second call does nothing.

        The next `add_*` opens a new event file in the same directory.

        Raises:
            WriteError: a record was lost, and the options say strict.
        """
        earlier = tuple(self._leaving)
        writers = tuple((self.all_writers or {}).values())
        self._leaving.extend(writers)
        self.all_writers = self.file_writer = None
        self.forget_channel()
        try:
            for writer in writers:
                if type(writer) is FileWriter:
                    writer.left = True
            for writer in writers:
                if not isinstance(writer, (RunFileWriter, FileWriter)):
                    writer.flush()
                if not isinstance(writer, RunFileWriter):
                    writer.close()
            for writer in earlier:
                if not isinstance(writer, RunFileWriter):
                    writer.flush()
        except Exception:
            self._count_closed((*earlier, *writers))
            raise
        # After an interrupt they stay: the next flush or close waits for them.
        self._count_closed((*earlier, *writers))

    def _count_closed(self, writers: tuple[Any, ...]) -> None:
        with self._opening:
            for writer in writers:
                if writer in self._leaving:
                    self._leaving.remove(writer)
                    if type(writer) is FileWriter:
                        self._past += writer.stats

    def reopen(self) -> None:
        """Open a new event file after a `close`; does nothing before."""
        self._get_file_writer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What the methods share.

    def _name(self, tag: Any) -> str:
        return clean_tag(tag, self.options.flavor)

    def _know(self, tag: str, name: str) -> None:
        """Let the quick path take a tag, unless defaults of `use_metadata` would pass it by."""
        if self._metadata is None:
            if len(self._tags) >= _MAX_KNOWN_TAGS:
                self._tags.clear()
            self._tags[tag] = name

    def _tag(self, tag: Any) -> str:
        """Return a tag of the kinds that neither original changes."""
        return clean_tag(tag, "torch")

    def _number(self, value: Any, tag: str) -> Any:
        if type(value) is float:
            return value
        if isinstance(value, list) and self.options.flavor == "tensorboardX":
            value = arrays.to_numpy(arrays.snapshot(value, tag))
        return arrays.scalar(value, tag)

    def _step(self, tag: str, step: Any) -> int:
        if step is None and self._metadata is not None:
            step = self._metadata[0]
        if step is None:
            if not self.options.auto_step:
                return 0
            step = self._auto_steps.get(tag, 0)
            self._auto_steps[tag] = step + 1
        if isinstance(step, np.integer):
            step = int(step)
        if type(step) is int and _FIRST_STEP <= step <= _LAST_STEP:
            return step
        whole = to_step(step, f"{tag!r}: global_step")
        if is_cut(step, whole):
            self._get_file_writer().reports.once(
                "step",
                f"tblog: {tag!r}: global_step was {step}, and is logged as {whole}: steps are whole numbers. "
                f"Told once for {self.log_dir}",
            )
        return whole

    def _wall_time(self, tag: str, wall_time: Any) -> float:
        if wall_time is None and self._metadata is not None:
            wall_time = self._metadata[1]
        return _now() if wall_time is None else to_wall_time(wall_time, f"{tag!r}: walltime")

    def _snapshot(self, value: Any, tag: str, masked: arrays.Masked = "nan") -> Any:
        return arrays.snapshot(value, tag, copy=self.options.copy, masked=masked)

    def _put(self, entry: Any) -> None:
        while not self._puts(entry):  # another thread closed the file writer just now: there is a new one
            pass

    def _puts(self, entry: Any) -> bool:
        writer = self._get_file_writer()
        if not isinstance(writer, FileWriter):
            return True
        with contextlib.suppress(ClosedQueueError):
            channel = writer.channel(reopen=False)
            if channel.mirror is None:  # which the quick path would pass by
                channel.lend(self)
                self._tags, self._room = channel.tags, channel.queue.quick_room()
                self._pending = channel.queue.pending
            channel.put(entry)
            return True
        return False

    def _log(self, record: Record, global_step: Any, walltime: Any, run: str = "") -> None:
        """Check a record and queue it."""
        summaries.check(record)
        tag = record.tag
        step, wall_time = self._step(tag, global_step), self._wall_time(tag, walltime)
        entry = record_entry(record, step, wall_time, run, _nbytes(record))
        while True:
            writer = self._get_file_writer()
            if not isinstance(writer, FileWriter):
                return
            with contextlib.suppress(ClosedQueueError):
                writer.channel(reopen=False).put(entry)
                return


def _require_dict(method: str, given: Any) -> None:
    if not hasattr(given, "items"):
        raise InvalidTypeError(
            f"{method} got {shortened(given)} of type {type(given).__name__}; give a dict of numbers"
        )


def _nbytes(record: Record) -> int:
    """Return the bytes of a record's arrays and texts."""
    total = 0
    for field in fields(record):
        value = getattr(record, field.name)
        total += len(value) if isinstance(value, (str, bytes)) else getattr(value, "nbytes", 0)
    return total
