"""Each kind of value, for one run and for many.

Lives here: the properties of `Run` and `Runs`. Must not: find files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from tblog.reading._file_log import Damage
from tblog.reading._items import Item, Items, Place
from tblog.reading._run_log import RunLog
from tblog.reading._scalar_parts import joined
from tblog.reading.audio import Audio
from tblog.reading.histograms import Histogram
from tblog.reading.hparams import HParams, hparams
from tblog.reading.images import Image
from tblog.reading.layouts import Layout
from tblog.reading.meshes import Mesh, meshes
from tblog.reading.scalars import Scalars
from tblog.reading.tensors import PRCurve, Tensor, Text

ItemT = TypeVar("ItemT", bound=Item)


class Kinds:
    """Everything that runs hold, by kind."""

    def _logs(self) -> Mapping[str, RunLog]:
        raise NotImplementedError

    @property
    def scalars(self) -> Scalars:
        """Numbers as columns, from old-style and new-style summaries."""
        tags: dict[str, int] = {}
        parts = []
        for log in self._logs().values():
            names, columns = log.scalars()
            is_used = np.bincount(columns.tags, minlength=len(names)) > 0
            numbers = [
                tags.setdefault(name, len(tags)) if used else -1
                for name, used in zip(names, is_used, strict=True)
            ]
            if numbers != list(range(len(numbers))):
                columns = columns._replace(tags=np.array(numbers, np.int32)[columns.tags])
            parts.append(columns)
        index = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part.steps) for part in parts])
        if len(parts) == 1:  # joined() would hand out what the run keeps, and a program may change its table
            parts = [parts[0].copy()]
        tag_index, steps, wall_times, values = joined(parts)
        return Scalars(tuple(self._logs()), tuple(tags), index, tag_index, steps, wall_times, values)

    @property
    def histograms(self) -> Items[Histogram]:
        """Histograms: edges and counts."""
        return Items(self._places("histograms"), Histogram)

    @property
    def images(self) -> Items[Image]:
        """Images and videos: encoded bytes and pixels."""
        return Items(self._places("images"), Image)

    @property
    def audio(self) -> Items[Audio]:
        """Sounds: encoded bytes and samples."""
        return Items(self._places("audio"), Audio)

    @property
    def texts(self) -> Items[Text]:
        """Texts."""
        return Items(self._places("texts"), Text)

    @property
    def tensors(self) -> Items[Tensor]:
        """Tensors of no other kind."""
        return Items(self._places("tensors"), Tensor)

    @property
    def pr_curves(self) -> Items[PRCurve]:
        """Precision-recall curves."""
        return Items(self._places("pr_curves"), PRCurve)

    @property
    def layouts(self) -> Items[Layout]:
        """Layouts of the custom scalars page."""
        return Items(self._places("layouts"), Layout)

    @property
    def meshes(self) -> Items[Mesh]:
        """Meshes and point clouds, their parts put together."""
        return meshes(self._places("meshes"))

    @property
    def hparams(self) -> HParams:
        """The hyperparameters of runs with their metrics, one row for each run that has any."""
        return hparams(self._logs())

    @property
    def tags(self) -> dict[str, list[str]]:
        """The tags of each kind, sorted: {"scalars": ["loss"], "images": [...]}."""
        found: dict[str, set[str]] = {}
        for log in self._logs().values():
            names, columns = log.scalars()
            if len(columns.tags):
                used = np.flatnonzero(np.bincount(columns.tags))
                found.setdefault("scalars", set()).update(names[number] for number in used)
            for _, entry in log.entries():
                found.setdefault(entry.kind, set()).add(entry.tag)
        return {kind: sorted(tags) for kind, tags in sorted(found.items())}

    @property
    def damage(self) -> list[Damage]:
        """The stretches of files that could not be read and were skipped: path, start, end, reason."""
        return [damage for log in self._logs().values() for damage in log.damage()]

    @property
    def unfinished(self) -> list[Damage]:
        """Incomplete records at the ends of files: torn by a crash, or still being written."""
        return [end for log in self._logs().values() for end in log.tails()]

    @property
    def records(self) -> int:
        """How many intact records the files hold."""
        return sum(log.records() for log in self._logs().values())

    def _places(self, kind: str) -> list[Place]:
        return [
            Place(run, log, file_log, entry)
            for run, log in self._logs().items()
            for file_log, entry in log.entries(kind)
        ]
