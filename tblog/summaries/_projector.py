"""The places of an embedding's files, and the configuration in which TensorBoard's projector finds them."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from tblog._files.completing import completed
from tblog._files.handles import with_handles
from tblog._files.sinks import claim, let_go
from tblog._files.stores import is_remote, store, stored
from tblog._locks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIG_NAME = "projector_config.pbtxt"

LOCK_SECS = 2.0
"""Maximum wait for another process that adds to a configuration. A stopped process does not block us longer."""

LONGEST_NAME = 255
"""Maximum bytes of a file name on most file systems."""

_NOT_IN_NAMES = re.compile(r"[%/\\\x00-\x1f]|^\.{1,2}$")


def folder_of(tag: str, step: int) -> str:
    """Return the folder of an embedding's files, relative to the log directory, with the originals' name.

    A character of the tag that would lead out of the folder, or that a file name cannot contain, becomes
    % and two hexadecimal digits.
    """
    return f"{str(step).zfill(5)}/{name_of(tag)}"


def name_of(tag: str) -> str:
    """Return the last part of `folder_of`."""
    return _NOT_IN_NAMES.sub(lambda found: "".join(f"%{ord(letter):02x}" for letter in found[0]), tag)


class Entry:
    """Writes one embedding: first its files, then its entry in the configuration."""

    def __init__(self, tag: str, step: int) -> None:
        self.image_side: int | None = None
        self._name = f"{tag}:{str(step).zfill(5)}"
        self._folder = folder_of(tag, step)
        self._written: set[str] = set()

    def write_file(self, logdir: str, name: str, parts: Iterable[bytes]) -> None:
        """Write one of the embedding's files.

        Raises:
            OSError: it cannot be written.
        """
        path = os.path.join(logdir, self._folder, name)
        if is_remote(path):
            store(path, b"".join(parts))
        else:
            _make_folder(os.path.dirname(path))
            _replace(path, parts)
        self._written.add(name)

    def enter(self, logdir: str) -> None:
        """Add the entry to the configuration of the log directory, unless it is there.

        Raises:
            OSError: it cannot be read or written, or somebody removed the files meanwhile.
        """
        path, entry = os.path.join(logdir, CONFIG_NAME), self._text().encode()
        if is_remote(path):
            _enter_stored(path, entry)
            return
        for name in self._written:
            os.stat(
                os.path.join(logdir, self._folder, name)
            )  # the configuration must not name a missing file
        _enter(path, entry)

    def _text(self) -> str:
        lines = ["embeddings {", f"  tensor_name: {_quoted(self._name)}"]
        for field, name in (("tensor_path", "tensors.tsv"), ("metadata_path", "metadata.tsv")):
            if name in self._written:
                lines.append(f"  {field}: {_quoted(f'{self._folder}/{name}')}")
        if self.image_side is not None:
            lines += ["  sprite {", f"    image_path: {_quoted(f'{self._folder}/sprite.png')}"]
            lines += [f"    single_image_dim: {self.image_side}"] * 2
            lines.append("  }")
        return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    from google.protobuf.text_encoding import CEscape

    return f'"{CEscape(text, as_utf8=False)}"'


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError as error:
        if os.path.lexists(error.filename) and not os.path.isdir(error.filename):
            raise
        raise FileNotFoundError(errno.ENOENT, "removed in the meantime", error.filename) from error


def _replace(path: str, parts: Iterable[bytes]) -> None:
    """Write a file beside its place and then move it there, so that nobody reads half of it."""
    beside = f"{path}.{os.getpid()}-{threading.get_ident()}.tmp"
    with completed(path, beside), with_handles(lambda: open(beside, "wb")) as file:
        file.writelines(parts)


def _enter(path: str, entry: bytes) -> None:
    """Append an entry in one write, which is safe beside other appends: tensorboardX takes no lock.

    The lock is on the file itself. It is for file systems where an append is not atomic, and for removing a partial
    entry when the disk is full. It ends with the process that holds it.
    """
    fd = _open_locked(path)
    try:
        with open(fd, "rb", closefd=False) as file:
            earlier = file.read()
        if entry not in earlier:
            _append(fd, entry if not earlier or earlier.endswith(b"\n") else b"\n" + entry)
    finally:
        let_go(fd)
        os.close(fd)


def _open_locked(path: str) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    while True:
        fd = with_handles(partial(os.open, path, flags, 0o666))
        try:
            deadline = time.monotonic() + LOCK_SECS
            while not claim(fd, alone=True) and time.monotonic() < deadline:
                time.sleep(0.002)
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except (
            FileNotFoundError
        ):  # it was removed after it was opened, or a network file system shows it later
            if os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _append(fd: int, content: bytes) -> None:
    taken = 0
    try:
        while taken < len(content):
            taken += os.write(fd, content[taken:])
    except OSError:
        if taken and os.fstat(fd).st_size == os.lseek(fd, 0, os.SEEK_CUR):  # nobody has appended after it
            os.ftruncate(fd, os.fstat(fd).st_size - taken)
        raise


_entering = ForkSafeLock()
_entered: dict[str, bytes] = {}  # the configurations in stores, as last written by this process


def _enter_stored(path: str, entry: bytes) -> None:
    """Add an entry to an object. A store can only replace the whole object, and another process may do so, too."""
    with _entering:
        earlier = stored(path)
        if earlier is None:
            earlier = _entered.get(path, b"")
        if entry not in earlier:
            earlier += entry if not earlier or earlier.endswith(b"\n") else b"\n" + entry
            store(path, earlier)
        _entered[path] = earlier
