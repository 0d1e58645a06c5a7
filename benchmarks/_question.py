"""The types that all benchmarks share: a question, its trials, its figures and its rows.

Lives here: plain types. A question's file makes one `Question`. The runner measures its trials, each in a
process of its own, and returns `Results`, from which the question makes rows.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

Sample = dict[str, float]
Unit = Literal["fraction", "factor", "us", "ms", "bytes", "MiB", "count"]


@dataclass(frozen=True)
class Trial:
    """One writer in one case, measured in one process; `sizes` say how much it does."""

    writer: str
    case: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return the key of this trial's samples."""
        return f"{self.writer} {self.case}".strip()


@dataclass(frozen=True)
class Figure:
    """The median of the repeats and their spread."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure | None:
        """Return the figure of `values`, or None if there are none."""
        return cls(statistics.median(values), min(values), max(values)) if values else None


@dataclass(frozen=True)
class Row:
    """A line of the table: the target is met where the median is at most `limit`.

    A row without a limit only informs. `gross` is the wide limit of the quick mode, which even a noisy
    machine must meet. A row without a figure gives the reason in `detail`.
    """

    what: str
    target: str
    figure: Figure | None
    limit: float | None
    gross: float | None
    unit: Unit
    detail: str = ""

    def met(self, *, quick: bool = False) -> bool | None:
        """Return whether the target is met; None without a figure or a target."""
        limit = self.gross if quick else self.limit
        return None if self.figure is None or limit is None else self.figure.median <= limit


class Results:
    """The samples of one question: one list for each trial, in the order of the rounds."""

    def __init__(self, rounds: Mapping[str, Sequence[Sample | None]], prepared: Mapping[str, float]) -> None:
        self.rounds = rounds
        self.prepared = prepared

    def figure(self, key: str, metric: str, scale: float = 1.0) -> Figure | None:
        """Return a metric of one trial, multiplied by `scale`."""
        return Figure.of(
            [s[metric] * scale for s in self.rounds.get(key, ()) if s is not None and metric in s]
        )

    def ratio(self, key: str, metric: str, base: str, base_metric: str = "") -> Figure | None:
        """Return the ratio of two trials, compared round by round."""
        pairs = zip(self.rounds.get(key, ()), self.rounds.get(base, ()), strict=False)
        base_metric = base_metric or metric
        return Figure.of([a[metric] / b[base_metric] for a, b in pairs if a and b and b[base_metric] > 0])

    def value(self, key: str, metric: str, scale: float, unit: str) -> str:
        """Return a median as text: "0.31 us", or "not measured"."""
        figure = self.figure(key, metric, scale)
        return "not measured" if figure is None else f"{short(figure.median)} {unit}"


@dataclass(frozen=True)
class Plan:
    """What a question's trials depend on: the mode, and the findings of `Question.prepare`."""

    quick: bool
    prepared: Mapping[str, float]


def nothing_to_prepare() -> Sample:
    """Return no findings: the `prepare` of most questions."""
    return {}


@dataclass(frozen=True)
class Question:
    """One question, its trials, and how to evaluate their results.

    `prepare` and `measure` run in processes of their own. `check` reads back what a trial wrote, raises
    `AssertionError` if it differs, and returns how many events were equal.
    """

    number: int
    name: str
    asks: str
    trials: Callable[[Plan], Sequence[Trial]]
    measure: Callable[[Trial, Path], Sample]
    check: Callable[[Trial, Path], int]
    rows: Callable[[Results], Sequence[Row]]
    draw: Callable[[Results, Axes], None]
    prepare: Callable[[], Sample] = nothing_to_prepare


def short(value: float) -> str:
    """Return a number with three significant digits and no exponent; an integer has no decimals."""
    if value == round(value):
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def show(value: float, unit: Unit) -> str:
    """Return a figure as the table shows it; a fraction below one half reads "1/150"."""
    if unit == "fraction":
        return f"1/{short(1 / value)}" if 0 < value < 0.5 else f"x{short(value)}"
    if unit == "factor":
        return f"x{value:.3f}"
    if unit == "count":
        return f"{value:,.0f}"
    return f"{short(value)} {unit}"
