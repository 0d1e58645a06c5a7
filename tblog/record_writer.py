"""`RecordWriter`: framed records in a file of the caller's choice, without queue or thread."""

from __future__ import annotations

import os
import weakref
from functools import partial
from typing import Any, BinaryIO, Protocol

from tblog._files.handles import with_handles
from tblog._files.logdirs import address_of, name_of
from tblog._files.sinks import FactorySink
from tblog._files.stores import is_remote
from tblog._files.walk import walk
from tblog._reports import logger
from tblog._wire import framing
from tblog.errors import InvalidTypeError, shortened, without_user


class Writable(Protocol):
    """A file that is open for writing bytes.

    Example:
        >>> import io
        >>> from tblog.record_writer import RecordWriter, Writable
        >>> file: Writable = io.BytesIO()
        >>> RecordWriter(file).write(b"data")
    """

    def write(self, data: bytes, /) -> Any:
        """Take bytes."""
        ...

    def flush(self) -> Any:
        """Hand over what is buffered."""
        ...

    def fileno(self) -> int:
        """Return the operating system's number of a local file."""
        ...

    def close(self) -> Any:
        """Give the file back."""
        ...


class RecordWriter:
    """Write records in the format of event files and TFRecord files, in the calling thread.

    An existing local file is never truncated: records are appended. An object in a store is replaced. It is kept in
    memory, and each flush sends all of it. A device or a pipe receives the records as they are written.

    Args:
        path: a path, a URL that fsspec or a factory registered with tensorboardX can write to (tensorboardX's
            argument), or a file that is open for writing bytes (tensorboard's).

    Raises:
        InvalidTypeError: it is none of these.
        InvalidValueError: it is a URL that nothing can write to.
        MissingDependencyError: the package that writes to such URLs is not installed.
        FileExistsError: the file exists and is damaged, so that no loader would read what is written after the
            damage.
        OSError: the file cannot be opened, or the store refuses it.

    Example:
        >>> from tblog import RecordWriter
        >>> writer = RecordWriter("data.tfrecord")
        >>> writer.write(b"first")
        >>> writer.write(b"second")
        >>> writer.close()
        >>> open("data.tfrecord", "rb").read()[12:17]
        b'first'
    """

    def __init__(self, path: str | os.PathLike[str] | Writable) -> None:
        self._closed = False
        self._is_synced = False
        self._closing: weakref.finalize[Any, RecordWriter] | None = None
        self._writer: Writable | FactorySink
        if isinstance(path, (str, os.PathLike)):
            self.path = name_of(path, "path")
            self._writer = self._open(address_of(self.path, "path"))
        elif hasattr(path, "write"):
            self.path, self._writer = "", path
        else:
            raise InvalidTypeError(
                f"RecordWriter got {shortened(path)} of type {type(path).__name__}; give a path, a URL or an open file"
            )

    def _open(self, address: str) -> Writable | FactorySink:
        if not is_remote(address):
            self._is_synced = _is_local_file(address)
            return with_handles(partial(_open_to_append if self._is_synced else _open_device, address))
        sink = FactorySink(address)
        sink.sync()  # an empty file, as a local one is at first: shows whether the store takes any
        self._closing = weakref.finalize(self, _close_left, sink, address, os.getpid())
        return sink

    @property
    def closed(self) -> bool:
        """Return whether `close` was called, here or on the file."""
        return self._closed or bool(getattr(self._writer, "closed", False))

    def write(self, data: bytes) -> None:
        """Write one record. A buffer may hold it until `flush`."""
        self._writer.write(framing.frame(data))

    def flush(self) -> None:
        """Hand everything over, and wait for the disk or the store where this writer opened the file."""
        if isinstance(self._writer, FactorySink):
            self._writer.sync()
            return
        self._writer.flush()
        if self._is_synced:
            os.fsync(self._writer.fileno())

    def close(self) -> None:
        """Close the file. A second call does nothing, but for trying again what failed in the first."""
        if not self._closed:
            self._writer.close()
            self._closed = True
            if self._closing is not None:
                self._closing.detach()


def _close_left(sink: FactorySink, address: str, opened_in: int) -> None:
    """Close the file of a writer that nobody closed, as Python does with a local one."""
    if os.getpid() == opened_in:
        try:
            sink.close()
        except OSError as error:
            logger.error(
                "tblog: what was written to %s since its last flush is lost: %s", without_user(address), error
            )


def _is_local_file(path: str) -> bool:
    """Return whether there is an ordinary file, or will be."""
    return not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path)


def _open_device(path: str) -> Writable:
    return open(path, "wb")


def _open_to_append(path: str) -> Writable:
    file = open(path, "a+b")  # noqa: SIM115 - the writer owns it, and closes it
    try:
        _require_whole_records(file, path)
    except BaseException:
        file.close()
        raise
    return file


def _require_whole_records(file: BinaryIO, path: str) -> None:
    size = file.seek(0, 2)
    for piece in walk(file):
        if piece.data is None:
            place = (
                f"its last {size - piece.start} bytes are"
                if piece.end == size
                else f"its bytes {piece.start} to {piece.end} are"
            )
            raise FileExistsError(
                f"RecordWriter: {path} exists, and {place} no whole record; records after them could not be read. "
                "Give another path, or remove the file"
            )
