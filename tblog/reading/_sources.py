"""Where event files are: directories, globs, single files, and URLs by way of fsspec.

Lives here: names of runs and of their files, and how to open them. Must not: read a file.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, BinaryIO, Protocol, TypeAlias, cast

from tblog._files.file_systems import file_system, replaces_in_one_step
from tblog._files.folders import check_way
from tblog._files.store_errors import as_os_errors
from tblog._files.stores import is_url
from tblog._reports import logger
from tblog._require import require
from tblog._wire.framing import HEADER_BYTES, header
from tblog.errors import InvalidTypeError, shortened, without_user

Refused: TypeAlias = Callable[[str, OSError], object]
"""Called with a directory that cannot be listed, and the error."""

_WANTED = "a path, a list of paths, or a dict of names and paths"


class FileSystem(Protocol):
    """What the reader needs from a file system."""

    def walk(self, directory: str, refused: Refused) -> Iterable[tuple[str, Any, Iterable[str]]]:
        """Yield (directory, its directories, its files' names) for a directory and all below it."""

    def isdir(self, path: str) -> bool:
        """Return whether a path is a directory."""

    def isfile(self, path: str) -> bool:
        """Return whether a path is a file to read: opening a pipe would wait for a writer."""

    def exists(self, path: str) -> bool:
        """Return whether there is anything at a path."""

    def glob(self, pattern: str) -> Iterable[str]:
        """Return the paths that match a pattern."""

    def check_way(self, pattern: str, refused: Refused) -> None:
        """Look for directories that hide what matches a pattern."""

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading bytes."""


class LocalFiles:
    """The files of this machine."""

    def walk(self, directory: str, refused: Refused) -> Iterator[tuple[str, list[str], list[str]]]:
        """Walk down as TensorBoard does, also through symbolic links, but never in a circle."""
        seen = set()
        for here, below, files in os.walk(
            directory, onerror=lambda error: refused(str(error.filename), error), followlinks=True
        ):
            try:
                place = os.stat(here)
            except OSError as error:
                refused(here, error)
                below.clear()
                continue
            if (place.st_dev, place.st_ino) in seen:
                below.clear()
                continue
            seen.add((place.st_dev, place.st_ino))
            yield here, below, files

    isdir, isfile = staticmethod(os.path.isdir), staticmethod(os.path.isfile)
    exists = staticmethod(os.path.exists)

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that match, sorted."""
        return sorted(glob.glob(pattern, recursive=True))

    def check_way(self, pattern: str, refused: Refused) -> None:
        """Look for directories that may not be listed or entered."""
        check_way(pattern, lambda error: refused(str(error.filename), error))

    def open(self, path: str) -> BinaryIO:
        """Open a file without a buffer, because the reads are large."""
        return open(path, "rb", buffering=0)


class _Remote:
    """The files of a store. Its errors say what to do; see `as_os_errors`."""

    def __init__(self, url: str) -> None:
        self._url = url
        with self._read():
            self._files, self.path = file_system(url)

    def _read(self) -> AbstractContextManager[None]:
        return as_os_errors(self._url, "was not read")

    def isdir(self, path: str) -> bool:
        with self._read():
            return bool(self._files.isdir(path))

    def exists(self, path: str) -> bool:
        with self._read():
            return bool(self._files.exists(path))

    def walk(self, directory: str, refused: Refused) -> Iterator[tuple[str, Any, Iterable[str]]]:
        self._files.invalidate_cache()  # a cached listing would never show a new file
        left = [directory]
        while left:  # fsspec's own walk through all levels tells errors of the first alone
            top = left.pop()
            with self._read():
                found = [*self._files.walk(top, maxdepth=1, on_error=partial(refused, top))]
            for here, below, names in found:
                yield here, below, names
                left += [f"{here.rstrip('/')}/{name}" for name in below]

    def isfile(self, path: str) -> bool:  # noqa: ARG002
        return True  # stores have nothing else, and asking would be a request for each file

    def glob(self, pattern: str) -> list[str]:
        with self._read():
            return sorted(self._files.glob(pattern))

    def check_way(self, pattern: str, refused: Refused) -> None:
        pass  # fsspec does not say what its patterns pass over

    def open(self, path: str) -> BinaryIO:
        try:
            with self._read():
                # s3fs reads nothing of an object that has been replaced since it was listed, unless it is told the size.
                # tblog's grow, and begin with what was there.
                grows = replaces_in_one_step(self._url)
                known = {"size": self._files.info(path)["size"]} if grows else {}
                return cast("BinaryIO", self._files.open(path, "rb", **known))
        except OSError as error:
            if not self.exists(path):  # removed meanwhile
                raise FileNotFoundError(*error.args) from None
            raise


class Source:
    """One place that was given to `tblog.read`, and the directory from which its runs are named."""

    def __init__(self, given: str, prefix: str = "") -> None:
        self.given, self.prefix = given, prefix
        self.files, self.path = _opened(given)
        self._has_magic = glob.has_magic(self.path) and not self.files.exists(self.path)
        self._told: set[str] = set()

    def check(self) -> None:
        """Raise FileNotFoundError if there is nothing, and OSError if it is a file of another kind."""
        matches = self._matches()
        if not self._has_magic and matches and not self._is_place(self.path):
            raise OSError(
                f"{self.given} is no event file: it does not begin with a record; give a log directory, "
                "or a file that a SummaryWriter wrote"
            )
        if not matches and not self._told:
            what = "nothing matches the pattern" if self._has_magic else "there is nothing at"
            raise FileNotFoundError(
                f"{what} {shortened(self.given)}; give a log directory, an event file, or a pattern that matches one"
            )

    def runs(self) -> dict[str, list[str]]:
        """Return the event files of each run, sorted as TensorBoard reads them."""
        found: dict[str, list[str]] = {}
        base = self._base()
        for match in filter(self._is_place, self._matches()):
            if not self.files.isdir(match):
                _add(found, self._name(os.path.dirname(match), base), [match])
                continue
            for here, _, names in self.files.walk(match, self._refused):
                paths = [f"{here.rstrip('/')}/{name}" for name in names if is_event_file(name)]
                if paths := [*filter(self.files.isfile, paths)]:
                    _add(found, self._name(here, base), paths)
        return {name: sorted(set(paths)) for name, paths in found.items()}

    def _refused(self, directory: str, error: OSError) -> None:
        """Warn, once, of a directory that cannot be listed."""
        directory = directory.rstrip("/") or "/"
        if isinstance(error, FileNotFoundError) or directory in self._told:  # removed meanwhile, or told
            return
        self._told.add(directory)
        logger.warning(
            "tblog: %s: %s; what is in it is left out. Give the user who reads the right to list and enter it, and call "
            "refresh()",
            without_user(directory),
            without_user(error.strerror or str(error)),
        )

    def _matches(self) -> list[str]:
        if not self._has_magic and self.files.exists(self.path):
            return [self.path]
        self.files.check_way(self.path, self._refused)
        return list(self.files.glob(self.path)) if self._has_magic else []

    def _is_place(self, path: str) -> bool:
        """Return whether a path is a directory, or a file with an event file's name or beginning; an empty one may be."""
        if self.files.isdir(path):
            return True
        if not self.files.isfile(path):
            return False
        if is_event_file(os.path.basename(path)):
            return True
        with self.files.open(path) as file:
            head = file.read(HEADER_BYTES)
        return not head or head == header(int.from_bytes(head[:8], "little"))

    def _base(self) -> str:
        if self._has_magic:
            parts = self.path.split("/")
            plain = parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))]
            return "/".join(plain) or ("/" if plain else ".")
        return self.path if self.files.isdir(self.path) else os.path.dirname(self.path)

    def _name(self, directory: str, base: str) -> str:
        below = os.path.relpath(directory or ".", base or ".").replace(os.sep, "/")
        if not self.prefix:
            return below
        return self.prefix if below == "." else f"{self.prefix}/{below}"


