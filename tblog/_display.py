"""How a writer shows itself: one line for a terminal, a small table in a notebook.

Lives here: texts made of a directory and counts; no code of the caller's is run for them.
Must not: open files, wait for anything, raise.
"""

from __future__ import annotations

import shlex
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tblog.stats import Stats

_WORTH_TELLING = ("dropped", "failed", "values_left_out")


def line(kind: str, logdir: str, state: str, stats: Stats) -> str:
    """Return what `repr()` shows of a writer.

    Args:
        kind: name of its class.
        logdir: its directory.
        state: "open", for example.
        stats: its counts.
    """
    counts = ", ".join(f"{count:,} {name}" for name, count in _counts(stats).items())
    return f"<{kind} {logdir!r} ({state}): {counts}>"


def page(kind: str, logdir: str, state: str, stats: Stats) -> str:
    """Return what a notebook shows of a writer, in HTML: its counts, and the lines that open TensorBoard below.

    Args:
        kind: name of its class.
        logdir: its directory.
        state: "open", for example.
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

    It is split as a shell does. Before that, IPython puts variables in the place of {name} and of $name.
    """
    quoted = shlex.quote(logdir).replace("{", "{{").replace("}", "}}")
    return f"%tensorboard --logdir {quoted}".replace("$", "$''")  # the quotes end, and begin anew


def _counts(stats: Stats) -> dict[str, int]:
    """Return what is always told, and what has gone wrong if something has."""
    told = {"logged": stats.queued, "written": stats.written}
    lost = {name.replace("_", " "): getattr(stats, name) for name in _WORTH_TELLING}
    return told | {name: count for name, count in lost.items() if count}


def _text(text: str) -> str:
    """Return a text as HTML can hold it: a file's name may have bytes that are no UTF-8."""
    return escape(text.encode(errors="backslashreplace").decode())
