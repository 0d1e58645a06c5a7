"""How runs show themselves in a notebook: a small table in HTML.

Lives here: texts. Must not: read files, or put a name into HTML unescaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from tblog.reading.scalars import Scalars

MOST_ROWS = 20


def table(tags: Mapping[str, Mapping[str, list[str]]], scalars: Scalars) -> str:
    """Return a row for each run: how many tags of each kind it has, and the last step of its scalars.

    Args:
        tags: the tags of each kind, by run.
        scalars: the scalars of these runs.
    """
    kinds = sorted({kind for of_run in tags.values() for kind in of_run})
    last: dict[str, int] = {}
    for curve in scalars.last().series():
        last[curve.run] = max(last.get(curve.run, 0), int(curve.step[-1]))
    head = _row("th", ["run", *kinds, "last step"])
    rows = [
        _row(
            "td",
            [name, *(f"{len(of_run.get(kind, ())):,}" for kind in kinds), str(last.get(name, ""))],
        )
        for name, of_run in list(tags.items())[:MOST_ROWS]
    ]
    more = f"<p>and {len(tags) - MOST_ROWS:,} more</p>" if len(tags) > MOST_ROWS else ""
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>{more}"


def _row(cell: str, texts: list[str]) -> str:
    # A file's name may hold bytes that are not UTF-8.
    safe = [escape(text.encode(errors="backslashreplace").decode()) for text in texts]
    return f"<tr>{''.join(f'<{cell}>{text}</{cell}>' for text in safe)}</tr>"
