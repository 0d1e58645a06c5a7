"""What a fault left on disk: read by TensorBoard's two readers, and byte by byte."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

from tblog._files.walk import walk
from tests.reading import Points, event_files, rust_points


@dataclass
class Remains:
    """The contents of a log directory in which tags were given the numbers from 0 on, each at its own step.

    Attributes:
        steps: {run: {tag: steps}}, the sets that TensorBoard's Python reader or its Rust server shows.
        torn: files that end with part of a record.
        damaged: files with damage before their end or in which a reader stops or raises, and tags
            that the readers show differently, out of order, twice, or with another value.
    """

    steps: dict[str, dict[str, set[int]]]
    torn: int
    damaged: int

    def shown(self, below: int, tag: str = "x", run: str = ".") -> int:
        """Return how many of the numbers below a bound appear under a tag."""
        return sum(step < below for step in self.steps.get(run, {}).get(tag, ()))

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Return {run: {tag: count}} of the numbers from 0 up to the first missing one."""
        return {
            run: {tag: next(n for n in count() if n not in steps) for tag, steps in tags.items()}
            for run, tags in self.steps.items()
        }

    @property
    def points(self) -> int:
        """Return that count for the tag "x" of the directory's own run."""
        return self.counts.get(".", {}).get("x", 0)


def on_disk(logdir: Path) -> Remains:
    """Read a log directory and the runs below it, and check every byte."""
    runs = {run: event_files(path) for run, path in _directories(Path(logdir))}
    runs = {run: files for run, files in runs.items() if files}
    states = [_state(path) for files in runs.values() for path in files]
    torn, damaged = states.count("torn"), states.count("damaged")
    by_python = {}
    for run, files in runs.items():
        by_python[run], failed = _read(files)
        damaged += failed
    expected = {run: tags for run, tags in by_python.items() if tags}
    by_rust = rust_points(logdir, expected)
    steps: dict[str, dict[str, set[int]]] = defaultdict(dict)
    tags = {(run, tag) for reader in (by_python, by_rust) for run, found in reader.items() for tag in found}
    for run, tag in tags:
        python, rust = by_python.get(run, {}).get(tag, []), by_rust.get(run, {}).get(tag, [])
        steps[run][tag] = {step for step, _ in python} | {step for step, _ in rust}
        damaged += python != rust or not _in_order(python)
    return Remains(dict(steps), torn, damaged)


def _directories(logdir: Path) -> Iterator[tuple[str, Path]]:
    if not logdir.is_dir():
        return
    yield ".", logdir
    for path in sorted(logdir.rglob("*")):
        if path.is_dir():
            yield str(path.relative_to(logdir)), path


def _state(path: Path) -> str:
    with open(path, "rb") as file:
        pieces = list(walk(file))
    broken = [piece for piece in pieces if piece.data is None]
    if not broken:
        return "whole"
    return "torn" if broken == pieces[-1:] else "damaged"


def _read(files: list[Path]) -> tuple[dict[str, Points], int]:
    """Return {tag: [(step, value), ...]} of a run, and the number of files at which the Python reader raises."""
    found: dict[str, Points] = defaultdict(list)
    failed = 0
    for path in files:
        try:
            for event in LegacyEventFileLoader(str(path)).Load():
                for value in event.summary.value:
                    if value.HasField("simple_value"):
                        found[value.tag].append((event.step, value.simple_value))
        except Exception:  # whatever the error, TensorBoard's page would show no more of this file
            failed += 1
    return dict(found), failed


def _in_order(found: Points) -> bool:
    ascends = all(before < step for (before, _), (step, _) in pairwise(found))
    return ascends and all(step == value for step, value in found)
