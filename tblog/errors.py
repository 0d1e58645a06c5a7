"""The exceptions that tblog raises. Each is also of the type that the originals raise."""

from __future__ import annotations

import re
from typing import Any

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

_USER = re.compile(r"(?<=://)[^/\s]*@")
_SIGN = r"((?:X-Amz-[\w-]+|AWSAccessKeyId|Signature|sig|token|access_token)=)[^&\s'\"]+"
_SIGN_ANYWHERE = re.compile(_SIGN, re.IGNORECASE)
_SIGN_IN_URL = re.compile(rf"(?<=[?&]){_SIGN}", re.IGNORECASE)  # a directory may be called sig=0.1


def shortened(value: object) -> str:
    """Return the `repr()` of a value for an error message: one line, cut if it is long."""
    try:
        shown = repr(value)
    except Exception as error:  # an integer of thousands of digits has none, for one
        return f"<{type(value).__name__}, whose repr() raised {type(error).__name__}>"
    if "\n" in shown:
        shown = " ".join(shown.split())
    return _cut(shown)


def reason(error: BaseException) -> str:
    """Return an error's type and the first line of what it says that is not blank, cut if it is long."""
    first_line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return _cut(f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}... ({len(text):,} characters)"


class TblogError(Exception):
    """The base of all errors that tblog raises on purpose.

    Example:
        >>> from tblog import SummaryWriter
        >>> from tblog.errors import TblogError
        >>> writer = SummaryWriter("runs/errors")
        >>> try:
        ...     writer.add_scalar("loss", "low", 1)
        ... except TblogError as error:
        ...     print(type(error).__name__)
        UnsupportedTypeError
        >>> writer.close()
    """


class UnsupportedTypeError(TblogError, NotImplementedError, TypeError):
    """A value has a type that cannot be logged (both originals raise NotImplementedError).

    Example:
        >>> from tblog import SummaryWriter
        >>> SummaryWriter(write_to_disk=False).add_scalar("loss", "low", 1)
        Traceback (most recent call last):
        tblog.errors.UnsupportedTypeError: 'loss': got 'low' of type str; give one number
    """


class NotAScalarError(TblogError, AssertionError, ValueError):
    """A scalar has no element or more than one (torch raises an AssertionError).

    Example:
        >>> import numpy as np
        >>> from tblog import SummaryWriter
        >>> SummaryWriter(write_to_disk=False).add_scalar("loss", np.zeros(3), 1)
        Traceback (most recent call last):
        tblog.errors.NotAScalarError: 'loss': got an array of shape (3,); give one element, ...
    """


class InvalidValueError(TblogError, ValueError):
    """A value has the right type, but a wrong shape, range or content.

    Example:
        >>> import numpy as np
        >>> from tblog import SummaryWriter
        >>> SummaryWriter(write_to_disk=False).add_image("sample", np.zeros((5, 8, 8)), 1)
        Traceback (most recent call last):
        tblog.errors.InvalidValueError: image 'sample': ...
    """


class InvalidTypeError(TblogError, TypeError):
    """An argument other than the logged value has the wrong type.

    Example:
        >>> from tblog import SummaryWriter
        >>> SummaryWriter(write_to_disk=False).add_scalar(3, 0.5, 1)
        Traceback (most recent call last):
        tblog.errors.InvalidTypeError: ... was 3 of type int; give a string
    """


class MissingDependencyError(TblogError, ModuleNotFoundError):
    """The call needs a package that is not installed. The message names the extra that installs it, or the package.

    Example:
        >>> from tblog.errors import MissingDependencyError
        >>> raise MissingDependencyError("onnx", "graph", "add_onnx_graph")
        Traceback (most recent call last):
        tblog.errors.MissingDependencyError: add_onnx_graph needs the package 'onnx', which is not installed. ...
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        wanted = f'"tblog[{extra}]"' if extra else package
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. Install it with: pip install {wanted}",
            name=package,
        )
        self._given = package, extra, purpose

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes it anew: an error of another process arrives pickled."""
        return type(self), self._given


class WriteError(TblogError, OSError):
    """A record could not be encoded or written. Only writers with the option `strict` raise it.

    Example:
        >>> from tblog import SummaryWriter, WriterOptions
        >>> from tblog.errors import WriteError
        >>> from tblog.records import TextRecord
        >>> class Broken:
        ...     def __str__(self):
        ...         raise ValueError("no text")
        >>> with SummaryWriter("runs/strict", options=WriterOptions(strict=True)) as writer:
        ...     writer.add_records([TextRecord(tag="note", text=Broken())], 1)
        ...     try:
        ...         writer.flush()
        ...     except WriteError as error:
        ...         print(error)
        a record could not be written to ...runs/strict: no text
    """


def without_user(text: str) -> str:
    """Return a text without the user names, passwords and signatures in its URLs."""
    return _SIGN_IN_URL.sub(_unsigned, _USER.sub("", text))


def without_secrets(text: str) -> str:
    """Return a text of a store as `without_user` does, and without signatures and tokens outside of URLs."""
    return _SIGN_ANYWHERE.sub(_unsigned, _USER.sub("", text))


def _unsigned(found: re.Match[str]) -> str:
    return f"{found[1]}..."  # a template would be parsed by an import, which fails while the interpreter ends
