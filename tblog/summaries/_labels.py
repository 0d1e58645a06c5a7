"""Converts labels of points and boxes to plain strings, on the caller's side, or the worker's for ready records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tblog._values.arguments import is_iterable
from tblog._values.arrays import snapshot, to_numpy
from tblog._values.checks import to_text
from tblog._values.torch_tensors import is_torch_tensor, together
from tblog.errors import InvalidTypeError, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable


def label_text(label: Any) -> str:
    """Return a label's text: the numbers of a tensor ("3"), and `str()` of anything else."""
    return label if type(label) is str else to_text(_plain(label), "a label")


def label_texts(labels: Any, what: str) -> list[str]:
    """Return the text of each label. A tensor or an array has one label in each row.

    Raises:
        InvalidTypeError: the labels are not a sequence.
    """
    return [label_text(label) for label in _each(labels, what)]


def label_rows(labels: Any, what: str) -> list[Any]:
    """Return the texts of each label's columns. A label without columns becomes one text.

    Raises:
        InvalidTypeError: the labels are not a sequence.
    """
    return [
        label_text(label) if isinstance(label, str) or not is_iterable(label) else label_texts(label, what)
        for label in _each(labels, what)
    ]


def _each(labels: Any, what: str) -> Iterable[Any]:
    plain = _plain(labels)
    if not is_iterable(plain):
        raise InvalidTypeError(f"{what} was {shortened(labels)} of type {type(labels).__name__}; give a list")
    return cast("Iterable[Any]", plain)


def _plain(value: Any) -> Any:
    tensor = together(value) if isinstance(value, (list, tuple)) else value
    return to_numpy(snapshot(tensor, "a label", copy=False)) if is_torch_tensor(tensor) else value
