"""`RecordWriter`: framed records in a file of the caller's choice, without queue or thread."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, Protocol

from tblog._files.sinks import is_remote
from tblog._files.walk import walk
from tblog._wire import framing


class Writable(Protocol):
    """A file that is open for writing bytes."""

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
    """Write records as event files and TFRecord files hold them, in the calling thread.

    A file that exists is never truncated: records are added after those that it holds.

    Args:
        path: a path, a URL whose prefix tensorboardX has a factory for (tensorboardX's argument),
            or a file that is open for writing bytes (tensorboard's).

    Raises:
        FileExistsError: the file exists and its end is no whole record, so that nothing written
            after it could be read.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str] | Writable) -> None:
        self.path = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
        self._writer: Writable = _open(self.path) if isinstance(path, (str, os.PathLike)) else path
        self._closed = False

    @property
    def closed(self) -> bool:
        """Return whether `close` was called, here or on the file."""
        return self._closed or bool(getattr(self._writer, "closed", False))

    def write(self, data: bytes) -> None:
        """Write one record. A buffer may hold it until `flush`."""
        self._writer.write(framing.frame(data))

    def flush(self) -> None:
        """Hand everything over, and wait for the disk where this writer opened the file."""
        self._writer.flush()
        if self.path and not is_remote(self.path):
            os.fsync(self._writer.fileno())

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._writer.close()


def _open(path: str) -> Writable:
    if is_remote(path):
        from tensorboardX.record_writer import open_file

        remote: Writable = open_file(path)
        return remote
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
