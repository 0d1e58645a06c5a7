"""The thread that writes: one for each storage device, shared by all writers that log to it.

Lives here: starting and ending threads, when they look at the queues, what happens at exit.
Must not: encode or touch files itself; a channel does that. The only file that starts a thread.

A call of `add_*` wakes nobody. The worker looks at its queues every `ROUND_SECS` while entries
come in and less often when none do, takes them in short stretches, and sleeps for `BREATH_SECS`
between stretches, so that the training thread is never kept from the interpreter lock for long. Where
somebody waits for it, or the queue fills up, stretches are longer and closer together.

Shutdown, tested in tests/test_contract.py: at exit, every open channel is closed, within the
longest `exit_timeout_secs` of their options; the process then ends whether or not the storage
answered. What is logged later, by functions that atexit runs after ours, is written in the call. A
process started by multiprocessing ends without running atexit functions, so the same is registered
with multiprocessing's own finalisers. The thread goes on after any error, whatever threw it.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - see below
import contextlib
import os
import sys
import threading
import time
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from tblog._channel import ENTRIES_A_STEP, channels
from tblog._locks import ForkSafeLock, mark_worker, on_worker
from tblog._reports import logger
from tblog._sigterm import arrange
from tblog._sinks import is_remote

if TYPE_CHECKING:
    from tblog._channel import Channel

# concurrent.futures.thread is imported now because it cannot be when the interpreter exits. tensorboardX
# imports it by way of torch, and may be loaded then, for the first record of a short program.

ROUND_SECS = 0.1
IDLE_ROUND_SECS = 0.4
BREATH_SECS = 0.001
BREATH_IN_HASTE_SECS = 0.0002


class Worker:
    """A thread that serves channels, and lives while it has any."""

    def __init__(self, device: object) -> None:
        self.channels: list[Channel] = []
        self._device = device
        self._bell: SimpleQueue[None] = SimpleQueue()  # put is reentrant: a signal handler may ring
        self._running = threading.Lock()  # held by the one thread that serves

    def wake(self) -> None:
        """Make the thread look at its queues at once, and see that there is one."""
        if self._bell.empty():
            self._bell.put(None)
        with contextlib.suppress(RuntimeError):
            self.start()

    def start(self) -> None:
        """See that a thread runs; a second one ends at once.

        Raises:
            RuntimeError: the interpreter or the system starts no more threads.
        """
        if self.channels and not self._running.locked():
            threading.Thread(target=self._run, name="tblog-worker", daemon=True).start()

    def _run(self) -> None:
        if not self._running.acquire(blocking=False):
            return
        mark_worker(works=True)
        try:
            while not self._serve():
                pass
        finally:
            self._running.release()

    def _serve(self) -> bool:
        """Serve until no channel is left; return False after an error, whatever it is."""
        try:
            pause = ROUND_SECS
            while True:
                most = self._round()
                if most >= ENTRIES_A_STEP:
                    in_haste = any(channel.is_in_haste for channel in tuple(self.channels))
                    time.sleep(BREATH_IN_HASTE_SECS if in_haste else BREATH_SECS)
                    continue
                if not self.channels and self._ends():
                    return True
                pause = ROUND_SECS if most else min(pause * 1.5, IDLE_ROUND_SECS)
                self._wait(pause)
        except BaseException:  # SystemExit thrown at this thread, say: nobody else would hear of it
            logger.exception("tblog met an unforeseen error in its worker, and goes on; please report it")
            return False

    def _round(self) -> int:
        """Let each channel take a step; return the most entries that one took."""
        most = 0
        for channel in tuple(self.channels):
            try:
                most = max(most, channel.step())
            except BaseException as error:
                channel.fail_unforeseen(error)
            if channel.closed:
                self.channels.remove(channel)
        return most

    def _ends(self) -> bool:
        # Without waiting: the thread that holds the lock may have been interrupted by a handler that
        # waits for this one.
        if not _workers_lock.acquire(timeout=0):
            return False
        try:
            if self.channels:
                return False
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
_workers_lock = ForkSafeLock()
_exit_arranged_in = 0


def serve(channel: Channel, *, patient: bool = False) -> None:
    """Open the channel's file and let the worker of its device serve it.

    Args:
        channel: a channel that was not served before, or not in this process.
        patient: leave it to the worker to open the file where that fails now.

    Raises:
        OSError: the log directory or the event file cannot be created, and nobody is patient.
    """
    channel.open(patient=patient)
    if not threading.main_thread().is_alive():  # the interpreter exits: its threads will not be waited for
        _serve_inline(channel)
        return
    _arrange_exit_of_child()
    if channel.options.close_at_sigterm:
        arrange(close_all)
    with _workers_lock:
        device = _device(channel.logdir)
        worker = _workers.setdefault(device, Worker(device))
        channel.queue.wake = worker.wake
        if channel not in worker.channels:
            worker.channels.append(channel)
        channel.served = True
    try:
        worker.start()
    except RuntimeError:
        worker.channels.remove(channel)
        _serve_inline(channel)


def _device(logdir: str) -> object:
    """Return what the log directories have in common that one worker serves."""
    if is_remote(logdir):
        return logdir.partition(":")[0]
    path = os.path.abspath(logdir)
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev


def _serve_inline(channel: Channel) -> None:
    """Let each call write what it logs: no thread can do it any more."""
    channel.queue.inline = True
    channel.queue.wake = partial(_drain, channel)
    channel.served = True
    _drain(channel)


def _drain(channel: Channel) -> None:
    if on_worker():  # a finaliser logs inside a step
        return
    mark_worker(works=True)
    try:
        while channel.step() or (channel.queue.waiting and not channel.queue.failing):
            pass
    except BaseException as error:
        channel.fail_unforeseen(error)
    finally:
        mark_worker(works=False)


def _arrange_exit_of_child() -> None:
    global _exit_arranged_in  # noqa: PLW0603 - once in each process
    util, process = map(sys.modules.get, ("multiprocessing.util", "multiprocessing.process"))
    if _exit_arranged_in == os.getpid() or util is None or process is None:
        return
    if process.parent_process() is not None:
        _exit_arranged_in = os.getpid()
        util.Finalize(None, close_all, exitpriority=0)


@atexit.register
def close_all() -> None:
    """Close every open channel; the storage has until the longest `exit_timeout_secs` to answer."""
    open_channels = [channel for channel in tuple(channels) if channel.served and not channel.closed]
    if not open_channels:
        return
    deadline = time.monotonic() + max(channel.options.exit_timeout_secs for channel in open_channels)
    closings = [(channel, channel.start_closing()) for channel in open_channels]
    for channel, closing in closings:
        if not closing.done.wait(max(0.0, deadline - time.monotonic())):
            logger.error(
                "tblog: %s did not take its last %d records before the exit",
                channel.logdir,
                channel.queue.waiting,
            )


def start_anew_in_child() -> None:
    """Forget all threads and channels: none of the parent's threads runs in a forked child."""
    _workers.clear()
    for channel in tuple(channels):
        channel.start_anew_in_child()
