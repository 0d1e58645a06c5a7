"""Packs texts, histograms, PR curves and hyperparameters for the page.

Lives here: one function for each kind. Values that cannot be decoded are counted and left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tblog.reading import Histogram, PRCurve, Runs, Text, UnreadableError
from tblog.reporting import _media
from tblog.reporting._packing import Blocks
from tblog.reporting._steps import number, series

MOST_TEXTS, MOST_HISTOGRAMS, MOST_PR_CURVES = 20, 60, 20
"""Steps of one tag of one run."""
MOST_BINS = 40
MOST_THRESHOLDS = 200
LARGEST_DRAWN = 1e300
"""So that the width of an axis is a number, too. TensorFlow's outermost edges are the largest float64."""
# The quantiles that TensorBoard's distributions page draws.
# https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/distribution/compressor.py
QUANTILES = (0.0, 0.0668, 0.1587, 0.3085, 0.5, 0.6915, 0.8413, 0.9332, 1.0)
_SHOWN = {"scalars", "images", "audio", "texts", "histograms", "pr_curves", "hparams"}


def kinds(runs: Runs, blocks: Blocks, names: list[str]) -> dict[str, Any]:
    """Pack everything that is not a scalar; return its part of the page's index."""
    return {
        "images": _media.images(runs.images, blocks, names),
        "audio": _media.sounds(runs.audio, blocks, names),
        "texts": _in_blocks(series(runs.texts, MOST_TEXTS, names, _text), blocks),
        "histograms": _in_blocks(series(runs.histograms, MOST_HISTOGRAMS, names, _histogram), blocks),
        "prCurves": _in_blocks(series(runs.pr_curves, MOST_PR_CURVES, names, _pr_curve), blocks),
        "hparams": _hparams(runs, names),
        "absent": _absent(runs),
    }


def _absent(runs: Runs) -> dict[str, int]:
    """Return how many tags of each kind the page does not show."""
    absent = {kind: len(tags) for kind, tags in runs.tags.items() if kind not in _SHOWN}
    if "meshes" in absent:  # vertices, colours and faces have a tag each
        absent["meshes"] = len({mesh.tag for mesh in runs.meshes})
    return absent


def _in_blocks(shown: list[dict[str, Any]], blocks: Blocks) -> list[dict[str, Any]]:
    """Move contents out of the index, which the page reads as a whole when it opens."""
    for one in shown:
        one["block"] = blocks.add_json(one.pop("shown"))
    return shown


def _text(item: Text) -> str:
    return item.text


def _histogram(item: Histogram) -> dict[str, Any]:
    """Return the quantiles and some bins of a histogram."""
    buckets = item.buckets
    buckets = buckets[(np.abs(buckets) < LARGEST_DRAWN).all(axis=1)]
    if not len(buckets) or not buckets[:, 2].sum() > 0:
        raise UnreadableError(f"{item!r} is empty or has no finite edges")
    positions = np.concatenate([buckets[:1, 0], buckets[:, 1]])
    filled = np.concatenate([[0.0], np.cumsum(buckets[:, 2])])
    quantiles = np.interp(np.array(QUANTILES) * filled[-1], filled, positions)
    edges = np.linspace(positions[0], positions[-1], MOST_BINS + 1)
    counts = np.diff(np.interp(edges, positions, filled))
    if positions[0] == positions[-1]:
        edges, counts = positions[[0, -1]], filled[-1:]
    return {"quantiles": _rounded(quantiles), "ends": _rounded(edges[[0, -1]]), "counts": _rounded(counts)}


def _pr_curve(item: PRCurve) -> dict[str, Any]:
    """Return precision and recall at some thresholds, up to the last one at which anything is predicted.

    TensorBoard leaves out the rest, too, because its precision has no meaning.
    https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/pr_curve/pr_curves_plugin.py
    """
    predicted = np.flatnonzero(item.true_positives + item.false_positives >= 1)
    used = int(predicted[-1]) + 1 if len(predicted) else min(1, len(item.thresholds))
    if not used:
        raise UnreadableError(f"{item!r} has no thresholds")
    places = np.unique(np.linspace(0, used - 1, min(used, MOST_THRESHOLDS)).round().astype(np.int64))
    columns = {"recall": item.recall, "precision": item.precision, "thresholds": item.thresholds}
    return {name: _rounded(column[places]) for name, column in columns.items()}


def _rounded(values: NDArray[Any]) -> list[float | None]:
    """Return six digits of each number: these are drawn, not read."""
    return [number(float(f"{value:.6g}")) for value in values]


def _hparams(runs: Runs, names: list[str]) -> dict[str, Any] | None:
    """Return the table of hyperparameters and metrics; None if no run states any."""
    table = runs.hparams
    if not len(table):
        return None
    places = {name: place for place, name in enumerate(names)}
    rows = [
        {
            "run": places[session.run],
            "hparams": [_cell(session.hparams.get(name)) for name in table.names],
            "metrics": [_cell(session.metrics.get(name)) for name in table.metrics],
        }
        for session in table
    ]
    return {"names": table.names, "metrics": table.metrics, "rows": rows}


def _cell(value: Any) -> Any:
    """Return a number, text or boolean in a form that JSON has: NaN and infinities become their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (float, bool, str)) else None
