"""The findings of a step: which layers learn nothing, lose their gradients or compute NaN.

Lives here: a row with findings for each layer, the table of all layers, and the warning about findings that
persist. Must not: draw (`_layer_chart` does), or touch a model.
Runs on the worker thread, which may wait for figures from a GPU.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tblog.adapters._classes import percent
from tblog.adapters._layers import listed
from tblog.adapters._tables import table

LEAST_UPDATE: Final = 1e-6
MOST_UPDATE: Final = 0.1
LEAST_GRADIENT: Final = 1e-4  # of the greatest norm among the layers
MOST_DEAD: Final = 0.5
_KINDS: Final = {"activations": "the output", "gradients": "the gradients", "parameters": "the parameters"}
_EMBEDDINGS: Final = {"Embedding", "EmbeddingBag"}

logger = logging.getLogger("tblog")


class Layer(NamedTuple):
    """A watched layer: its path, its type, and whether it has parameters and whether they are trained."""

    name: str
    kind: str
    has_parameters: bool
    is_trained: bool


class Row(NamedTuple):
    """A layer's figures, None if missing, and its findings, the most important first."""

    layer: Layer
    gradient_norm: float | None
    update_ratio: float | None
    dead: float | None
    nonfinite: float | None
    findings: tuple[str, ...]


class LayerReport:
    """The layers of one watched step.

    Args:
        step: the number of the step since the start of the watch, for messages.
        layers: the layers in the order of the model.
        figures: numbers, or objects with `__float__`, by quantity and layer.
        warnings: the warnings of the watch. They get all reports, in the order of their steps.
    """

    def __init__(
        self, step: int, layers: Sequence[Layer], figures: Mapping[str, Mapping[str, Any]], warnings: Warnings
    ) -> None:
        self._step, self._layers, self._figures, self._warnings = step, layers, figures, warnings
        self._rows: list[Row] | None = None

    @property
    def nbytes(self) -> int:
        """Return the approximate size of the figures in bytes."""
        return 32 * sum(map(len, self._figures.values()))

    @property
    def tells(self) -> tuple[bool, bool]:
        """Return whether there are gradient norms, and whether there are update ratios."""
        return "gradient_norm" in self._figures, "update_ratio" in self._figures

    def rows(self) -> list[Row]:
        """Return the rows of layers with parameters or findings. The first call also warns."""
        if self._rows is None:
            figures = {
                quantity: {name: float(value) for name, value in layers.items()}
                for quantity, layers in self._figures.items()
            }
            rows = [_row(layer, figures) for layer in self._layers]
            self._rows = [row for row in rows if row.layer.has_parameters or row.findings]
            self._warnings.look(self._step, self._rows)
        return self._rows

    def summary(self) -> list[tuple[str, str]]:
        """Return the findings: the layers ("layers 0, 2"), and what was found."""
        rows = self.rows()
        found = [(_with_noun(names), finding) for finding, names in _by_finding(rows).items()]
        ratios = [row.update_ratio for row in rows if row.update_ratio is not None]
        if ratios and not any(ratios):
            found.append(("all layers", "unchanged: the learning rate is 0, or the step was skipped"))
        return found or [(f"all {len(rows)} layers" if len(rows) > 1 else "the layer", "nothing found")]


class LayerTable:
    """A report as Markdown, made when the worker takes its `str()`."""

    def __init__(self, report: LayerReport) -> None:
        self._report = report

    def __str__(self) -> str:
        titles = ("Layer", "Type", "Gradient norm", "Update ratio", "Dead", "NaN or infinite", "Found")
        cells = [_cells(row) for row in self._report.rows()]
        summary = [f"**{layers}**: {finding}" for layers, finding in self._report.summary()]
        return "\n\n".join([*summary, table(titles, cells)])


