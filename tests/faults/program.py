"""A program that logs at full speed until something ends it.

Run as `program.py WRITER LOGDIR PROGRESS ENDING SECS [flush] [text] [steady] [video] [close]`: WRITER is tblog,
torch or tensorboardX; ENDING is what the program does to itself after SECS, or "wait" if the caller
ends it. The file PROGRESS holds two int64: how many calls have returned, and how many of them came before the
last `flush` that returned. "flush" flushes after every 200th number, "text" logs a text of 20 kB
after every 500th, "steady" logs 20 numbers per millisecond, "video" logs a video after the first number that takes
ENCODING_SECS to encode, "close" makes tblog close at SIGTERM.
"""

from __future__ import annotations

import ctypes
import importlib
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Any

from tblog import WriterOptions

FLUSH_EVERY = 200
ENCODING_SECS = 30.0


def make_writer(name: str, logdir: str, **arguments: object) -> Any:
    """Return a writer of one of the three packages."""
    package = {"torch": "torch.utils.tensorboard"}.get(name, name)
    return importlib.import_module(package).SummaryWriter(logdir, **arguments)


def close_at_sigterm() -> WriterOptions:
    """Return options that make SIGTERM close a tblog writer."""
    from tblog import WriterOptions

    return WriterOptions(close_at_sigterm=True)


def shared_counters(path: str | Path) -> memoryview[int]:
    """Return int64 counters shared with another process through the file."""
    with open(path, "r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 0)).cast("q")


def log_slow_video(name: str, writer: Any) -> None:
    """Log a video of two small frames that takes ENCODING_SECS to encode."""
    from tests.faults.encoders import FRAMES, slow_down

    slow_down(name, ENCODING_SECS)
    writer.add_video("video", FRAMES, 0)


def log(name: str, writer: Any, counters: memoryview[int], secs: float, also: Collection[str]) -> None:
    """Log the numbers from 0 on for this long."""
    start = time.monotonic()
    end = start + secs
    for step in count():
        if "steady" in also and step % 20 == 0:
            time.sleep(max(0.0, start + step / 20_000 - time.monotonic()))
        writer.add_scalar("x", step, step)
        counters[0] = step + 1
        if "video" in also and step == 0:
            log_slow_video(name, writer)
        if "text" in also and step % 500 == 499:
            writer.add_text("text", "word " * 4000, step)
        if "flush" in also and step % FLUSH_EVERY == 0:
            writer.flush()
            counters[1] = step + 1
        if step % 16 == 0 and time.monotonic() > end:
            return


def main(name: str, logdir: str, progress: str, ending: str, secs: str, *also: str) -> None:
    """Log, and end in the given way."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
    writer = make_writer(name, logdir, **({"options": close_at_sigterm()} if "close" in also else {}))
    counters = shared_counters(progress)

    def work() -> None:
        log(name, writer, counters, 3600 if ending == "wait" else float(secs), also)

    if ending == "sys.exit in a thread":
        thread = threading.Thread(target=lambda: (work(), sys.exit(3)))  # type: ignore[func-returns-value]
        thread.start()
        thread.join()
        return
    work()
    if ending == "os._exit":
        os._exit(3)
    elif ending == "segmentation fault":
        ctypes.string_at(0)
    elif ending == "exception":
        raise RuntimeError("on purpose")
    elif ending == "sys.exit":
        sys.exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
