"""Reads back what a trial wrote and compares it with what was logged; differences raise AssertionError.

tensorboard's own loader reads small files. `tblog.read` reads files of a million events whole, and its first
events are compared with tensorboard's.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tblog
from tblog.reading import Scalars

_HEAD = 2_000


def event_files(logdir: Path) -> list[Path]:
    """Return the event files of one run, in the order in which TensorBoard reads them."""
    return sorted(path for path in logdir.iterdir() if "tfevents" in path.name)


def read_scalars(path: Path) -> Scalars:
    """Read all scalars of an event file; every record must be whole."""
    runs = tblog.read(path, restarts="keep")
    scalars = runs.scalars
    for end in (*runs.damage, *runs.unfinished):
        raise AssertionError(f"{end.reason}: the bytes {end.start} to {end.end} of {end.path}")
    return scalars


def events(logdir: Path) -> Iterator[Any]:
    """Yield the events of a run as messages, by tensorboard's own loader."""
    for path in event_files(logdir):
        yield from _events_of(path)


def _events_of(path: Path) -> Iterator[Any]:
    from tensorboard.backend.event_processing import event_file_loader

    yield from event_file_loader.LegacyEventFileLoader(str(path)).Load()


def values(logdir: Path, kind: str) -> list[Any]:
    """Return the summary values of a run that hold `kind` ("histo", "image"), in order."""
    found = [value for event in events(logdir) for value in event.summary.value]
    return [value for value in found if value.HasField(kind)]


def head_agrees(path: Path, columns: Scalars) -> None:
    """Compare the first events of a file, as tensorboard's loader reads them, with `columns`."""
    at = 0
    for event in itertools.islice(_events_of(path), _HEAD):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                theirs = (value.tag, event.step, value.simple_value, event.wall_time)
                ours = (
                    columns.tags[columns.tag_index[at]],
                    columns.step[at],
                    columns.value[at],
                    columns.wall_time[at],
                )
                assert theirs == ours, f"tensorboard reads {theirs}, the fast reader {ours}, at scalar {at}"
                at += 1


def scalars(logdir: Path, expected: Mapping[str, NDArray[np.float64]]) -> int:
    """Check that each tag holds its values at the steps 0, 1, 2, ..., once and in order.

    Returns:
        The number of scalars that were compared.
    """
    files = event_files(logdir)
    assert len(files) == 1, f"one event file was expected in a run, {len(files)} are there"
    columns = read_scalars(files[0])
    head_agrees(files[0], columns)
    assert sorted(columns.tags) == sorted(expected), "other tags are in the file than were logged"
    order = np.argsort(columns.tag_index, kind="stable")
    bounds = np.searchsorted(columns.tag_index[order], np.arange(len(columns.tags) + 1))
    for tag, low, high in zip(columns.tags, bounds, bounds[1:], strict=False):
        _series(tag, columns, order[low:high], expected[tag])
    return len(columns)


def _series(tag: str, columns: Scalars, rows: NDArray[np.int64], wanted: NDArray[np.float64]) -> None:
    assert len(rows) == len(wanted), (
        f"{tag}: {len(wanted):,} scalars were logged, {len(rows):,} are in the file"
    )
    assert np.array_equal(columns.step[rows], np.arange(len(wanted))), (
        f"{tag}: steps are wrong or out of order"
    )
    assert np.array_equal(columns.value[rows], wanted.astype(np.float32)), f"{tag}: values differ"
    walls = columns.wall_time[rows]
    assert (np.diff(walls) >= 0).all(), f"{tag}: wall times go back"


def histograms(logdir: Path) -> list[tuple[str, Any]]:
    """Return the histograms of a run with their tags, in order."""
    return [(value.tag, value.histo) for value in values(logdir, "histo")]


def counts(histogram: Any, array: NDArray[Any]) -> None:
    """Check a histogram's counts against numpy's on the TensorFlow edges."""
    edges = tensorflow_edges()
    wanted = np.histogram(_finite(array), bins=edges)[0]
    given = dict(zip(histogram.bucket_limit, histogram.bucket, strict=True))
    for index in np.flatnonzero(wanted):
        limit = float(edges[index + 1])
        assert given.get(limit) == wanted[index], (
            f"the bin up to {limit} holds {given.get(limit)}, numpy counts {wanted[index]}"
        )
    assert sum(given.values()) == wanted.sum(), "there are counts in bins where numpy has none"


def moments(histogram: Any, array: NDArray[Any]) -> None:
    """Check a histogram's number, sum, sum of squares and extremes against numpy's in float64."""
    wide = _finite(array)
    _close("num", histogram.num, len(wide))
    _close("sum", histogram.sum, wide.sum(), scale=np.abs(wide).sum())
    _close("sum of squares", histogram.sum_squares, float(wide @ wide))
    _close("min", histogram.min, wide.min())
    _close("max", histogram.max, wide.max())


def _finite(array: NDArray[Any]) -> NDArray[np.float64]:
    wide = array.ravel().astype(np.float64)
    return wide[np.isfinite(wide)]


def _close(name: str, given: float, wanted: float, scale: float = 0.0) -> None:
    room = 1e-6 * max(abs(wanted), scale)
    assert abs(given - wanted) <= room, f"the {name} of a histogram is {given}, it should be {wanted}"


def tensorflow_edges() -> NDArray[np.float64]:
    """Return the 1,549 edges that both originals use by default."""
    # tensorflow/core/lib/histogram/histogram.cc, InitDefaultBucketsInner: powers of 1.1 from 1e-12
    # to 1e20, mirrored about 0; the lists of torch and tensorboardX, which have no DBL_MAX at the ends.
    positive, value = [], 1e-12
    while value < 1e20:
        positive.append(value)
        value *= 1.1
    return np.array([-v for v in reversed(positive)] + [0.0] + positive)


def image(encoded: bytes, pixels: NDArray[np.uint8]) -> None:
    """Check that an encoded image decodes to `pixels`, (3, H, W) uint8."""
    from PIL import Image

    decoded = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(decoded, pixels), "the image's pixels differ from those that were logged"


def is_a_picture(encoded: bytes) -> None:
    """Check that an encoded image decodes and shows more than one colour."""
    from PIL import Image

    decoded = np.asarray(Image.open(io.BytesIO(encoded)))
    assert decoded.min() < decoded.max(), "an image shows one colour only"
