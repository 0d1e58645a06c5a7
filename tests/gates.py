"""Objects that a test holds up by hand: an event file's sink, and an array that is not ready yet."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from tblog import SummaryWriter
from tblog._delivery import worker
from tblog.records import HistogramRecord
from tests.waiting import HANG_SECS


class GatedSink:
    """A sink whose writes wait for a gate, and fail while `error` is set.

    Attributes:
        gate: a write waits until it is set; initially it is.
        error: the error that a write raises.
        most: bytes that the first write takes before it fails, so that a record is torn.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.gate = threading.Event()
        self.gate.set()
        self.error: BaseException | None = None
        self.most: int | None = None

    def write(self, data: bytes) -> int:
        self.gate.wait()
        if self.error is not None:
            if self.most:
                self.inner.write(data[: self.most])
                taken, self.most = self.most, None
                return taken
            raise self.error
        written: int = self.inner.write(data)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def gated(writer: SummaryWriter) -> GatedSink:
    """Put a gate in front of a writer's event file, and return it."""
    file: Any = writer.file_writer.channel().main_file
    file._sink = GatedSink(file._sink)
    sink: GatedSink = file._sink
    return sink


class GatedArray:
    """A deferred array that is ready when a gate opens, and signals when it is read."""

    def __init__(self, nbytes: int = 8) -> None:
        self.nbytes = nbytes
        self.asked, self.gate = threading.Event(), threading.Event()

    def numpy(self) -> np.ndarray[Any, Any]:
        self.asked.set()
        assert self.gate.wait(HANG_SECS)
        return np.zeros(1)


class BusyArray:
    """A deferred array that keeps the processor busy for some seconds."""

    nbytes = 8

    def __init__(self, secs: float) -> None:
        self.secs = secs

    def numpy(self) -> np.ndarray[Any, Any]:
        end = time.thread_time() + self.secs
        while time.thread_time() < end:
            sum(range(1000))
        return np.zeros(1)


def gated_record(writer: SummaryWriter, nbytes: int = 8) -> GatedArray:
    """Log a histogram called "slow" that waits for its array, and return the array once the encoder waits for it."""
    array = GatedArray(nbytes)
    writer.add_record(HistogramRecord(tag="slow", values=array), 3)
    assert array.asked.wait(HANG_SECS)
    return array


def let_no_thread_start(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    """Give new writers workers of their own, whose threads with this name prefix fail to start."""
    start = threading.Thread.start

    def refuses(thread: threading.Thread) -> None:
        if thread.name.startswith(prefix):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(worker, "_workers", {})
    monkeypatch.setattr(threading.Thread, "start", refuses)
