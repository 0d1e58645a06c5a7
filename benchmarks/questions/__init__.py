"""One question per file, as `QUESTION`; the file's name has its number."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from benchmarks._question import Question

__all__ = ["numbers", "question"]


@cache
def _modules() -> dict[int, str]:
    names = [info.name for info in pkgutil.iter_modules(__path__)]
    return {int(name[1:3]): f"{__name__}.{name}" for name in sorted(names)}


def numbers() -> list[int]:
    """Return the numbers of all questions."""
    return list(_modules())


def question(number: int) -> Question:
    """Return the question of that number."""
    found = importlib.import_module(_modules()[number]).QUESTION
    assert isinstance(found, Question)
    return found
