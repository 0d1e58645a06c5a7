"""The part of docs/faults.md that a run of the command writes."""

from __future__ import annotations

from pathlib import Path

from tests.faults.table import Run, markdown

BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"


def put_into(page: Path, run: Run) -> None:
    """Replace the text between a page's two marks; raise ValueError if they are missing."""
    old = page.read_text()
    if old.count(BEGIN) != 1 or old.count(END) != 1 or old.index(BEGIN) > old.index(END):
        raise ValueError(f"{page} has not the lines {BEGIN} and {END}, once and in this order; add them")
    head, rest = old.split(BEGIN)
    tail = rest.split(END)[1]
    page.write_text(f"{head}{BEGIN}\n{section(run)}\n{END}{tail}")


def section(run: Run) -> str:
    """Return the table of a run, and where and when it ran."""
    rounds = sum(row[2] for row in run.rows())
    machine = "; ".join(f"{name} {value}" for name, value in run.machine.items())
    parts = [
        markdown(run),
        f"{rounds} trials in {run.secs / 60:.0f} minutes, seed {run.seed}. Machine: {machine}.",
    ]
    if run.skipped:
        parts.append(f"Not tried, because the machine does not allow it: {', '.join(run.skipped)}.")
    return "\n\n".join(parts)
