"""Resolves the name of a log directory: to a local path, made absolute once, or to a URL.

Lives here: checking the argument, and saying why a directory cannot be used.
Must not: make directories, open files. Runs on the caller's thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Any

from tblog._files.stores import check_url, is_remote
from tblog.errors import InvalidTypeError, InvalidValueError, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR}
_FULL = "Make room, or give another directory"
_NO_HANDLES = "Close some, or raise the limit (ulimit -n)"
_WHAT_TO_DO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EMFILE: _NO_HANDLES,
    errno.ENFILE: _NO_HANDLES,
    errno.EFBIG: "Raise the limit of the size of files (ulimit -f)",
    errno.ENAMETOOLONG: "Give a shorter directory or filename_suffix",
}
_ELSE = "Give a directory that this process may make and write to"


def name_of(given: Any, argument: str) -> str:
    """Return a path or URL as a string.

    Raises:
        InvalidTypeError: it is not one.
        InvalidValueError: it is empty, or has a NUL in it.
    """
    name = given if isinstance(given, bytes) or not hasattr(given, "__fspath__") else os.fspath(given)
    if not isinstance(name, str):
        raise InvalidTypeError(
            f"{argument} was {shortened(given)} of type {type(given).__name__}; give a path or a URL, as a str "
            "or an os.PathLike"
        )
    if not name or "\0" in name:
        wanted = "a path without a NUL" if name else "a path or a URL"
        raise InvalidValueError(f"{argument} was {shortened(name)}; give {wanted}")
    return name


def suffix_of(given: str) -> str:
    """Return the suffix of event files' names, checked.

    Raises:
        InvalidValueError: a name cannot end like this.
    """
    if "/" in given or os.sep in given or "\0" in given:
        raise InvalidValueError(f"filename_suffix was {shortened(given)}; give one without a slash and a NUL")
    return given


def address_of(name: str, argument: str) -> str:
    """Return the absolute path or the URL that a name means now.

    Raises:
        InvalidValueError: it is a URL that nothing here can write to.
        MissingDependencyError: the package that can is not installed.
        FileNotFoundError: it is relative, and the current directory is gone.
    """
    if is_remote(name):
        check_url(name, argument)
        return name if name.endswith("://") else name.rstrip("/")
    if name.startswith("file:///"):
        return name.removeprefix("file://")
    if os.path.isabs(name):
        return name
    try:
        return os.path.join(os.getcwd(), name)
    except FileNotFoundError as error:
        wanted = f"{argument} was {shortened(name)}, and the current directory is gone; give an absolute path"
        raise FileNotFoundError(errno.ENOENT, wanted) from error


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Add the log directory that was given, and what to do, to errors of the operating system."""
    try:
        yield
    except OSError as error:
        if error.errno is None or is_remote(name):  # a store's, which says so itself
            raise
        told = f"cannot write to the log directory {shortened(name)}: "
        if error.errno in _IN_THE_WAY:
            told += "a file is in its way. Remove the file, or give another directory"
        else:
            told += f"{error.strerror}. {_WHAT_TO_DO.get(error.errno, _ELSE)}"
        raise OSError(error.errno, told, error.filename) from error
