"""The pictures: one for each question, and the one that the README shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._question import Figure, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks._results import ResultFile, Stored

_OURS, _THEIRS, _LIMIT = "#d1495b", "#9fb3c8", "#3d405b"
_IN_README = (1, 3, 5, 6)


def bars(
    axes: Axes,
    entries: Sequence[tuple[str, Figure | None]],
    unit: str,
    *,
    limit: tuple[float, str] | None = None,
) -> None:
    """Draw one horizontal bar for each entry, its spread as a whisker, its median as a number.

    Args:
        axes: where to draw.
        entries: labels (tblog's are drawn in red) and figures; those without a figure are left out.
        unit: of the figures, for the axis and the numbers.
        limit: a value to draw as a dashed line, and what it is called.
    """
    shown = [(label, figure) for label, figure in entries if figure is not None]
    for place, (label, figure) in enumerate(shown):
        ours = label.startswith("tblog")
        axes.barh(place, figure.median, color=_OURS if ours else _THEIRS, height=0.62, zorder=2)
        axes.plot([figure.low, figure.high], [place, place], color=_LIMIT, linewidth=1.5, zorder=3)
        axes.annotate(
            f"{short(figure.median)} {unit}",
            (figure.high, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold" if ours else "normal",
        )
    axes.set_yticks(range(len(shown)), [label for label, _ in shown])
    axes.invert_yaxis()
    if shown:
        axes.set_xlim(0, max(figure.high for _, figure in shown) * 1.3)
    if limit is not None:
        axes.axvline(limit[0], color=_LIMIT, linestyle="--", linewidth=1, zorder=1)
        axes.annotate(
            limit[1],
            (limit[0], 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -2),
            textcoords="offset points",
            va="top",
            fontsize="small",
            color=_LIMIT,
        )
    axes.set_xlabel(f"{unit} (shorter is better)")
    plain(axes)


def lines(
    axes: Axes, series: Sequence[tuple[str, Sequence[float], Sequence[Figure | None]]], unit: str
) -> None:
    """Draw how figures grow with what varies: (label, positions, figures), both axes logarithmic or linear."""
    for label, positions, figures in series:
        points = [(x, f) for x, f in zip(positions, figures, strict=True) if f is not None]
        if points:
            axes.plot(
                [x for x, _ in points], [f.median for _, f in points], marker="o", label=label, zorder=2
            )
            axes.fill_between(
                [x for x, _ in points], [f.low for _, f in points], [f.high for _, f in points], alpha=0.15
            )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(unit)
    axes.legend(frameon=False, fontsize="small")
    plain(axes)


def plain(axes: Axes) -> None:
    """Remove the frame's upper and right lines."""
    axes.spines[["top", "right"]].set_visible(False)


def draw_question(question: Stored, folder: Path) -> Path:
    """Draw a question's picture; return its path."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    _draw(question, axes)
    path = folder / f"q{question.number:02d}_{question.name}.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def draw_readme(result: ResultFile, path: Path) -> None:
    """Draw the most important questions in one picture."""
    plt = _pyplot()
    chosen = [question for question in result.questions if question.number in _IN_README]
    figure, grid = plt.subplots(
        -(-len(chosen) // 2), 2, figsize=(13, 6.5), layout="constrained", squeeze=False
    )
    for axes, question in zip(grid.flat, chosen, strict=False):
        _draw(question, axes)
    for axes in grid.flat[len(chosen) :]:
        axes.set_axis_off()
    machine = result.machine
    figure.text(
        0.995,
        -0.005,
        f"{machine['processor']}; Python {machine['python'].split()[-1]}, torch {machine['torch']}, "
        f"tensorboardX {machine['tensorboardX']}; {machine['date']}",
        ha="right",
        va="top",
        fontsize="small",
        color="gray",
    )
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def _draw(question: Stored, axes: Axes) -> None:
    from benchmarks.questions import question as find

    axes.set_title(f"{question.number}. {question.asks}", loc="left", fontsize="medium", wrap=True)
    if any(question.results.rounds.values()):
        find(question.number).draw(question.results, axes)
    else:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not run", ha="center", va="center", color="gray")


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt
