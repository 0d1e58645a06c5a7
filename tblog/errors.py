"""The exceptions tblog raises; each also is the type that callers of the originals catch."""

from __future__ import annotations

import re

__all__ = [
    "InvalidTypeError",
    "InvalidValueError",
    "MissingDependencyError",
    "NotAScalarError",
    "TblogError",
    "UnsupportedTypeError",
    "WriteError",
]

_LONGEST_SHOWN = 200

_USER = re.compile(r"(?<=://)[^/\s'\"]*@")


def shortened(value: object) -> str:
    """Return a value as an error message shows it: its `repr()` in one line, cut where it is long."""
    shown = repr(value)
    if "\n" in shown:
        shown = " ".join(shown.split())
    if len(shown) <= _LONGEST_SHOWN:
        return shown
    return f"{shown[:_LONGEST_SHOWN]}... ({len(shown):,} characters)"


class TblogError(Exception):
    """The base of every error that tblog raises on purpose."""


class UnsupportedTypeError(TblogError, NotImplementedError, TypeError):
    """A value is of a type that cannot be logged (both originals raise NotImplementedError)."""


class NotAScalarError(TblogError, AssertionError, ValueError):
    """A value where one number is wanted has no elements or several (an AssertionError in torch)."""


class InvalidValueError(TblogError, ValueError):
    """A value has the right type and cannot be logged: its shape, range or content is wrong."""


class InvalidTypeError(TblogError, TypeError):
    """An argument other than the logged value has the wrong type."""


class MissingDependencyError(TblogError, ModuleNotFoundError):
    """A package that this call needs is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f'Install it with: pip install "tblog[{extra}]"',
            name=package,
        )


class WriteError(TblogError, OSError):
    """Records could not be encoded or written; raised by a writer whose options say strict."""


def without_user(text: str) -> str:
    """Return a text without the user and password of its URLs."""
    return _USER.sub("", text)
