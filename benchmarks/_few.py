"""The few decisive figures of a run, in absolute units beside the peers', including those that tblog loses."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks._results import ResultFile, Stored

_PEERS = ("tblog", "torch", "tensorboardX")


class _Line(NamedTuple):
    """A figure: which question and metric it is, and how it is shown."""

    what: str
    question: int
    metric: str
    scale: float
    unit: str


_LINES = (
    _Line("`add_scalar`, a call in a tight loop", 1, "mean", 1e6, "us"),
    _Line("the longest of these calls", 1, "longest", 1e3, "ms"),
    _Line("CPU of a scalar, to the end of `close()`", 2, "cpu", 1e6, "us"),
    _Line("a training step of {baseline} that logs 50 scalars", 3, "mean", 1e3, "ms"),
    _Line("a histogram of 1,000,000 float32, CPU in all", 5, "cpu", 1e3, "ms"),
    _Line("importing `SummaryWriter`", 8, "import", 1e3, "ms"),
)


def for_markdown(result: ResultFile) -> str:
    """Return the table and the sentence below it."""
    questions = {question.number: question for question in result.questions}
    rows = [_row(line, questions[line.question]) for line in _LINES if line.question in questions]
    table = ["| | tblog | torch | tensorboardX |", "|---|---|---|---|", *rows]
    machine = {name: result.machine.get(name, "unknown") for name in ("processor", "python", "torch", "date")}
    return "\n".join(table) + (
        f"\n\nMedians of {result.repeats} rounds on {machine['processor']}, {machine['python']}, torch {machine['torch']}, "
        f"{machine['date']}. All questions, with spread and with what was missed: "
        "[benchmarks](benchmarks/README.md)."
    )


def _row(line: _Line, question: Stored) -> str:
    results = question.results
    what = line.what.format(baseline=results.value("none", line.metric, line.scale, line.unit))
    figures = {peer: results.figure(peer, line.metric) for peer in _PEERS}
    ranked = sorted((figure.median, peer) for peer, figure in figures.items() if figure is not None)
    best = ranked[0][1] if ranked else None
    cells = {peer: results.value(peer, line.metric, line.scale, line.unit) for peer in _PEERS}
    return (
        "| "
        + " | ".join([what, *(f"**{cells[peer]}**" if peer == best else cells[peer] for peer in _PEERS)])
        + " |"
    )
