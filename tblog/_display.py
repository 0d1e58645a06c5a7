"""The display of a writer: one line for a terminal, a small table in a notebook.

Lives here: texts made from a directory and counts. They run none of the caller's code.
Must not: open files, wait for anything, raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tblog.stats import Stats

_WORTH_TELLING = ("dropped", "failed", "incomplete", "values_left_out", "spilled")


def line(kind: str, logdir: str, state: str, stats: Stats) -> str:
    """Return the `repr()` of a writer.

    Args:
        kind: the name of its class.
        logdir: its directory.
        state: for example "open".
        stats: its counts.
    """
    counts = ", ".join(f"{count:,} {name}" for name, count in _counts(stats).items())
    return f"<{kind} {logdir!r} ({state}): {counts}>"


def page(kind: str, logdir: str, state: str, stats: Stats) -> str:
    """Return the HTML of a writer for a notebook: its counts, and the lines that open TensorBoard.

    Args:
        kind: the name of its class.
        logdir: its directory.
        state: for example "open".
        stats: its counts.
    """
    counts = _counts(stats) | {"bytes on disk": stats.bytes}
    cells = "".join(
        f'<tr><td style="text-align: left">{name}</td><td>{count:,}</td></tr>'
        for name, count in counts.items()
    )
    return (
        f"<div><strong>{_text(kind)}</strong> <code>{_text(logdir)}</code> ({_text(state)})"
        f"<table>{cells}</table>"
        f"<pre>%load_ext tensorboard\n{_text(magic(logdir))}</pre></div>"
    )


def magic(logdir: str) -> str:
    """Return the line that opens TensorBoard in a notebook.

    IPython first replaces {name} and $name by variables, and then splits the line like a shell.
    """
    import shlex

    quoted = shlex.quote(logdir).replace("{", "{{").replace("}", "}}")
    return f"%tensorboard --logdir {quoted}".replace("$", "$''")  # closes the quotes, and opens new ones


def _counts(stats: Stats) -> dict[str, int]:
    """Return the counts that are always shown, and those of failures if there are any."""
    told = {"logged": stats.queued, "written": stats.written}
    lost = {name.replace("_", " "): getattr(stats, name) for name in _WORTH_TELLING}
    return told | {name: count for name, count in lost.items() if count}


def _text(text: str) -> str:
    """Return a text escaped for HTML. The name of a file may contain bytes that are not UTF-8."""
    from html import escape

    return escape(text.encode(errors="backslashreplace").decode())
