"""The threads that write, encode and send: one of each per storage device, shared by all writers that log to it.

Lives here: starting and ending threads, when they look at the queues, what happens at exit.
Must not: encode or touch files itself; a channel does that.

A call of `add_*` wakes no thread. The worker looks at its queues every `ROUND_SECS` while entries come in, and
less often when there are none. It takes entries in short stretches and sleeps for `BREATH_SECS` between them, so
that it never keeps the interpreter lock from the training thread for long. If somebody waits for it, or the queue
fills up, stretches are longer and closer together. It wakes the encoder, a thread that starts with the first
record that must be encoded and sleeps when there is none. Where the device is a store, a third thread sends the
segments that the worker cuts off, so that nobody else waits for the network.

Shutdown, tested in tests/test_contract.py: at exit, every open channel is closed, within the longest
`exit_timeout_secs` of their options. Then the threads are joined, because one that releases torch's objects while
the interpreter ends would abort the process. The process then ends, whether or not the storage answered. Functions
that atexit runs later may still log: each of their calls writes for itself. A process started by multiprocessing
does not run atexit functions, so `close_all` is registered with multiprocessing's own finalisers, too. A thread goes
on after any error.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections import deque
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from tblog._delivery import interrupts
from tblog._delivery.channel import channels
from tblog._delivery.drain import ENTRIES_A_STEP
from tblog._delivery.queue import ClosedQueueError
from tblog._delivery.sigterm import arrange
from tblog._files import sinks, unsynced
from tblog._files.stores import is_remote
from tblog._locks import ForkSafeLock, here, on_worker
from tblog._reports import logger
from tblog.errors import without_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._delivery.channel import Channel

# Once the main thread has ended, concurrent.futures.thread cannot be imported any more, so it is imported now. tensorboardX
# imports it through torch, and may be loaded that late, for the first record of a short program.
with contextlib.suppress(RuntimeError):  # it has ended: all that needs no tensorboardX is logged
    import concurrent.futures.thread  # noqa: F401

ROUND_SECS = 0.2
IDLE_ROUND_SECS = 0.4
BREATH_SECS = 0.001
BREATH_IN_HASTE_SECS = 0.0002


STRETCH_SECS = 0.005
"""Time that the encoder works before it sleeps: Python's interval for switching threads."""
CUT_SECS = 1.0
"""Time that the exit waits, after its deadline, for threads to give up what they have not written."""
GRACE_SECS = 5.0
"""Maximum time that the exit waits for threads that have nothing left to do."""


class ServingThread:
    """A daemon thread that serves channels while there are any, and starts again when needed."""

    def __init__(self, name: str, served: list[Channel]) -> None:
        self.channels = served
        self._name = name
        self._bell: SimpleQueue[None] = SimpleQueue()  # put is reentrant: a signal handler may ring
        self._running = threading.Lock()  # held by the one thread that serves
        self._clock: int | None = None

    def wake(self) -> None:
        """Make the thread look at its queues at once; start it if it is not running."""
        self.ring()
        with contextlib.suppress(RuntimeError):
            self.start()

    def ring(self) -> None:
        """Make the thread look at its queues at once, if it is running."""
        if self._bell.empty():
            self._bell.put(None)

    def start(self) -> None:
        """Start the thread if it is not running; a second one ends at once.

        Raises:
            RuntimeError: the interpreter or the system cannot start a thread.
        """
        if self.channels and not self._running.locked():
            threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def busy_secs(self) -> float:
        """Return the CPU seconds of the thread, or always 0 if the system cannot tell."""
        with contextlib.suppress(OSError):  # the thread ended
            if self._clock is not None:
                return time.clock_gettime(self._clock)
        return 0.0

    def _run(self) -> None:
        if not self._running.acquire(blocking=False):
            return
        here.works = True
        _live[threading.current_thread()] = self
        try:
            if hasattr(time, "pthread_getcpuclockid"):
                self._clock = time.pthread_getcpuclockid(threading.get_ident())
            while not self._serve():
                pass
        finally:
            _live.pop(threading.current_thread(), None)
            self._running.release()

    def _serve(self) -> bool:
        """Serve until no channel is left; return False after any error."""
        try:
            self._serve_all()
        except BaseException:  # SystemExit raised from outside, for example: nobody else would report it
            logger.exception("tblog met an unforeseen error in its worker, and goes on; please report it")
            return False
        return True

    def _serve_all(self) -> None:
        """Serve until no channel is left."""
        raise NotImplementedError

    def _wait(self, seconds: float | None) -> None:
        try:
            self._bell.get(timeout=seconds)
            while True:
                self._bell.get_nowait()
        except Empty:
            return


