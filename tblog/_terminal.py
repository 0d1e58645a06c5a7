"""Texts that a terminal may be given: names of runs, tags and files may hold anything, also orders to a terminal."""

from __future__ import annotations

import sys


def plain(text: str) -> str:
    """Return a text with its control characters written out."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in text
    )


def say(text: str) -> None:
    """Print a line without control characters."""
    sys.stdout.write(f"{plain(text)}\n")
