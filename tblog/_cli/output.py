"""What is printed: tables, numbers, texts that are safe for a terminal, and progress."""

from __future__ import annotations

import math
import sys
import time
import unicodedata
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")

_QUIET_SECS = 1.0
_PAUSE_SECS = 0.2
_BAR = 24


def say(text: str = "") -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def tell(text: str) -> None:
    """Print a line to the standard error: what was done, and what was not."""
    sys.stderr.write(f"tblog: {text}\n")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns. Those whose title begins with > are aligned to the right."""
    lines = [[plain(cell) for cell in row] for row in rows]
    heads = [title.removeprefix(">") for title in titles]
    widths = [max(map(_columns, column)) for column in zip(heads, *lines, strict=True)]
    for line in [heads, *lines]:
        cells = [
            f"{gap}{cell}" if title.startswith(">") else f"{cell}{gap}"
            for cell, width, title in zip(line, widths, titles, strict=True)
            for gap in [" " * (width - _columns(cell))]
        ]
        say("  ".join(cells).rstrip())


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def plain(text: str) -> str:
    """Return a text without control characters, because a tag may hold anything."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in text
    )


def number(value: float) -> str:
    """Return a value for people to read."""
    return f"{value:.6g}"


def count(many: int) -> str:
    """Return a count with separated thousands."""
    return f"{many:,}"


def counted(many: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{many:,} {noun}{'' if many == 1 else 's'}"


def size(nbytes: int) -> str:
    """Return a number of bytes for people to read."""
    left = float(nbytes)
    for unit in ("B", "kB", "MB", "GB"):
        if left < 1000:
            return f"{left:.0f} {unit}" if unit == "B" or left >= 100 else f"{left:.1f} {unit}"
        left /= 1000
    return f"{left:.1f} TB"


def span(first: int, last: int) -> str:
    """Return the first and the last step."""
    return str(first) if first == last else f"{first} to {last}"


class Progress:
    """Shows progress on a terminal once the work takes longer than a second, until its block ends."""

    def __init__(self, what: str, whole: int) -> None:
        self._what, self._whole, self._done = what, max(whole, 1), 0
        self._shown_at = time.monotonic() + _QUIET_SECS - _PAUSE_SECS
        self._is_shown, self._may_show = False, sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")

    def add(self, done: int) -> None:
        """Add a finished part."""
        self._done += done
        if not self._may_show or time.monotonic() - self._shown_at < _PAUSE_SECS:
            return
        self._shown_at, self._is_shown = time.monotonic(), True
        share = min(self._done / self._whole, 1.0)
        sys.stderr.write(f"\r{self._what} [{'#' * int(_BAR * share):{_BAR}}] {share:4.0%} ")
        sys.stderr.flush()


def with_progress(items: Sequence[T], what: str) -> Iterator[T]:
    """Yield items, and show progress."""
    with Progress(what, len(items)) as progress:
        for item in items:
            yield item
            progress.add(1)


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for JSON, with NaN and infinities as the texts "NaN", "Infinity" and "-Infinity"."""
    return {key: as_json(value) if isinstance(value, float) else value for key, value in row.items()}


def as_json(value: float) -> float | str:
    """Return a number, or a text for one that JSON lacks, as in TensorBoard's own downloads."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def flush() -> None:
    """Flush what was printed."""
    sys.stdout.flush()
