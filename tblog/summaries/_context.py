"""What encoders need beside the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _ignore(_tag: str, _what: str, _count: int) -> None:
    """Take a report and do nothing with it."""


@dataclass(frozen=True, slots=True)
class EncodeContext:
    """What encoders need beside the record.

    Attributes:
        png_compress_level: zlib level of pictures, 0 (fast, large) to 9 (slow, small).
        report: called with the tag, what was left out or changed, and how often.
    """

    png_compress_level: int = 1
    report: Callable[[str, str, int], None] = _ignore
