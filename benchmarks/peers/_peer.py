"""The description of a writer that each file in this folder gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Peer:
    """A writer to compare.

    Attributes:
        name: how trials and results name it.
        label: how tables and pictures name it.
        questions: the numbers of the questions it takes part in.
        open: makes the writer for a log directory; imports heavy packages itself.
        swift: whether a call takes about a microsecond; if so, the full million is measured.
        quick: whether it takes part in the quick mode.
        import_line: how a program imports it, for the question about imports.
        environment: variables of its process.
        on_slow_storage: makes the writer on storage where each write takes the given seconds.
    """

    name: str
    label: str
    questions: frozenset[int]
    open: Callable[[str], Any]
    swift: bool = False
    quick: bool = False
    import_line: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    on_slow_storage: Callable[[str, float], Any] | None = None
