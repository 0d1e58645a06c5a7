"""Labels of points and boxes become plain texts. Caller's side, and the worker's for records that were handed over."""

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
    """Return a label's text: of a tensor the numbers ("3"), of anything else `str()`."""
    return label if type(label) is str else to_text(_plain(label), "a label")


def label_texts(labels: Any, what: str) -> list[str]:
    """Return the text of each label; a tensor or an array holds one in each row.

    Raises:
        InvalidTypeError: they cannot be told one by one.
    """
    return [label_text(label) for label in _each(labels, what)]


def label_rows(labels: Any, what: str) -> list[Any]:
    """Return the texts of each label's columns; a label without columns becomes one text.

    Raises:
        InvalidTypeError: they cannot be told one by one.
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
