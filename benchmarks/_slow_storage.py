"""Storage with a fixed time for each write, plugged in as users plug in their own.

tensorboardX (and tblog) accept a registered factory for a prefix of the path:
https://github.com/lanpa/tensorboardX/blob/v2.6.5/tensorboardX/record_writer.py
tensorboard's gfile (and so torch's writer) accepts a registered file system for a scheme:
https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/compat/tensorflow_stub/io/gfile.py
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

PREFIX = "slow"


def _local(path: str | bytes) -> str:
    return os.fsdecode(path).removeprefix(f"{PREFIX}://")


class _SlowFile:
    """A file opened for writing that sleeps before each write."""

    def __init__(self, path: str, secs: float) -> None:
        self._file = Path(path).open("ab", buffering=0)  # noqa: SIM115  (closed by close)
        self._secs = secs
        self.closed = False

    def write(self, data: bytes) -> int:
        time.sleep(self._secs)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True
        self._file.close()


class _SlowFactory:
    def __init__(self, secs: float) -> None:
        self._secs = secs

    def open(self, path: str) -> _SlowFile:
        return _SlowFile(_local(path), self._secs)

    def directory_check(self, path: str) -> None:
        os.makedirs(_local(path), exist_ok=True)


def by_tensorboardx(logdir: str, secs: float) -> str:
    """Register the slow factory with tensorboardX; return the log directory to give to a writer."""
    from tensorboardX.record_writer import register_writer_factory

    register_writer_factory(PREFIX, _SlowFactory(secs))
    return f"{PREFIX}://{logdir}"


def by_tensorboard(logdir: str, secs: float) -> str:
    """Register the slow file system with tensorboard; return the log directory to give to a writer."""
    from tensorboard.compat.tensorflow_stub.io import gfile

    class SlowFileSystem(gfile.LocalFileSystem):  # type: ignore[misc]  # tensorboard has no types
        def _write(self, filename: str | bytes, file_content: Any, mode: str) -> None:
            time.sleep(secs)
            super()._write(_local(filename), file_content, mode)

        def makedirs(self, path: str) -> None:
            super().makedirs(_local(path))

        def exists(self, filename: str) -> bool:
            return bool(super().exists(_local(filename)))

    gfile.register_filesystem(PREFIX, SlowFileSystem())
    return f"{PREFIX}://{logdir}"
