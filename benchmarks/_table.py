"""The table of a run, for a terminal and for Markdown; the rows that tblog loses included."""

from __future__ import annotations

from benchmarks._question import Row, show
from benchmarks._results import ResultFile

_HEAD = ("", "question", "target", "figure", "spread", "met", "in this run")


def cells(result: ResultFile) -> list[tuple[str, ...]]:
    """Return the lines of the table: number, what, target, figure, spread, met or not, absolute values."""
    lines: list[tuple[str, ...]] = []
    for question, row in result.rows:
        figure, spread = _figure(row)
        lines.append((str(question.number), row.what, row.target, figure, spread, _verdict(row), row.detail))
    return lines


def _figure(row: Row) -> tuple[str, str]:
    if row.figure is None:
        return "-", "-"
    low, high = sorted((row.figure.low, row.figure.high))
    return show(row.figure.median, row.unit), f"{show(low, row.unit)} to {show(high, row.unit)}"


def _verdict(row: Row) -> str:
    if row.figure is None:
        return "not run"
    return {True: "yes", False: "no", None: "-"}[row.met()]


def for_terminal(result: ResultFile) -> str:
    """Return the table as aligned text."""
    lines = [_HEAD, *cells(result)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD) - 1)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]
        ).rstrip()
        for line in lines
    )


def for_markdown(result: ResultFile) -> str:
    """Return the table as Markdown, with the verdict in bold where a target is missed."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    for line in cells(result):
        shown = [cell.replace("|", "\\|") for cell in line]
        shown[5] = "**no**" if shown[5] == "no" else shown[5]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def notes(result: ResultFile) -> list[str]:
    """Return the sentences under the table: what was read back, what failed, the machine."""
    read_back = sum(question.read_back for question in result.questions)
    failures = [
        f"Question {question.number}, {trial}: {message}"
        for question in result.questions
        for trial, message in question.failures
    ]
    machine = "; ".join(f"{name} {value}" for name, value in result.machine.items())
    rounds = "one round" if result.repeats == 1 else f"{result.repeats} rounds"
    return [
        f"Medians of {rounds}, spread from the lowest to the highest; each writer in a process of "
        f"its own, in alternation. {read_back:,} events and values were read back and were equal to what was "
        "logged" + (f", {len(failures)} trials failed." if failures else "; no trial failed."),
        *failures,
        f"Machine: {machine}.",
    ]
