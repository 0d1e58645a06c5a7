"""Anything array-like becomes a snapshot that the worker can read.

Lives here: which types are taken (torch, numpy, jax, Python numbers, anything with `__array__` or
DLPack), the one copy that a snapshot costs, exact widening of types that numpy lacks.
Must not: build messages, touch files, import torch (a tensor's module is loaded already).
Runs on the caller's thread, but for `to_numpy`, which the worker calls.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog.errors import NotAScalarError, UnsupportedTypeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tblog.records import Array

_NUMBERS = (bool, int, float, np.number, np.bool_)


def to_numpy(array: Array | Any) -> NDArray[Any]:
    """Return what a record holds as a numpy array; runs what was deferred."""
    return array if isinstance(array, np.ndarray) else array.numpy()
