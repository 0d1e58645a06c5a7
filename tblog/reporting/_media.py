"""Images, texts, histograms and hyperparameters -> what the page shows of them.

Lives here: the choice of steps, and one function for each kind. What cannot be decoded is left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tblog.reading import Histogram, Image, Item, Runs, Text, UnreadableError
from tblog.reporting._packing import Blocks

MOST_IMAGES, MOST_TEXTS, MOST_HISTOGRAMS = 20, 20, 60
"""Steps of one tag of one run."""
MOST_BINS = 40
# The quantiles on TensorBoard's page of distributions.
# https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/distribution/compressor.py
QUANTILES = (0.0, 0.0668, 0.1587, 0.3085, 0.5, 0.6915, 0.8413, 0.9332, 1.0)
# SVG is not among them: a picture is pixels here.
_TYPES = {b"\x89PNG": "image/png", b"GIF8": "image/gif", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}

ItemT = TypeVar("ItemT", bound=Item)


def kinds(runs: Runs, blocks: Blocks, names: list[str]) -> dict[str, Any]:
    """Pack every kind but scalars; return its part of the page's index."""
    shown = {"scalars", "images", "texts", "histograms", "hparams"}
    return {
        "images": _series(runs.images, MOST_IMAGES, names, lambda item: _image(item, blocks)),
        "texts": _in_blocks(_series(runs.texts, MOST_TEXTS, names, _text), blocks),
        "histograms": _in_blocks(_series(runs.histograms, MOST_HISTOGRAMS, names, _histogram), blocks),
        "hparams": _hparams(runs, names),
        "absent": {kind: len(tags) for kind, tags in runs.tags.items() if kind not in shown},
    }


def _series(
    items: Iterable[ItemT], most: int, runs: list[str], show: Callable[[ItemT], Any]
) -> list[dict[str, Any]]:
    """Return the steps, the times and the content of each tag of each run."""
    numbers = {name: number for number, name in enumerate(runs)}
    found: dict[tuple[str, int], list[ItemT]] = {}
    for item in items:
        found.setdefault((item.tag, numbers[item.run]), []).append(item)
    series = []
    for (tag, run), of_tag in sorted(found.items()):
        kept = _evenly(of_tag, most)
        shown = [(item, content) for item in kept if (content := _or_none(show, item)) is not None]
        series.append(
            {
                "tag": tag,
                "run": run,
                "of": len(of_tag),
                "unreadable": len(kept) - len(shown),
                "steps": [item.step for item, _ in shown],
                "times": [_number(item.wall_time) for item, _ in shown],
                "shown": [content for _, content in shown],
            }
        )
    return series


def _in_blocks(series: list[dict[str, Any]], blocks: Blocks) -> list[dict[str, Any]]:
    """Move the content out of the index, which the page reads completely when it opens."""
    for one in series:
        one["block"] = blocks.add_json(one.pop("shown"))
    return series


def _evenly(items: list[ItemT], most: int) -> list[ItemT]:
    """Return the first, the last, and some between them, evenly spaced."""
    if len(items) <= most:
        return items
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, most)]


def _or_none(show: Callable[[ItemT], Any], item: ItemT) -> Any:
    try:
        return show(item)
    except UnreadableError:
        return None


def _image(item: Image, blocks: Blocks) -> list[list[Any]] | None:
    """Return (type, block) of each picture; None if browsers cannot show them."""
    pictures = [
        [kind, blocks.add(picture)]
        for picture in item.all_encoded
        for start, kind in _TYPES.items()
        if picture.startswith(start)
    ]
    return pictures or None


def _text(item: Text) -> str:
    return item.text


def _histogram(item: Histogram) -> dict[str, Any] | None:
    """Return the quantiles and some bins of a histogram; None if it is empty or has no finite edges."""
    buckets = item.buckets
    buckets = buckets[np.isfinite(buckets).all(axis=1)]
    if not len(buckets) or not buckets[:, 2].sum() > 0:
        return None
    positions = np.concatenate([buckets[:1, 0], buckets[:, 1]])
    filled = np.concatenate([[0.0], np.cumsum(buckets[:, 2])])
    quantiles = np.interp(np.array(QUANTILES) * filled[-1], filled, positions)
    edges = np.linspace(positions[0], positions[-1], MOST_BINS + 1)
    counts = np.diff(np.interp(edges, positions, filled))
    if positions[0] == positions[-1]:
        edges, counts = positions[[0, -1]], filled[-1:]
    return {"quantiles": _rounded(quantiles), "ends": _rounded(edges[[0, -1]]), "counts": _rounded(counts)}


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    """Return each number with six digits, which is enough to draw it."""
    return [_number(float(f"{value:.6g}")) for value in values]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _hparams(runs: Runs, names: list[str]) -> dict[str, Any] | None:
    """Return the table of hyperparameters and metrics; None if no run has any."""
    table = runs.hparams
    if not len(table):
        return None
    numbers = {name: number for number, name in enumerate(names)}
    rows = [
        {
            "run": numbers[session.run],
            "hparams": [_cell(session.hparams.get(name)) for name in table.names],
            "metrics": [_cell(session.metrics.get(name)) for name in table.metrics],
        }
        for session in table
    ]
    return {"names": table.names, "metrics": table.metrics, "rows": rows}


def _cell(value: Any) -> Any:
    """Return a number, a text or a bool for JSON; NaN and infinities become texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (float, bool, str)) else None
