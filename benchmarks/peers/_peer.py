"""What a file in this folder says about the writer that it brings."""

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
        open: makes the writer, given a log directory; heavy packages are imported in there.
        swift: a call takes about a microsecond, so that it is asked for the full million.
        quick: takes part in the quick mode.
        import_line: how a program imports it, for the question about imports.
        environment: variables of the process that it is measured in.
        on_slow_storage: makes the writer on a storage whose every write takes so many seconds.
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