class Worker(ServingThread):
    """The thread that writes what is on the lanes to the files."""

    def __init__(self, device: object) -> None:
        super().__init__("tblog-worker", [])
        self.encoder = Encoder(self.channels)
        self._uploader = Uploader(self.channels)
        self._device = device
        self._next_full_round = 0.0

    def _serve_all(self) -> None:
        pause = ROUND_SECS
        while True:
            most = self._round()
            if most >= ENTRIES_A_STEP:
                in_haste = any(channel.drain.is_in_haste for channel in tuple(self.channels))
                time.sleep(BREATH_IN_HASTE_SECS if in_haste else BREATH_SECS)
                continue
            if not self.channels and self._ends():
                return
            pause = ROUND_SECS if most else min(pause * 1.5, IDLE_ROUND_SECS)
            self._wait(pause)

    def _round(self) -> int:
        """Let each channel take a step; return the most entries that one took.

        Between full rounds, which come at every `ROUND_SECS`, idle channels take none: a flush of each of many writers
        would cost a step of each for each.
        """
        most, heavy, sends = 0, False, False
        is_full = time.monotonic() >= self._next_full_round
        if is_full:
            self._next_full_round = time.monotonic() + ROUND_SECS
        for channel in tuple(self.channels):
            if not is_full and channel.drain.is_idle:
                continue
            try:
                most = max(most, channel.drain.step())
            except BaseException as error:
                channel.fail_unforeseen(error)
            if channel.closed:
                self.channels.remove(channel)
            heavy = heavy or channel.heavy.has_work
            sends = sends or channel.sending.has_to_send
        if heavy:
            self._have_done(self.encoder)
        if sends:
            self._have_done(self._uploader)
        return most

    def _have_done(self, helper: Encoder | Uploader) -> None:
        helper.ring()
        try:
            helper.start()
        except RuntimeError:  # no thread can be started
            helper.round()

    def _ends(self) -> bool:
        # Without waiting: the thread that holds the lock may have been interrupted by a handler that
        # waits for this one.
        if not _workers_lock.acquire(timeout=0):
            return False
        try:
            if self.channels:
                return False
            if _workers.get(self._device) is self:
                del _workers[self._device]
        finally:
            _workers_lock.release()
        self.encoder.ring()  # they end, too
        self._uploader.ring()
        return True


class Encoder(ServingThread):
    """The thread that encodes, so that nothing else waits for a slow record."""

    def __init__(self, served: list[Channel]) -> None:
        super().__init__("tblog-encoder", served)

    def _serve_all(self) -> None:
        stretch_ends = 0.0
        while self.channels:
            if not self.round():
                self._wait(None)
                stretch_ends = 0.0
            elif not stretch_ends:
                stretch_ends = time.monotonic() + STRETCH_SECS
            elif time.monotonic() >= stretch_ends:
                time.sleep(BREATH_SECS)
                stretch_ends = 0.0

    def round(self) -> bool:
        """Encode one record of each channel; return False if there was none."""
        worked = False
        for channel in tuple(self.channels):
            try:
                worked = channel.heavy.encode_next() or worked
            except BaseException as error:
                channel.tell_unforeseen(error)
        return worked


class Uploader(ServingThread):
    """The thread that sends segments to a store."""

    def __init__(self, served: list[Channel]) -> None:
        super().__init__("tblog-uploader", served)

    def _serve_all(self) -> None:
        while self.channels:
            if not self.round():
                self._wait(None)  # the worker rings when there is something to send, or to send again

    def round(self) -> bool:
        """Send one segment of each channel; return False if there was none."""
        worked = False
        for channel in tuple(self.channels):
            try:
                if channel.sending.send_next():
                    worked = True
                    channel.queue.wake()  # somebody may wait for it
            except BaseException as error:
                channel.tell_unforeseen(error)
        return worked


_workers: dict[object, Worker] = {}
_workers_lock = ForkSafeLock()
_live: dict[threading.Thread, ServingThread] = {}
_exit_arranged_in = 0
_last_uploads_arranged = False
_exit_spent_secs = 0.0
_left_over: deque[Channel] = deque()
"""Channels that a thread wanted to write in the middle of a step. The next call that has written for itself does that."""
first_at_the_end: list[Callable[[], None]] = []
"""Functions that `close_all` calls before it closes anything. They wait for other processes, with a deadline."""


def serve(channel: Channel, *, patient: bool = False) -> None:
    """Open the channel's file and let the worker of its device serve it.

    Args:
        channel: a channel that was not served before, or not in this process.
        patient: if the file cannot be opened now, let the worker try again.

    Raises:
        OSError: the log directory or the event file cannot be created, and `patient` is false.
    """
    channel.open(patient=patient)
    if not threading.main_thread().is_alive():  # the interpreter exits: its threads will not be waited for
        _serve_inline(channel)
        return
    _arrange_exit_of_child()
    if is_remote(channel.logdir):
        _arrange_last_uploads()
    if channel.options.close_at_sigterm:
        arrange(close_all)
    with _workers_lock:
        device = _device(channel.logdir)
        worker = _workers.setdefault(device, Worker(device))
        channel.queue.wake = worker.wake
        channel.busy_secs = worker.encoder.busy_secs
        if channel not in worker.channels:
            worker.channels.append(channel)
        channel.served = True
    try:
        worker.start()
    except RuntimeError:
        worker.channels.remove(channel)
        _serve_inline(channel)


