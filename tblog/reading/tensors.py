"""Tensors, texts and precision-recall curves: values that are one TensorProto."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tblog._wire.parsing import MalformedError, text
from tblog.reading import _events, _tensors
from tblog.reading._items import Item


def array_of(form: int, content: bytes) -> NDArray[Any]:
    """Return the array of a value that must be a tensor."""
    if form != _events.TENSOR:
        raise MalformedError("the value is not a tensor")
    return _tensors.array(content)


def strings_of(form: int, content: bytes) -> list[bytes]:
    """Return the bytes of a tensor of strings, one after the other."""
    array = array_of(form, content)
    if array.dtype != object:
        raise MalformedError(f"the tensor holds {array.dtype}, not strings")
    return [bytes(one) for one in array.reshape(-1)]


class Tensor(Item):
    """A tensor as it was logged.

    Example:
        >>> import numpy as np
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_tensor("weights", np.arange(6).reshape(2, 3), 1)
        >>> (weights,) = tblog.read("runs").tensors
        >>> weights.array
        array([[0, 1, 2],
               [3, 4, 5]])
    """

    @property
    def array(self) -> NDArray[Any]:
        """The array in its own dtype and shape, read-only. Strings are objects of bytes, and bfloat16 becomes float32."""
        return self._decoded(array_of)


class Text(Item):
    """A text, usually Markdown, or a table of texts.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_text("note", "a **first** try", 1)
        >>> tblog.read("runs").texts[0].text
        'a **first** try'
    """

    @property
    def array(self) -> NDArray[Any]:
        """The texts as str objects, in the shape in which they were logged: () for one text."""
        array = self._decoded(array_of)
        decoded = np.empty(array.size, object)
        decoded[:] = [text(one) if isinstance(one, bytes) else str(one) for one in array.reshape(-1)]
        return decoded.reshape(array.shape)

    @property
    def text(self) -> str:
        """The text. Several are joined by newlines."""
        return "\n".join(self.array.reshape(-1).tolist())


def _six_rows(form: int, content: bytes) -> NDArray[Any]:
    array = array_of(form, content)
    if array.ndim != 2 or array.shape[0] != 6 or array.dtype.kind != "f" or array.shape[1] > len(content):
        raise MalformedError(f"a tensor {array.shape} of {array.dtype} does not have 6 rows of numbers")
    return array


class PRCurve(Item):
    """Precision and recall over thresholds, all float32 (thresholds,).

    https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/pr_curve/README.md

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_pr_curve("cats", [0, 1, 1], [0.2, 0.4, 0.9], 1, num_thresholds=3)
        >>> (cats,) = tblog.read("runs").pr_curves
        >>> cats.thresholds, cats.recall
        (array([0. , 0.5, 1. ]), array([1. , 0.5, 0. ], dtype=float32))
    """

    @property
    def array(self) -> NDArray[Any]:
        """All of it, (6, thresholds): true and false positives, true and false negatives, precision, recall."""
        return self._decoded(_six_rows)

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Thresholds, evenly spaced from 0 to 1."""
        return np.linspace(0.0, 1.0, self.array.shape[1])

    @property
    def true_positives(self) -> NDArray[Any]:
        """Weighted count of true positives at each threshold."""
        row: NDArray[Any] = self.array[0]
        return row

    @property
    def false_positives(self) -> NDArray[Any]:
        """Weighted count of false positives at each threshold."""
        row: NDArray[Any] = self.array[1]
        return row

    @property
    def true_negatives(self) -> NDArray[Any]:
        """Weighted count of true negatives at each threshold."""
        row: NDArray[Any] = self.array[2]
        return row

    @property
    def false_negatives(self) -> NDArray[Any]:
        """Weighted count of false negatives at each threshold."""
        row: NDArray[Any] = self.array[3]
        return row

    @property
    def precision(self) -> NDArray[Any]:
        """Precision at each threshold."""
        row: NDArray[Any] = self.array[4]
        return row

    @property
    def recall(self) -> NDArray[Any]:
        """Recall at each threshold."""
        row: NDArray[Any] = self.array[5]
        return row
