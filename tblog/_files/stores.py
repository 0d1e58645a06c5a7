"""Files outside the local file system, opened by fsspec or by a user's factory.

Lives here: recognising and checking such a path, the factories that users registered with tensorboardX, whole
files by URL.
Must not: know what an event is, or import tensorboardX before a factory is registered.
A local writer asks `is_remote` alone. So `check_url`, which runs on the caller's thread, imports what only URLs need.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

from tblog.errors import InvalidValueError, shortened, without_user

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# Patterns are compiled when they are first used: most programs have no URL, and the import is shorter.
_URL = r"([A-Za-z][A-Za-z0-9+.-]+)://"  # two letters or more: C:// is a drive
_CHAIN = r"[A-Za-z][\w+.-]+(?:://[^:]*)?::(?:.*::)?[A-Za-z][A-Za-z0-9+.-]+://"
"""Of fsspec: a cache or an archive in front of a URL."""
_BUCKETS = ("s3", "s3a", "gs", "gcs")
_ADDRESS = r"(?s)\w+://[^/@]+(?:/.*)?"
_SHORT = r"(s3a?|gc?s|az|abfss?|adl|hdfs|webhdfs|sftp|memory|file):/(?!/)"
"""A URL from which pathlib removed a slash. `file:/PATH` counts as one, too: no loader reads such a directory."""
_NOT_WRITTEN = ("http", "https", "file")
"""No loader could find files put to http or https. A local directory is `file:///PATH`, which does not count as a URL."""


def is_remote(path: str) -> bool:
    """Return whether a path belongs to a store or a factory, by its prefix, as tensorboardX decides it."""
    prefix, colon, _ = path.partition(":")
    if not colon or len(prefix) == 1 or os.sep in prefix or path.startswith("file:///"):  # a local directory
        return False
    return (
        is_url(path)
        or re.match(_SHORT, path) is not None
        or prefix in _BUCKETS
        or _factory_of(path) is not None
    )


def is_url(path: str) -> bool:
    """Return whether a path is written as a URL, or as a chain of them; "C://x" and "runs/s3://x" are not."""
    return re.match(_URL, path) is not None or re.match(_CHAIN, path) is not None


def has_factory(path: str) -> bool:
    """Return whether a user's factory opens the files of a URL."""
    return _factory_of(path) is not None


def _factory_of(path: str) -> Any:
    """Return the factory that a user registered with tensorboardX for a URL; it takes precedence over fsspec."""
    originals = sys.modules.get("tensorboardX.record_writer")
    factory = originals and originals.REGISTERED_FACTORIES.get(path.partition(":")[0])
    return None if type(factory).__module__ == "tensorboardX.record_writer" else factory


def users_factory(path: str) -> tuple[str, Any] | None:
    """Return the prefix and the factory that open a user's own files, or None for any other path."""
    factory = _factory_of(path) if is_remote(path) else None
    return None if factory is None else (path.partition(":")[0], factory)


def register(prefix: str, factory: Any) -> None:
    """Register a factory in this process, as the user did in another one."""
    from tensorboardX.record_writer import register_writer_factory

    register_writer_factory(prefix, factory)


def check_url(url: str, argument: str) -> None:
    """Check that fsspec or a factory can write to a URL.

    Raises:
        InvalidValueError: neither can, or the URL names no bucket, lacks a slash or contains credentials.
        MissingDependencyError: the package for the scheme is not installed.
    """
    from tblog._files.file_systems import implementation

    if _factory_of(url) is not None:
        return
    scheme = url.partition(":")[0]
    shown = shortened(without_user(url))
    if scheme in _BUCKETS and re.fullmatch(_ADDRESS, url) is None:
        raise InvalidValueError(
            f"{argument}: {shown} names no bucket; give {scheme}://BUCKET/PATH, as a str (pathlib leaves out a "
            "slash), and credentials in the environment"
        )
    if re.match(_CHAIN, url) is not None:
        raise InvalidValueError(
            f"{argument} was {shown}, a chain of URLs, and tblog cannot write to caches and archives: it puts whole objects "
            "itself. Give one URL, such as s3://BUCKET/PATH"
        )
    if re.match(_SHORT, url) is not None:
        raise InvalidValueError(
            f"{argument}: {shown} is no URL, which begins with {scheme}://. Give it as a str (pathlib leaves out a slash)"
        )
    if scheme in _NOT_WRITTEN or implementation(scheme, f"{argument} {shown}") is None:
        if scheme != scheme.lower():
            raise InvalidValueError(f"{argument} was {shown}; write {scheme.lower()}:// in small letters")
        raise InvalidValueError(
            f"{argument} was {shown}, and tblog cannot write to {scheme}:// URLs. Give a local directory, as a path or "
            "as file:///PATH with three slashes, a URL that fsspec writes to, such as s3:// or gs://, or register a factory for the files: "
            f"tensorboardX.record_writer.register_writer_factory({scheme!r}, factory)"
        )


def as_factory_errors(path: str) -> AbstractContextManager[None]:
    """Turn what a user's factory raises in this block into OSErrors."""
    from tblog._files.store_errors import as_os_errors

    return as_os_errors(path, users=True)


class StoredFile:
    """A file in a store, put there whole at each flush.

    Args:
        url: its URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._content = bytearray()
        self._stored_bytes = -1

    def write(self, data: bytes) -> None:
        """Keep bytes for the next `flush`."""
        self._content += data

    def flush(self) -> None:
        """Return once the store has confirmed everything written; the file exists from then on."""
        if self._stored_bytes != len(self._content):
            _put(self._url, bytes(self._content))
            self._stored_bytes = len(self._content)

    def close(self) -> None:
        """Flush."""
        self.flush()


def open_store(path: str) -> Any:
    """Open a URL; return an object with `write`, `flush` and `close`.

    Raises:
        OSError: it cannot be opened.
    """
    factory = _factory_of(path)
    if factory is None:
        return StoredFile(path)
    with as_factory_errors(path):
        return factory.open(path)


def store(path: str, content: bytes) -> None:
    """Store content under a URL; return once that is confirmed.

    Raises:
        OSError: the store refuses.
    """
    if _factory_of(path) is None:
        _put(path, content)
        return
    file = open_store(path)
    with as_factory_errors(path):
        file.write(content)
        file.close()


def _put(url: str, content: bytes) -> None:
    from tblog._files.file_systems import forget_store, store_of

    try:
        store_of(url).put(url, content)
    except OSError:
        forget_store(url)
        raise


def stored(path: str) -> bytes | None:
    """Return the content under a URL, or None if it is unknown; a factory's files cannot be read.

    Raises:
        OSError: the store does not answer.
    """
    from tblog._files.file_systems import store_of

    return store_of(path).get(path) if _factory_of(path) is None else None


def check_directory(path: str) -> None:
    """Let a user's factory prepare a log directory; a store needs none.

    Raises:
        OSError: the factory cannot prepare it.
    """
    check = getattr(_factory_of(path), "directory_check", None)
    if check is not None:
        with as_factory_errors(path):
            check(path)
