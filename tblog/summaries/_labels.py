"""Labels of points and boxes become plain texts. Caller's side, and the worker's for records that were handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tblog._arrays import snapshot, to_numpy
from tblog._torch_tensors import is_torch_tensor, together
from tblog.summaries._shapes import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable


def label_text(label: Any) -> str:
    """Return a label's text: of a tensor the numbers ("3"), of anything else `str()`."""
    return label if type(label) is str else plain_text(_plain(label))


def label_texts(labels: Iterable[Any]) -> list[str]:
    """Return the text of each label; a tensor or an array holds one in each row."""
    return [label_text(label) for label in _plain(labels)]


def label_rows(labels: Iterable[Any]) -> list[Any]:
    """Return the texts of each label's columns; a label without columns becomes one text."""
    return [
        label_texts(label) if hasattr(label, "__iter__") and not isinstance(label, str) else label_text(label)
        for label in _plain(labels)
    ]


def _plain(value: Any) -> Any:
    tensor = together(value) if isinstance(value, (list, tuple)) else value
    return to_numpy(snapshot(tensor, "a label", copy=False)) if is_torch_tensor(tensor) else value
