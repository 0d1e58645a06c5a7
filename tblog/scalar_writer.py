"""`ScalarWriter`: the part of `SummaryWriter` that training loops use most, scalars and ready-made records.

Lives here: all forms of scalars but the fast path. No bytes are made here, and no thread is started.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tblog._delivery.entries import RunScalar, Scalar, ScalarDict
from tblog._delivery.queue import ClosedQueueError
from tblog._discarding_writer import DiscardingFileWriter
from tblog._entry_writer import EntryWriter
from tblog._fast_path import ScalarFastPath, in_c
from tblog._run_file_writer import RunFileWriter
from tblog._values import arrays
from tblog._values.arguments import check_run, to_flag
from tblog._values.checks import plain_text
from tblog._values.torch_tensors import outline
from tblog.errors import InvalidTypeError, shortened
from tblog.records import DescribedScalarRecord, Record, ScalarRecord, TensorScalarRecord

if TYPE_CHECKING:
    from collections.abc import Mapping


class ScalarWriter(ScalarFastPath, EntryWriter):
    """Log scalars and records to event files; see `SummaryWriter` for the arguments.

    Example:
        >>> from tblog import SummaryWriter
        >>> from tblog.records import TextRecord
        >>> with SummaryWriter("runs/scalars") as writer:
        ...     writer.add_scalar("loss", 0.5, 1)
        ...     writer.add_scalar_dict({"accuracy": 0.75, "recall": 0.5}, 1)  # one event
        ...     writer.add_scalars("error", {"train": 0.25, "test": 0.5}, 1)  # one chart, two runs
        ...     writer.add_record(TextRecord(tag="remark", text="It learns."), 1)
        >>> writer.stats.written
        5
    """

    def _add_unusual_scalar(
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
        if (
            (new_style is not None and new_style is not False)
            or (double_precision is not None and double_precision is not False)
            or display_name
            or description
        ):
            self._add_annotated_scalar(
                tag, value, global_step, walltime, new_style, double_precision, display_name, description
            )
            return
        name = self._name(tag)
        number = self._number(value, name)
        self._put_number((name, number, self._step(name, global_step), self._wall_time(name, walltime)))
        self._learn(tag, name)

    def _add_annotated_scalar(
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
        """Log a scalar with arguments that only one of the originals has."""
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
            self._put_number((name, number, self._step(name, global_step), self._wall_time(name, walltime)))
            return
        self._log(record, global_step, walltime)

    @in_c("tag_scalar_dict", "global_step")
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
        numbers = _snapshot("add_scalar_dict", tag_scalar_dict)
        new: tuple[Any, ...] = ()
        try:
            tags = self._known_names(numbers)
        except (KeyError, TypeError):
            new, tags = tuple(numbers), tuple(map(self._name, numbers))
        values = tuple(numbers.values())
        if self._numberless:
            values = tuple(map(outline, values))
        if set(map(type, values)) != {float}:
            values = arrays.scalars(values, tags)
        if tags:
            step = self._step(tags[0], global_step)
            self._put_number(ScalarDict(tags, values, step, self._wall_time(tags[0], walltime)))
        for tag, name in zip(new, tags, strict=False):
            self._learn(tag, name)

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
        queue and thread. If file handles are scarce, their files are closed and reopened.

        Args:
            main_tag: the chart's tag.
            tag_scalar_dict: values by key, each as in `add_scalar`.
            global_step: the step of all.
            walltime: seconds since the epoch; now, if None.

        Raises:
            InvalidValueError: a key would name a directory outside the log directory.
            The errors of `add_scalar`; nothing of the dict is logged then.
        """
        numbers = _snapshot("add_scalars", tag_scalar_dict)
        name = self._name(main_tag)
        step, wall_time = self._step(name, global_step), self._wall_time(name, walltime)
        entries = [
            RunScalar(self._run_of(main_tag, key), (name, self._number(value, name), step, wall_time))
            for key, value in numbers.items()
        ]
        for entry in entries:
            self._put_number(entry)

    def _run_of(self, main_tag: str, key: str) -> str:
        parent = self._get_file_writer()
        group, name = plain_text(main_tag), plain_text(key)
        shown = (
            f"{group}/{name}"
            if self.options.flavor == "tensorboardX"
            else f"{group.replace('/', '_')}_{name}"
        )
        path = f"{self.log_dir}/{shown}"
        writers = self.all_writers or {}  # none if another thread is closing the writer
        known = writers.get(path)
        if known is None:
            known = (
                DiscardingFileWriter(path)
                if isinstance(parent, DiscardingFileWriter)
                else RunFileWriter(parent, shown)
            )
            writers[path] = known
        return getattr(known, "run", "") or check_run(shown)

    def _put_number(self, entry: Scalar | ScalarDict | RunScalar) -> None:
        """Queue an entry, and let the fast path go on from there."""
        while (channel := self._open_channel()) is not None:
            if channel.mirror is None and self._metadata is None:  # which the fast path does not know
                self._attach(channel)
            try:
                channel.put(entry)
            except ClosedQueueError:  # another thread closed it just now: there is a new one
                continue
            return
        if self._metadata is None:
            self._discard()

    def add_record(self, record: Record, global_step: Any = None, walltime: Any = None) -> None:
        """Log a ready-made record, such as an adapter returns; its arrays are not copied.

        Args:
            record: one of `tblog.records`.
            global_step: as in `add_scalar`.
            walltime: seconds since the epoch; now, if None.

        Raises:
            InvalidTypeError: it is not a record.
            InvalidValueError: its contents cannot be logged.
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
            InvalidTypeError: it is not an iterable, or one of them is not a record.
        """
        if not isinstance(records, Iterable):
            raise InvalidTypeError(
                f"add_records got {shortened(records)} of type {type(records).__name__}; give an iterable of records"
                + (", or one record to add_record" if isinstance(records, Record) else "")
            )
        for record in records:
            self.add_record(record, global_step, walltime)


def _snapshot(method: str, given: Any) -> dict[str, Any]:
    """Return the numbers of a dict at one moment, which another thread may change meanwhile."""
    if type(given) is dict:
        return given.copy()
    if not hasattr(given, "items"):
        raise InvalidTypeError(
            f"{method} got {shortened(given)} of type {type(given).__name__}; give a dict of numbers"
        )
    return dict(given.items())