def sources(given: Any) -> list[Source]:
    """Return the sources for one place, several, or {name: place}."""
    if isinstance(given, Mapping):
        return [Source(_as_path(place), str(name)) for name, place in given.items()]
    if isinstance(given, (str, os.PathLike)):
        return [Source(_as_path(given))]
    if not isinstance(given, Iterable):
        raise _wrong_type(given)
    places = [_as_path(place) for place in given]
    require(bool(places), "the place to read", given, _WANTED)
    if len(places) == 1:
        return [Source(places[0])]
    return [Source(place, prefix) for place, prefix in zip(places, _prefixes(places), strict=True)]


def is_event_file(name: str) -> bool:
    """Return whether TensorBoard reads summaries from a file of this name."""
    return "tfevents" in name and not name.endswith(".profile-empty")


def _prefixes(places: list[str]) -> list[str]:
    """Name each of several places by the part of its path that differs. A file has the name of its directory."""
    homes = [os.path.dirname(p) if is_event_file(os.path.basename(p)) else p for p in places]
    if any(map(is_url, homes)):
        return [home.rstrip("/") for home in homes]
    homes = [os.path.abspath(home) for home in homes]
    common = os.path.commonpath(homes)
    below = [os.path.relpath(home, common).replace(os.sep, "/") for home in homes]
    return ["" if name == "." else name for name in below]


def _add(found: dict[str, list[str]], name: str, paths: list[str]) -> None:
    found.setdefault(name, []).extend(paths)


def _as_path(place: Any) -> str:
    path = os.fspath(place)
    if not isinstance(path, str) or not path:
        raise _wrong_type(place)
    return path


def _wrong_type(given: Any) -> InvalidTypeError:
    return InvalidTypeError(
        f"the place to read was {shortened(given)} of type {type(given).__name__}; give {_WANTED}"
    )


def _opened(given: str) -> tuple[FileSystem, str]:
    if not is_url(given):
        return LocalFiles(), os.path.expanduser(given).rstrip("/") or "/"
    files = _Remote(given)
    return files, files.path
