"""What is printed: tables, numbers, texts that are safe for a terminal, and progress."""

from __future__ import annotations

import contextlib
import logging
import math
import shutil
import sys
import time
import unicodedata
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tblog._reports import logger
from tblog._terminal import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")

_QUIET_SECS = 1.0
_PAUSE_SECS = 0.2
_BAR = 24
_NARROWEST = 8
"""Columns of a cell that was cut."""


def say(text: str = "") -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def tell(text: str) -> None:
    """Print a line to the standard error: what was done, and what was not."""
    sys.stderr.write(f"tblog: {plain(text)}\n")


class _Warnings(logging.Handler):
    """Prints what tblog warns of, which names files."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{plain(record.getMessage())}\n")


@contextlib.contextmanager
def warnings_told() -> Iterator[None]:
    """Print tblog's warnings within this block."""
    handler = _Warnings(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], width: int | None = None) -> None:
    """Print columns.

    Args:
        titles: > in front of one aligns its column to the right; ~ says that its cells may be cut in the middle.
        rows: their cells.
        width: columns of the output; those of the terminal if None. Nothing is cut where it does not go to one.
    """
    lines = [[plain(cell) for cell in row] for row in rows]
    heads = [title.lstrip(">~") for title in titles]
    widths = [max(map(_columns, column)) for column in zip(heads, *lines, strict=True)]
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    if width is not None:
        _narrow(widths, [number for number, title in enumerate(titles) if title.startswith("~")], width)
    for line in [heads, *lines]:
        cells = [
            f"{gap}{cell}" if title.startswith(">") else f"{cell}{gap}"
            for whole, width, title in zip(line, widths, titles, strict=True)
            for cell in [_cut(whole, width)]
            for gap in [" " * (width - _columns(cell))]
        ]
        say("  ".join(cells).rstrip())


def _narrow(widths: list[int], may_shrink: Sequence[int], room: int) -> None:
    """Take from the widest of some columns until all have room, with two blanks between them."""
    while sum(widths) + 2 * (len(widths) - 1) > room:
        widest = max(may_shrink, key=lambda number: widths[number], default=None)
        if widest is None or widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def _cut(text: str, width: int) -> str:
    """Return a text of at most so many columns, with its start and its end."""
    if _columns(text) <= width:
        return text
    start, end = 0, len(text)
    while True:
        shown = f"{text[:start]}…{text[end:]}"
        grown = (
            f"{text[: start + 1]}…{text[end:]}"
            if start <= len(text) - end
            else f"{text[:start]}…{text[end - 1 :]}"
        )
        if _columns(grown) > width:
            return shown
        start, end = (start + 1, end) if start <= len(text) - end else (start, end - 1)


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
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


def local_time(form: str, secs: float) -> str:
    """Return a time for people to read, in the form of `time.strftime`; "?" if no calendar has it."""
    try:
        return time.strftime(form, time.localtime(secs))
    except (ValueError, OverflowError, OSError):
        return "?"


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
