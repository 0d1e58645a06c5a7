"""File systems for URLs, by fsspec: one for each store and process.

Lives here: finding the package for a scheme; putting, getting and removing whole objects; time limits.
Must not: know what an event is, or import fsspec before a URL needs it. A file system's packages are imported when it
is made, under the lock that a fork waits for. Used by any thread.

An object is put whole, in one request if the store allows it. So a put that failed, or whose answer was lost, can be
repeated. fsspec and the store's own package find the credentials, never this file.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, cast

from tblog._files.store_errors import as_os_errors, code_of
from tblog._locks import ForkSafeLock, import_lock
from tblog.errors import InvalidValueError, MissingDependencyError, shortened, without_user

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUEST_SECS = 20.0
SLOWEST_BYTES = 1 << 16
"""Time limit of an asynchronous fsspec request: `REQUEST_SECS`, plus a second for each `SLOWEST_BYTES`. The clients' own
limits are a minute or more, and some have none while they wait for permission to send."""

_S3 = ("s3", "s3a")


def implementation(scheme: str, purpose: str) -> type[Any] | None:
    """Return fsspec's class for a scheme, or None if it has none.

    Args:
        scheme: the part of a URL before `://`.
        purpose: what needs it, for the message.

    Raises:
        MissingDependencyError: fsspec, or its package for the scheme, is not installed.
    """
    with import_lock:
        try:
            from fsspec.registry import get_filesystem_class, known_implementations
        except ImportError:
            raise MissingDependencyError("fsspec", "remote", purpose) from None
        try:
            return cast("type[Any]", get_filesystem_class(scheme))
        except ImportError as error:
            package = known_implementations[scheme]["class"].partition(".")[0]
            if package == "fsspec":  # a class of fsspec that needs another package
                package = getattr(error.__cause__, "name", None) or package
            raise _missing(package, purpose) from None
        except ValueError:
            return None


def file_system(url: str) -> tuple[Any, str]:
    """Return a new fsspec file system for a URL, and the path in it.

    Raises:
        MissingDependencyError: see `implementation`.
        InvalidValueError: fsspec does not know the scheme.
    """
    scheme, shown = url.partition(":")[0], shortened(without_user(url))
    if implementation(scheme, shown) is None:
        hint = "" if scheme == scheme.lower() else f"; write {scheme.lower()}:// in small letters"
        raise InvalidValueError(f"{shown}: fsspec knows no {scheme}:// URLs{hint}")
    with import_lock:
        from fsspec.core import url_to_fs

        options: dict[str, Any] = {}
        if scheme in _S3 and os.environ.get("S3_ENDPOINT"):  # as tensorboardX and TensorBoard do
            options["endpoint_url"] = os.environ["S3_ENDPOINT"]
        try:
            if (
                "::" in url and "://" not in url.partition("::")[2]
            ):  # fsspec would take this name for a chain of URLs
                files, _ = url_to_fs("/".join(url.split("/", 3)[:3]), skip_instance_cache=True, **options)
                path = files._strip_protocol(url)  # noqa: SLF001 - every file system of fsspec has it
            else:
                files, path = url_to_fs(url, skip_instance_cache=True, **options)
        except ImportError as error:  # from a package that fsspec's class imports late
            package = (error.name or scheme).partition(".")[0]
            raise _missing(package, shown) from None
    if hasattr(files, "retries"):
        files.retries = 1  # the client below already retries, and so does tblog
    return files, path


def replaces_in_one_step(url: str) -> bool:
    """Return whether a put to a URL replaces an object at once, by the same right that it takes to make a new one.

    Known of S3. On file systems with directories, an interrupted put loses what the file had. Google's right to create
    objects is not one to replace them.
    """
    return url.partition(":")[0] in _S3


def _missing(package: str, purpose: str) -> MissingDependencyError:
    """Return the error that says how to install a package: by tblog's extra for S3, by its name otherwise."""
    if package == "s3fs":
        return MissingDependencyError("s3fs", "s3", purpose)
    return MissingDependencyError(package, "", purpose)