def _device(logdir: str) -> object:
    """Return the storage device of a log directory; one worker serves each."""
    if is_remote(logdir):
        return "/".join(logdir.split("/", 3)[:3])  # a bucket that does not answer delays no other
    path = os.path.abspath(logdir)
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev


def _serve_inline(channel: Channel) -> None:
    """Let each call write what it logs, because no thread can be started."""
    channel.queue.inline = True
    channel.queue.wake = partial(_drain, channel)
    channel.served = True
    _drain(channel)


def _drain(channel: Channel) -> None:
    if on_worker():  # a finaliser logs inside a step, or closes what it has opened
        _left_over.append(channel)
        return
    _drain_one(channel)
    with contextlib.suppress(IndexError):
        while True:
            _drain_one(_left_over.pop())


def _drain_one(channel: Channel) -> None:
    # One thread at a time. Another thread leaves its entries to that one, and does not wait.
    channel.must_drain = True
    with interrupts.held():
        while channel.must_drain and channel.draining.acquire(timeout=0):
            try:
                channel.must_drain = False
                here.works = True
                while not channel.closed and (
                    channel.drain.step() or channel.heavy.encode_next() or channel.send_now()
                ):
                    pass
            except BaseException as error:
                channel.fail_unforeseen(error)
            finally:
                here.works = False
                channel.draining.release()


def _arrange_exit_of_child() -> None:
    global _exit_arranged_in  # noqa: PLW0603 - once in each process
    util, process = map(sys.modules.get, ("multiprocessing.util", "multiprocessing.process"))
    if _exit_arranged_in == os.getpid() or util is None or process is None:
        return
    if process.parent_process() is not None:
        _exit_arranged_in = os.getpid()
        util.Finalize(None, close_all, exitpriority=0)


def _arrange_last_uploads() -> None:
    """Have stores flushed before the interpreter closes its pools of threads, by one of which they find addresses."""
    global _last_uploads_arranged  # noqa: PLW0603 - once; a forked child inherits it
    register = getattr(
        threading, "_register_atexit", None
    )  # as concurrent.futures does; the last to come is first
    if not _last_uploads_arranged and register is not None:
        _last_uploads_arranged = True
        with contextlib.suppress(RuntimeError):  # the main thread has ended
            register(_flush_stores)


def _flush_stores() -> None:
    """Flush what goes to stores. Threads that still log are joined after this, and `close_all` comes last."""
    global _exit_spent_secs  # noqa: PLW0603 - the exit's time is one
    began = time.monotonic()
    flushed = []
    for channel in tuple(channels):
        if channel.is_open and is_remote(channel.logdir):
            with contextlib.suppress(ClosedQueueError):
                flushed.append((channel.start_flush(), began + channel.options.exit_timeout_secs))
    for flush, deadline in flushed:
        flush.done.wait(max(0.0, deadline - time.monotonic()))
    _exit_spent_secs = time.monotonic() - began


@atexit.register
def close_all() -> None:
    """Close every open channel. The storage has the longest `exit_timeout_secs` to answer."""
    try:
        for close in first_at_the_end:
            close()
    finally:  # also after Ctrl-C
        _close_channels()


def _close_channels() -> None:
    open_channels = [channel for channel in tuple(channels) if channel.served and not channel.closed]
    longest = max((channel.options.exit_timeout_secs for channel in open_channels), default=0.0)
    deadline = time.monotonic() + max(0.0, longest - _exit_spent_secs)
    for channel in open_channels:
        try:
            channel.start_closing()
        except Exception:  # of one writer's fast path: the other writers are closed all the same
            logger.exception(
                "tblog met an unforeseen error at the exit of %s; please report it",
                without_user(channel.logdir),
            )
    for channel in open_channels:
        channel.closing.done.wait(max(0.0, deadline - time.monotonic()))
    deadline = max(deadline, time.monotonic()) + CUT_SECS
    for channel in open_channels:
        if not channel.closing.done.wait(0.0):
            channel.cut_off(max(0.0, deadline - time.monotonic()))
            channel.queue.wake()
    _join_threads()


def _join_threads() -> None:
    """Join the threads that have nothing left to do. Others are stuck."""
    deadline = time.monotonic() + GRACE_SECS
    for thread, serving in tuple(_live.items()):
        if thread is not threading.current_thread() and not serving.channels:
            serving.ring()
            thread.join(max(0.0, deadline - time.monotonic()))


def start_anew_in_child() -> None:
    """Forget all threads, and leave all channels to the parent, whose threads do not run in a forked child."""
    _workers.clear()
    _live.clear()
    sinks.start_anew_in_child()
    for channel in tuple(channels):
        channel.leave_to_parent()
    unsynced.start_anew_in_child()
