"""Values other than scalars. Their positions are kept, and each is read from its file when a program looks at it.

Lives here: the list of positions, and how one value is read. Must not: decode any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

import numpy as np

from tblog._files.walk import record_at
from tblog._wire.parsing import MalformedError
from tblog.reading import _events
from tblog.reading._exports import needed
from tblog.reading._file_log import FileLog
from tblog.reading._meaning import Entry
from tblog.reading._run_log import RunLog
from tblog.reading._selection import Names, Steps, matcher, step_range

if TYPE_CHECKING:
    import pandas as pd


class UnreadableError(ValueError):
    """A value cannot be decoded, or is no longer in its file. The message names the value and its place.

    Example:
        >>> import tblog
        >>> from tblog.reading import UnreadableError
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_text("note", "first try", 1)
        >>> run = tblog.read("runs")["seed1"]
        >>> (note,) = run.texts
        >>> open(run.files[0], "wb").close()  # someone empties the file
        >>> try:
        ...     print(note.text)
        ... except UnreadableError as error:
        ...     print(error)
        the record at byte ... of ... has changed since the file was read; call refresh() and look again
    """


class Place(NamedTuple):
    """The position of one value. Several values that belong together are `parts` of one."""

    run: str
    run_log: RunLog
    file_log: FileLog
    entry: Entry
    parts: Mapping[int, Place] = {}

    def read(self) -> tuple[int, bytes]:
        """Return the number of the value's field, and its content; raises UnreadableError."""
        entry, path = self.entry, self.file_log.path
        with self.run_log.files.open(path) as file:
            data = record_at(file, entry.position, file.seek(0, 2))
        try:
            event = _events.parse(data) if data is not None else None
        except MalformedError:
            event = None
        found = [value for value in event.values if value.number == entry.number] if event else []
        if data is None or event is None or not (found or entry.number < 0):
            raise UnreadableError(
                f"the record at byte {entry.position} of {path} has changed since the file was read;"
                " call refresh() and look again"
            )
        if entry.number < 0:
            return event.what, data[event.start : event.end]
        (value,) = found
        return value.form, data[value.start : value.end]

    def plugin_content(self) -> bytes:
        """Return the data of TensorBoard's plugin, which the first value of the tag holds."""
        metadata = self.run_log.metadata().get(self.entry.tag)
        return metadata.content if metadata else b""


class Item:
    """One value of a run. Each kind has a class of its own, with what it decodes.

    Attributes:
        run: the run's name.
        tag: the tag.
        step: the step.
        wall_time: when it was logged, in seconds since 1970 (UTC).

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_text("note", "first try", 1)
        >>> tblog.read("runs").texts[0]
        <Text 'note/text_summary' of run 'seed1' at step 1>
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.run = place.run
        self.tag, self.step, self.wall_time = place.entry.tag, place.entry.step, place.entry.wall_time

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.tag!r} of run {self.run!r} at step {self.step}>"

    @property
    def description(self) -> str:
        """The description of the tag, in Markdown."""
        metadata = self._place.run_log.metadata().get(self.tag)
        return metadata.description if metadata else ""

    def _decoded(self, decode: Callable[[int, bytes], Decoded]) -> Decoded:
        """Read the value and decode it by a function of its form and its content."""
        try:
            return decode(*self._place.read())
        except (MalformedError, OverflowError) as error:
            path, at = self._place.file_log.path, self._place.entry.position
            raise UnreadableError(
                f"{self!r} cannot be decoded: {error}; it is at byte {at} of {path}"
            ) from error


Decoded = TypeVar("Decoded")
ItemT = TypeVar("ItemT", bound=Item)


class Items(Sequence[ItemT], Generic[ItemT]):
    """Values of one kind: by runs, and within a run in the order of its files. Each is read when you look at it.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     for step in range(3):
        ...         writer.add_text("sample", f"text {step}", step)
        ...         writer.add_histogram("weights", [0.0, 1.0], step)
        >>> run = tblog.read("runs")["seed1"]
        >>> run.texts
        <3 Text items, 1 tags>
        >>> [sample.text for sample in run.texts.filter(steps=(1, None))]
        ['text 1', 'text 2']
        >>> run.histograms.last()[0].step
        2
    """

    def __init__(self, places: list[Place], kind: type[ItemT]) -> None:
        self._places, self._kind = places, kind

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> ItemT: ...

    @overload
    def __getitem__(self, index: slice) -> Items[ItemT]: ...

    def __getitem__(self, index: int | slice) -> ItemT | Items[ItemT]:
        if isinstance(index, slice):
            return Items(self._places[index], self._kind)
        return self._kind(self._places[index])

    def __iter__(self) -> Iterator[ItemT]:
        return map(self._kind, self._places)

    def __repr__(self) -> str:
        return f"<{len(self)} {self._kind.__name__} items, {len(self.tags)} tags>"

    @property
    def tags(self) -> list[str]:
        """The tags, sorted."""
        return sorted({place.entry.tag for place in self._places})

    def filter(self, run: Names = None, tag: Names = None, steps: Steps = None) -> Items[ItemT]:
        """Choose values by run, tag and steps, as `Scalars.filter` does."""
        wants_run, wants_tag, asked = matcher(run), matcher(tag), step_range(steps)
        places = [
            place
            for place in self._places
            if wants_run(place.run)
            and wants_tag(place.entry.tag)
            and (asked is None or place.entry.step in asked)
        ]
        return Items(places, self._kind)

    def last(self) -> Items[ItemT]:
        """Return the last value of each tag of each run."""
        found = {(place.run, place.entry.tag): place for place in self._places}
        return Items(list(found.values()), self._kind)

    def to_pandas(self) -> pd.DataFrame:
        """Return the run, tag, step and wall_time of each value, without its content."""
        pandas = needed("pandas", "pandas")
        columns: dict[str, Any] = {
            "run": [place.run for place in self._places],
            "tag": [place.entry.tag for place in self._places],
            "step": np.array([place.entry.step for place in self._places], np.int64),
            "wall_time": np.array([place.entry.wall_time for place in self._places], np.float64),
        }
        frame: pd.DataFrame = pandas.DataFrame(columns)
        return frame
