"""Runs by name, and what they hold.

    runs = tblog.read("runs")
    runs.scalars.to_pandas()              # columns run, tag, step, wall_time, value
    runs["seed1"].scalars.last()
    runs.filter(run="lr*", tag="loss*").scalars.smooth(0.6)

Lives here: what users call. A file is read on the first question, and only once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from tblog._require import require
from tblog.reading import _display, _sources
from tblog.reading._restarts import RESTARTS
from tblog.reading._run_log import Options, RunLog
from tblog.reading._selection import Names, Steps, matcher, step_range
from tblog.reading.embeddings import Embedding, embeddings
from tblog.reading.graphs import Graph, LoggedGraph
from tblog.reading.kinds import Kinds

Place: TypeAlias = "str | os.PathLike[str]"


def read(
    source: Place | Iterable[Place] | Mapping[str, Place],
    *,
    run: Names = None,
    tag: Names = None,
    steps: Steps = None,
    restarts: str = "tensorboard",
) -> Runs:
    """Read the event files of any writer, without TensorBoard.

    Args:
        source: a log directory, with all runs in it and below; an event file; a pattern (`"runs/*/seed1"`); a URL that
            fsspec opens (`"s3://bucket/runs"`); a list of these; or {name: one of these}.
        run: which runs: a name, a glob, a compiled regular expression, or a list of these. The files of other runs
            are not opened.
        tag: which tags, in the same way. Values of other tags are not kept.
        steps: (start, stop), where either may be None, or a range. `stop` is not included.
        restarts: which values count after a training was restarted: "tensorboard" keeps those that EventAccumulator
            keeps, TensorBoard's Python loader; "rust" those of TensorBoard's default loader; "keep" everything.

    Returns:
        The runs by name. A run is named by its directory, from `source` on; `"."` is `source` itself. A directory
        without event files has no runs; `Runs.refresh` finds them once there are any. A directory that may not be
        listed or entered is left out, with a warning; then nothing at `source` is no error.

    Raises:
        InvalidTypeError: if an argument has the wrong type.
        InvalidValueError: if `restarts` is unknown, or `source` is an empty list.
        FileNotFoundError: if there is nothing at `source`.
        ImportError: if `source` is a URL and fsspec is not installed.
        OSError: if a file cannot be read, or `source` is a file of another kind. Files that are damaged can be read: see
            `Runs.damage`.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        >>> tblog.read("runs").scalars
        <Scalars: 3 rows, 1 runs, 1 tags>
    """
    require(restarts in RESTARTS, "restarts", restarts, f"one of {', '.join(RESTARTS)}")
    places = _sources.sources(source)
    for place in places:
        place.check()
    runs = Runs(places, matcher(run), Options(matcher(tag), step_range(steps), restarts))
    return runs.refresh()


class Run(Kinds):
    """One run: what its event files hold. `tblog.read` makes it.

    Attributes:
        name: its name, as in TensorBoard.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        >>> tblog.read("runs")["seed1"].tags
        {'scalars': ['loss']}
    """

    def __init__(self, name: str, log: RunLog) -> None:
        self.name = name
        self.log = log

    def __repr__(self) -> str:
        count = len(self.files)
        return f"<Run {self.name!r}: {count} event file{'s' * (count != 1)}>"

    def _repr_html_(self) -> str:
        return _display.table({self.name: self.tags}, self.scalars)

    def _logs(self) -> Mapping[str, RunLog]:
        return {self.name: self.log}

    @property
    def files(self) -> list[str]:
        """The paths of its event files, in the order of reading."""
        return list(self.log.paths)

    @property
    def graph(self) -> Graph | None:
        """The last graph of a model, None without one; raises UnreadableError if it cannot be read."""
        places = self._places("graphs") or self._places("meta_graphs")
        return LoggedGraph(places[-1]).graph if places else None

    @property
    def embeddings(self) -> list[Embedding]:
        """The embeddings in the run's directory."""
        directories = dict.fromkeys(os.path.dirname(path) for path in self.log.paths)
        return [one for directory in directories for one in embeddings(self.log.files, directory)]


class Runs(Kinds, Mapping[str, Run]):
    """Runs by name, sorted. `tblog.read` makes them.

    The properties cover all runs together. A single run (`runs["seed1"]`) has the same properties. Like a dict, it gives
    the names when iterated, and has `keys()`, `values()`, `items()`, `get()` and `in`.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        >>> list(tblog.read("runs"))
        ['seed1']
    """

    def __init__(self, sources: list[_sources.Source], wanted: Any, options: Options) -> None:
        self._sources, self._wanted, self._options = sources, wanted, options
        self._runs: dict[str, Run] = {}

    def __getitem__(self, name: str) -> Run:
        try:
            return self._runs[name]
        except KeyError:
            near = ", ".join(sorted(self._runs)[:5]) or "none"
            raise KeyError(f"there is no run {name!r} among {len(self._runs)}: {near}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def __repr__(self) -> str:
        names = ", ".join(list(self._runs)[:5])
        return f"<Runs: {len(self)} run{'s' * (len(self) != 1)}: {names}{', ...' if len(self) > 5 else ''}>"

    def _logs(self) -> Mapping[str, RunLog]:
        return {name: run.log for name, run in self._runs.items()}

    def _repr_html_(self) -> str:
        return _display.table({name: run.tags for name, run in self.items()}, self.scalars)

    def filter(self, run: Names = None, tag: Names = None, steps: Steps = None) -> Runs:
        """Choose runs, tags and steps; see `tblog.read`. Only what was chosen is read."""
        wants, keeps, before = matcher(run), matcher(tag), self._options
        options = Options(
            lambda name: before.wanted(name) and keeps(name),
            before.steps if steps is None else _both(before.steps, step_range(steps)),
            before.restarts,
        )
        return Runs(self._sources, lambda name: self._wanted(name) and wants(name), options).refresh()

    def refresh(self) -> Runs:
        """Look for new runs and files, and read what was appended since the last call.

        An incomplete record is read once it is complete. A replaced file is read anew, and a file that is gone is
        forgotten. This does not disturb the writer: it locks nothing and writes nothing.

        Returns:
            The runs themselves.
        """
        paths: dict[str, tuple[_sources.FileSystem, list[str]]] = {}
        for source in self._sources:
            for name, found in source.runs().items():
                if self._wanted(name):
                    paths.setdefault(name, (source.files, []))[1].extend(found)
        runs = {}
        for name in sorted(paths):
            files, found = paths[name]
            runs[name] = self._runs.get(name) or Run(name, RunLog(files, self._options))
            runs[name].log.set_paths(sorted(set(found)))
            runs[name].log.read_on()
        self._runs = runs
        return self


def _both(first: range | None, second: range | None) -> range | None:
    """Return the steps that are in both ranges; None is a range of all."""
    if first is None or second is None:
        return second if first is None else first
    if first.step != 1 or second.step != 1:
        raise ValueError(
            f"a filter of steps cannot follow another one if either skips steps: {first} and {second} were given; give one range"
        )
    return range(max(first.start, second.start), min(first.stop, second.stop))
