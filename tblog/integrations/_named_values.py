"""The named values of one step, numbers and texts mixed -> calls of a writer. Caller's side."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Mapping
from typing import Any

from tblog.errors import shortened
from tblog.writer import SummaryWriter


def log_values(
    writer: SummaryWriter, values: Mapping[str, Any], step: int | None, walltime: float | None = None
) -> None:
    """Log numbers as one event, texts as texts, and dicts of numbers as charts of several curves.

    Args:
        writer: the writer.
        values: by tag. A number may be an array or a tensor of one element, on any device, and the call does not wait
            for it. Anything else is left out, with one warning for each tag.
        step: the step of all values.
        walltime: seconds since the epoch. None means now.
    """
    scalars = {}
    for tag, value in values.items():
        if isinstance(value, str):
            writer.add_text(tag, value, step, walltime)
        elif isinstance(value, Mapping):
            writer.add_scalars(tag, value, step, walltime)
        elif is_number(value):
            scalars[tag] = value
        else:
            warnings.warn(
                f"tblog: {tag!r} was {shortened(value)} of type {type(value).__name__} and is not logged; give a "
                "number, a text or a dict of numbers",
                stacklevel=3,
            )
    if scalars:
        writer.add_scalar_dict(scalars, step, walltime)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, or an array-like of one element."""
    if isinstance(value, numbers.Number):
        return isinstance(value, numbers.Real)
    return hasattr(value, "dtype") and math.prod(getattr(value, "shape", (0,))) == 1
