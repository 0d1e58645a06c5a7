"""A program that logs faster than its disk writes.

Run as `overflow.py WRITER POLICY LOGDIR KIND SECS`: each write to the disk takes so long that the program logs
about ten times faster. Prints calls, memory and call durations as JSON; for tblog, which alone uses POLICY, also
its counters and the length of its queue.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tblog import WriterOptions
from tblog.options import Overflow
from tests.faults.program import make_writer

BOUND_RECORDS, BOUND_BYTES = 20_000, 16 << 20
THREADS = 8
NBYTES = 1 << 20


def resident_kb() -> int:
    """Return the resident memory of this process in kB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


class SlowSink:
    """A sink whose writes take time in proportion to their bytes."""

    def __init__(self, inner: Any, secs_a_byte: float) -> None:
        self.inner, self.secs_a_byte = inner, secs_a_byte

    def write(self, data: bytes) -> int:
        some = bytes(data[: 1 << 18])
        time.sleep(len(some) * self.secs_a_byte)
        written: int = self.inner.write(some)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def holder_of_file(writer: Any, name: str) -> tuple[Any, str]:
    """Return the object that holds the writer's file, and the attribute's name."""
    files = writer.file_writer
    if name == "tblog":
        return files.channel().main_file, "_sink"
    if name == "torch":
        return files.event_writer._async_writer._writer, "_writer"
    return files.event_writer._ev_writer._py_recordio_writer, "_writer"


def options(policy: Overflow) -> WriterOptions:
    """Return options for a tblog writer with a small queue."""
    return WriterOptions(
        max_queue_records=BOUND_RECORDS, max_queue_bytes=BOUND_BYTES, overflow=policy, png_compress_level=0
    )


def main(name: str, policy: Overflow, logdir: str, kind: str, secs: float) -> None:
    """Log from eight threads for this long, and close."""
    writer = make_writer(name, logdir, **({"options": options(policy)} if name == "tblog" else {}))
    array = np.random.default_rng(0).random(NBYTES // 8)
    kinds: dict[str, Callable[[str, int], object]] = {
        "scalars": lambda tag, step: writer.add_scalar(tag, step, step),
        "arrays": lambda tag, step: writer.add_tensor(tag, array, step),
    }
    log = kinds[kind]
    log("first", 0)
    writer.flush()
    holder, file = holder_of_file(writer, name)
    secs_a_byte = (1e-6 if name == "tblog" else 1.5e-5) if kind == "scalars" else 2e-8
    setattr(holder, file, SlowSink(getattr(holder, file), secs_a_byte))
    counts, longest = [0] * THREADS, [0.0] * THREADS
    end = time.monotonic() + secs

    def work(number: int) -> None:
        while time.monotonic() < end:
            started = time.monotonic()
            log(f"thread{number}", counts[number])
            longest[number] = max(longest[number], time.monotonic() - started)
            counts[number] += 1

    before, most = resident_kb(), 0
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    waiting = waiting_bytes = 0
    queue = writer.file_writer.channel().queue if name == "tblog" else None
    while any(thread.is_alive() for thread in threads):
        most = max(most, resident_kb())
        if queue is not None:
            waiting, waiting_bytes = max(waiting, queue.waiting), max(waiting_bytes, queue.pending_bytes)
        time.sleep(0.01)
    ended = time.monotonic()
    if isinstance(getattr(holder, file), SlowSink):  # not while the file is briefly closed
        setattr(holder, file, getattr(holder, file).inner)
    writer.close()
    seen = {
        "counts": counts,
        "longest": max(longest),
        "late": ended - end,
        "grown_kb": most - before,
        "waiting": waiting,
        "waiting_bytes": waiting_bytes,
    }
    if name == "tblog":
        seen |= {"written": writer.stats.written - 1, "dropped": writer.stats.dropped}
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(
        sys.argv[1], "drop" if sys.argv[2] == "drop" else "wait", sys.argv[3], sys.argv[4], float(sys.argv[5])
    )