class Store:
    """Whole objects of one store.

    Args:
        url: any URL in it.

    Raises:
        OSError, MissingDependencyError, InvalidValueError: fsspec cannot open it.
    """

    def __init__(self, url: str) -> None:
        with as_os_errors(url):
            self._files, _ = file_system(url)
        self._is_asked_asynchronously = bool(getattr(self._files, "async_impl", False))

    def put(self, url: str, content: bytes) -> None:
        """Give an object this content; return when the store has confirmed it.

        Raises:
            OSError: the store refuses.
        """
        with as_os_errors(url):
            path = self._files._strip_protocol(url)  # noqa: SLF001 - every file system of fsspec has it
            try:
                self._ask("pipe_file", path, content, nbytes=len(content))
            except FileNotFoundError:
                # A file system with directories lacks this one: create it. An object store has none, and
                # `makedirs` would create the bucket.
                if self._is_asked_asynchronously:
                    raise
                self._files.makedirs(os.path.dirname(path), exist_ok=True)
                self._ask("pipe_file", path, content, nbytes=len(content))

    def get(self, url: str) -> bytes | None:
        """Return the content of an object, or None if it is missing or access is denied.

        Without the right to list, S3 denies access to a missing object.

        Raises:
            OSError: the store does not answer.
        """
        with as_os_errors(url, "was not read"):
            try:
                return cast("bytes", self._ask("cat_file", self._files._strip_protocol(url)))  # noqa: SLF001
            except FileNotFoundError:
                return None
            except PermissionError as error:
                if code_of(error) in {"AccessDenied", "403", "Forbidden", "PermissionError"}:
                    return None
                raise

    def get_all(self, urls: Sequence[str], nbytes: int) -> list[bytes]:
        """Return the contents of objects, `nbytes` together, requested at the same time if the file system can.

        Raises:
            OSError: one is missing, or the store refuses.
        """
        with as_os_errors(urls[0], "was not read"):
            return cast("list[bytes]", self._ask_all("cat_file", urls, nbytes))

    def remove_all(self, urls: Sequence[str]) -> None:
        """Remove objects.

        Raises:
            OSError: the store refuses; some may be removed.
        """
        with as_os_errors(urls[0], "was not removed"):
            self._ask_all("rm_file", urls, 0)

    def _ask_all(self, call: str, urls: Sequence[str], nbytes: int) -> list[Any]:
        paths = [self._files._strip_protocol(url) for url in urls]  # noqa: SLF001
        if not self._is_asked_asynchronously:
            return [getattr(self._files, call)(path) for path in paths]
        from asyncio import gather

        from fsspec.asyn import sync

        async def ask() -> list[Any]:
            return await gather(*(getattr(self._files, f"_{call}")(path) for path in paths))

        most = REQUEST_SECS + len(paths) + nbytes / SLOWEST_BYTES
        return cast("list[Any]", sync(self._files.loop, ask, timeout=most))

    def _ask(self, call: str, *args: Any, nbytes: int = 0) -> Any:
        """Call a method of the file system, with a time limit where fsspec has one."""
        if not self._is_asked_asynchronously:
            return getattr(self._files, call)(*args)
        from fsspec.asyn import FSTimeoutError, sync

        method, most = getattr(self._files, f"_{call}"), REQUEST_SECS + nbytes / SLOWEST_BYTES
        try:
            return sync(self._files.loop, method, *args, timeout=most)
        except FSTimeoutError:
            raise TimeoutError(f"no answer within {most:.3g} s") from None


_stores: dict[tuple[str, int, str | None], Store] = {}
_making = ForkSafeLock()


def _key(url: str) -> tuple[str, int, str | None]:
    return "/".join(url.split("/", 3)[:3]), os.getpid(), os.environ.get("S3_ENDPOINT")


def store_of(url: str) -> Store:
    """Return this process's `Store` for a URL, shared because it holds connections and takes 0.4 s to make.

    Raises:
        OSError, MissingDependencyError, InvalidValueError: fsspec cannot open it.
    """
    with _making:
        key = _key(url)
        if key not in _stores:
            _stores[key] = Store(url)
        return _stores[key]


def forget_store(url: str) -> None:
    """Make the next `store_of` find credentials again and open new connections, after this store refused."""
    with contextlib.suppress(KeyError):
        del _stores[_key(url)]
