"""Tables in Markdown, as TensorBoard's Text page shows them. Runs on the caller's thread."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

# TensorBoard ignores the alignment of Markdown columns. So shorter numbers are padded with spaces
# as wide as a digit and as a comma.
_WIDTHS: Final = str.maketrans({**dict.fromkeys("0123456789%()", "\u2007"), **dict.fromkeys(",.", "\u2008")})
INDENT: Final = "\u2003"  # an em space, which is kept at the start of a cell


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """Return a table in Markdown.

    Args:
        titles: the header, one title for each column.
        rows: the cells.
        numbers: the indices of the right-aligned columns.
    """
    columns = [
        _right_aligned(column) if index in numbers else column
        for index, column in enumerate(zip(*rows, strict=True))
    ]
    lines = [titles, ["---"] * len(titles), *zip(*columns, strict=True)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _right_aligned(numbers: Sequence[str]) -> list[str]:
    longest = max(numbers, key=len)
    filling = longest.translate(_WIDTHS)
    return [filling[: len(longest) - len(number)] + number if number else "" for number in numbers]
