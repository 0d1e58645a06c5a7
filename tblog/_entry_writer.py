"""The common part of all `add_*`: the tag's name, the step, the time, the snapshot, and the way to the queue.

Lives here: checks of the arguments beside the value, the defaults of `use_metadata`, automatic steps.
Must not: know the kinds of records. Runs on callers' threads, in signal handlers and finalisers.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tblog import summaries
from tblog._base_writer import BaseWriter
from tblog._delivery.entries import record_entry
from tblog._delivery.queue import ClosedQueueError
from tblog._fast_path import FIRST_STEP, LAST_STEP
from tblog._values import arrays
from tblog._values.arguments import clean_tag, is_cut, to_step, to_wall_time
from tblog._values.torch_tensors import outline
from tblog.file_writer import FileWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tblog._delivery.channel import Channel
    from tblog._delivery.entries import Entry
    from tblog.records import Record


_now = time.time


class EntryWriter(BaseWriter):
    """Turns a caller's arguments into entries of the queue."""

    _OWN_STATE: ClassVar[tuple[str, ...]] = ("_auto_steps",)
    _metadata: tuple[Any, Any] | None = None
    """The step and the time of calls that give None."""

    def _start_unopened(self) -> None:
        super()._start_unopened()
        self._auto_steps: dict[str, int] = {}

    @contextlib.contextmanager
    def use_metadata(self, *, global_step: Any = None, walltime: Any = None) -> Iterator[Any]:
        """Set the default step and time of the calls in a block (tensorboardX's method).

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
        try:
            self.forget_channel()
            yield self
        finally:
            self._metadata = None

    def _name(self, tag: Any) -> str:
        return clean_tag(tag, self.options.flavor)

    def _tag(self, tag: Any) -> str:
        """Return the tag of a kind for which neither original changes tags."""
        return clean_tag(tag, "torch")

    def _number(self, value: Any, tag: str) -> Any:
        if type(value) is float:
            return value
        if self._numberless:
            value = outline(value)
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
        if type(step) is int and FIRST_STEP <= step <= LAST_STEP:
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
        if self._silent:
            return arrays.snapshot(outline(value), tag, copy=False, masked=masked)
        return arrays.snapshot(value, tag, copy=self.options.copy, masked=masked)

    def _log(self, record: Record, global_step: Any, walltime: Any, run: str = "") -> None:
        """Check a record and queue it."""
        summaries.check(record)
        step, wall_time = self._step(record.tag, global_step), self._wall_time(record.tag, walltime)
        self._put(record_entry(record, step, wall_time, run))

    def _put(self, entry: Entry) -> None:
        """Queue an entry."""
        while (channel := self._open_channel()) is not None:
            try:
                channel.put(entry)
            except ClosedQueueError:  # another thread closed it just now: there is a new one
                continue
            return

    def _open_channel(self) -> Channel | None:
        """Return the way to the files, opened anew after a `close`; None if nothing is written."""
        while isinstance(writer := self._get_file_writer(), FileWriter):
            try:
                return writer.channel(reopen=False)
            except ClosedQueueError:  # another thread closed it just now: there is a new one
                continue
        return None