class Warnings:
    """Warns once of each finding: if two watched steps in a row show it, or at once for NaN.

    A single step is not enough: the first steps of a training often have a learning rate near 0, and a
    `GradScaler` causes infinite gradients to find its scale.

    Args:
        table: the tag of the table that the warning refers to.
        scales: whether a `GradScaler` is used, which makes infinite gradients normal.
    """

    def __init__(self, table: str, *, scales: bool) -> None:
        self._table, self._scales = table, scales
        self._last: dict[str, set[str]] = {}
        self._warned: set[str] = set()

    def look(self, step: int, rows: Sequence[Row]) -> None:
        """Record a report, and warn of findings that are new and persist."""
        found = _by_finding(rows)
        for finding, names in found.items():
            at_once = finding.startswith("NaN") and not self._scales
            staying = [name for name in names if at_once or name in self._last.get(finding, ())]
            if staying and finding not in self._warned:
                self._warned.add(finding)
                logger.warning(
                    "tblog: %s of the watched model: %s (at step %d of the watch; this warning comes once, the text %r has all findings)",
                    _with_noun(staying),
                    finding,
                    step,
                    self._table,
                )
        self._last = {finding: set(names) for finding, names in found.items()}


def _row(layer: Layer, figures: Mapping[str, Mapping[str, float]]) -> Row:
    def of(quantity: str) -> float | None:
        return figures.get(quantity, {}).get(layer.name)

    def greatest(what: str, kinds: Iterable[str]) -> float | None:
        shares = [share for kind in kinds if (share := of(f"{what}_{kind}")) is not None]
        return max(shares, default=None)

    gradient, ratio = of("gradient_norm"), of("update_ratio")
    # The rows of an embedding that are not in the batch rightly have no gradient.
    dead = greatest("dead", [kind for kind in _KINDS if kind != "gradients" or layer.kind not in _EMBEDDINGS])
    findings = [f"NaN or infinity in {_KINDS[kind]}" for kind in _KINDS if (of(f"nonfinite_{kind}") or 0) > 0]
    if layer.is_trained and "gradient_norm" in figures:
        findings += _of_gradient(
            gradient, max(filter(math.isfinite, figures["gradient_norm"].values()), default=0.0)
        )
    if layer.is_trained and ratio is not None and any(figures["update_ratio"].values()):
        findings += _of_update(ratio)
    if dead is not None and dead >= MOST_DEAD:
        findings.append("half of the units or more are dead")
    return Row(layer, gradient, ratio, dead, greatest("nonfinite", _KINDS), tuple(findings))


def _of_gradient(gradient: float | None, greatest: float) -> list[str]:
    if gradient is None:
        return ["no gradient came"]
    if gradient == 0:
        return ["the gradient is 0"]
    if gradient < LEAST_GRADIENT * greatest:
        return [f"gradient norm below {_plain(LEAST_GRADIENT)} of the greatest"]
    return []


def _of_update(ratio: float) -> list[str]:
    if ratio < LEAST_UPDATE:
        return [f"update ratio below {_plain(LEAST_UPDATE)}"]
    return [f"update ratio above {_plain(MOST_UPDATE)}"] if ratio > MOST_UPDATE else []


def _plain(number: float) -> str:
    return f"{number:g}" if number >= 0.01 else f"{number:.0e}".replace("e-0", "e-")


def _by_finding(rows: Sequence[Row]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        for finding in row.findings:
            found.setdefault(finding, []).append(row.layer.name)
    return found


def _with_noun(names: Sequence[str]) -> str:
    return f"layer{'s' * (len(names) > 1)} {listed(names)}"


def _cells(row: Row) -> list[str]:
    mark = "**" if row.findings else ""
    figures = [f"{value:.2e}" if value is not None else "" for value in (row.gradient_norm, row.update_ratio)]
    figures += [percent(value) if value is not None else "" for value in (row.dead, row.nonfinite)]
    found = "; ".join(row.findings) or ("" if row.layer.is_trained else "frozen")
    marked = [f"{mark}{cell}{mark}" if cell else "" for cell in (f"`{row.layer.name}`", *figures, found)]
    return [marked[0], row.layer.kind, *marked[1:]]
