"""The thread that writes: one for each storage device, shared by all writers that log to it.

Lives here: starting and ending threads, when they look at the queues, what happens at exit.
Must not: encode or touch files itself; a channel does that. The only file that starts a thread.

A call of `add_*` wakes nobody. The worker looks at its queues every `ROUND_SECS` while entries
come in and less often when none do, takes them in short stretches, and sleeps for `BREATH_SECS`
between stretches, so that the training thread is never kept from the interpreter lock for long.

Shutdown, tested in tests/test_contract.py: at exit, every open channel is closed, within the
longest `exit_timeout_secs` of their options; the process then ends whether or not the storage
answered. A process started by multiprocessing ends without running atexit functions, so the same is
registered with multiprocessing's own finalisers.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from tblog._channel import ENTRIES_A_STEP
from tblog._reports import logger
from tblog._sinks import is_remote

if TYPE_CHECKING:
    from tblog._channel import Channel

ROUND_SECS = 0.1
IDLE_ROUND_SECS = 0.4
BREATH_SECS = 0.0002


class Worker:
    """A thread that serves channels, and lives while it has any."""

    def __init__(self, device: object) -> None:
        self.channels: list[Channel] = []
        self._device = device
        self._bell: SimpleQueue[None] = SimpleQueue()  # put is reentrant: a signal handler may ring
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Make the thread look at its queues at once."""
        self._bell.put(None)

    def serve(self, channel: Channel) -> None:
        """Add a channel and see that the thread runs."""
        channel.served = True
        self.channels.append(channel)
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="tblog-worker", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        pause = ROUND_SECS
        while True:
            most = self._round()
            if most >= ENTRIES_A_STEP:
                time.sleep(BREATH_SECS)
                continue
            if not self.channels and self._ends():
                return
            pause = ROUND_SECS if most else min(pause * 1.5, IDLE_ROUND_SECS)
            self._wait(pause)

    def _round(self) -> int:
        """Let each channel take a step; return the most entries that one took."""
        most = 0
        for channel in tuple(self.channels):
            try:
                most = max(most, channel.step())
            except Exception as error:
                logger.exception("tblog met an unforeseen error in its worker; please report it")
                channel.fail_unforeseen(error)
            if channel.closed:
                self.channels.remove(channel)
        return most

    def _ends(self) -> bool:
        # Without waiting: the thread that holds the lock may have been interrupted by a handler that
        # waits for this one.
        if not _workers_lock.acquire(blocking=False):
            return False
        try:
            if self.channels:
                return False
            self._thread = None
            _workers.pop(self._device, None)
            return True
        finally:
            _workers_lock.release()

    def _wait(self, seconds: float) -> None:
        try:
            self._bell.get(timeout=seconds)
            while True:
                self._bell.get_nowait()
        except Empty:
            return


_workers: dict[object, Worker] = {}
_workers_lock = threading.RLock()
_exit_is_arranged = False


def worker_for(logdir: str) -> Worker:
    """Return the worker of the device that a log directory lies on."""
    device = logdir.partition(":")[0] if is_remote(logdir) else os.stat(logdir).st_dev
    with _workers_lock:
        _arrange_exit()
        return _workers.setdefault(device, Worker(device))


def serve(channel: Channel) -> None:
    """Open the channel's file and let the worker of its device serve it.

    Raises:
        OSError: when the log directory or the event file cannot be created.
    """
    channel.main_file.open()
    with _workers_lock:
        worker = worker_for(channel.logdir)
        channel.queue.wake = worker.wake
        worker.serve(channel)


def open_channels() -> list[Channel]:
    """Return the channels that any worker serves."""
    return [channel for worker in tuple(_workers.values()) for channel in tuple(worker.channels)]


def _arrange_exit() -> None:
    global _exit_is_arranged  # noqa: PLW0603 - once in a process
    if _exit_is_arranged:
        return
    _exit_is_arranged = True
    atexit.register(close_all)
    util, process = map(sys.modules.get, ("multiprocessing.util", "multiprocessing.process"))
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, close_all, exitpriority=0)


def close_all() -> None:
    """Close every open channel; the storage has until the longest `exit_timeout_secs` to answer."""
    channels = open_channels()
    if not channels:
        return
    deadline = time.monotonic() + max(channel.options.exit_timeout_secs for channel in channels)
    closings = [(channel, channel.start_closing()) for channel in channels]
    for channel, closing in closings:
        if not closing.done.wait(max(0.0, deadline - time.monotonic())):
            logger.error(
                "tblog: %s did not take its last %d records before the exit",
                channel.logdir,
                len(channel.queue.pending),
            )


def start_anew_in_child() -> None:
    """Forget all threads and channels: none of the parent's threads runs in a forked child."""
    global _workers_lock, _exit_is_arranged  # noqa: PLW0603 - the parent's state is void here
    _workers_lock = threading.RLock()
    for channel in open_channels():
        channel.start_anew_in_child()
    _workers.clear()
    _exit_is_arranged = False
