"""The process of the global writer. Only this process has the event file and counts the steps.

Lives here: the start, the work and the end of this process.
Must not: be a process of multiprocessing. Unless it forks, multiprocessing runs the main program once more,
which then needs an `if __name__ == "__main__"`. A fork copies the locks that other threads hold, and since
Python 3.14 multiprocessing no longer forks by default.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from multiprocessing import Pipe, current_process
from multiprocessing.connection import Connection
from multiprocessing.managers import BaseManager
from multiprocessing.spawn import get_executable
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from tblog._files.stores import register, users_factory
from tblog._reports import logger
from tblog.options import WriterOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; from tblog._global_series import run; run(int(sys.argv[1]))"
)
_GRACE_SECS = 5.0
"""Seconds for the end of an interpreter after its open writers are closed."""


class SeriesProcess:
    """A running process of the global writer, as seen from the process that started it.

    Args:
        arguments: the arguments of its `SummaryWriter`.
        logdir: its log directory, as given by the user.

    Raises:
        OSError: the directory or the file cannot be created, or the process ended while it started.
    """

    def __init__(self, arguments: Mapping[str, Any], logdir: str) -> None:
        # Closed when the maker and all its forks are gone. This tells the process to end.
        self._connection, theirs = Pipe()
        with theirs:
            handle = theirs.fileno()
            command = [get_executable(), "-c", _PROGRAM, str(handle), *map(str, sys.path)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[handle])  # noqa: S603
        options = arguments["options"] or WriterOptions.DEFAULT
        self._end_secs = options.exit_timeout_secs + _GRACE_SECS
        # Below 0: after multiprocessing has waited for the processes that may still log.
        Finalize(None, self.end, exitpriority=-10)
        self.address = self._start_writer(arguments, logdir)

    def _start_writer(self, arguments: Mapping[str, Any], logdir: str) -> Any:
        try:
            factory = users_factory(arguments["log_dir"])
            self._connection.send((bytes(current_process().authkey), arguments, logdir, factory))
            answer = self._connection.recv()
        except (EOFError, OSError):
            status = self._process.wait(_GRACE_SECS)
            raise OSError(
                f"the global writer's process ended while it started, with exit status {status}; standard error says why"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        """Let the process write everything and end, within the `exit_timeout_secs` of its options."""
        self._process.terminate()
        try:
            self._process.wait(self._end_secs)
        except subprocess.TimeoutExpired:
            logger.error("tblog: the global writer's process has not ended within %.0f s", self._end_secs)


class SeriesManager(BaseManager):
    """Connects processes to the process that owns the series."""


class _Series:
    """The writer and its step counts, in the process that owns both."""

    def __init__(self, arguments: Mapping[str, Any], logdir: str) -> None:
        from tblog.writer import SummaryWriter

        self._logdir = logdir
        self._writer = SummaryWriter(**arguments)
        self._steps: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()  # the manager has a thread for each connected process

    def add(self, method: str, tag: str, value: Any, more: Mapping[str, Any]) -> None:
        with self._lock:
            getattr(self._writer, method)(tag, value, self._steps[method, tag], **more)
            self._steps[method, tag] += 1

    def get_logdir(self) -> str:
        return self._logdir

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        with self._lock:
            self._writer.close()


def run(handle: int) -> None:
    """Serve the series until the maker asks this process to end, or the maker and its forks are gone.

    Args:
        handle: the file descriptor of the connection to the maker.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the maker, which ends this process
    signal.signal(signal.SIGTERM, _exit)
    maker = Connection(handle)
    authkey, arguments, logdir, factory = maker.recv()
    try:
        if factory is not None:
            register(*factory)
        series = _Series(arguments, logdir)
        SeriesManager.register("series", lambda: series, exposed=_EXPOSED)
        server = SeriesManager(authkey=authkey).get_server()
    except Exception as error:
        maker.send(error)
        return
    maker.send(server.address)
    threading.Thread(target=_end_after, args=(maker,), daemon=True).start()
    server.serve_forever()


def _exit(*_: object) -> None:
    """End in an orderly way: close the writer and leave no socket behind."""
    sys.exit(0)


def _end_after(maker: Connection) -> None:
    try:
        maker.recv_bytes()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)


_EXPOSED = ("add", "get_logdir", "flush", "close")
SeriesManager.register("series", exposed=_EXPOSED)
