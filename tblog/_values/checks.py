"""Checks that are possible in the call: the shape and dtype of arrays, and texts. Caller's side."""

from __future__ import annotations

from typing import Any

import numpy as np

from tblog.errors import InvalidTypeError, InvalidValueError, UnsupportedTypeError, reason, shortened

REAL = "fiub"


def shape_of(array: Any) -> tuple[int, ...] | None:
    """Return an array's shape, or None if only the worker will know it."""
    shape = getattr(array, "shape", None)
    return None if shape is None else tuple(shape)


def check_real(array: Any, what: str) -> None:
    """Check that an array holds real numbers, if its dtype is known.

    Raises:
        UnsupportedTypeError: it holds complex numbers, strings or objects.
    """
    dtype = getattr(array, "dtype", None)
    known = dtype.kind if isinstance(dtype, np.dtype) else "c" if "complex" in str(dtype) else "f"
    if known not in REAL:
        raise UnsupportedTypeError(f"{what} has dtype {dtype}; give real numbers (float, int or bool)")


def check_text(text: Any, what: str) -> None:
    """Check that a text is a string that a message can contain.

    Raises:
        InvalidTypeError: it is not a string.
        InvalidValueError: it cannot be encoded as UTF-8.
    """
    if not isinstance(text, str):
        raise InvalidTypeError(f"{what} was {shortened(text)} of type {type(text).__name__}; give a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidValueError(
            f"{what} {shortened(text)} cannot be encoded as UTF-8: {error}; change it"
        ) from error


def to_text(value: object, what: str) -> str:
    """Return a text as `plain_text` does.

    Raises:
        InvalidTypeError: the value's own `str()` raised.
    """
    try:
        return plain_text(value)
    except Exception as error:
        raise InvalidTypeError(
            f"{what} was a {type(value).__name__} whose str() raised {reason(error)}; give a string"
        ) from error


def plain_text(value: object) -> str:
    """Return the content of a string, even if its class overrides `str()` (like an Enum), or else `str()`."""
    return str.__str__(value) if isinstance(value, str) else str(value)
