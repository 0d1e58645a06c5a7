"""Programs that are ended at a random moment, and one that overflows its queue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.program import shared_counters
from tests.processes import SETTINGS, environment_here
from tests.waiting import HANG_SECS

PROGRAM = Path(__file__).with_name("program.py")
OVERFLOW = Path(__file__).with_name("overflow.py")

# How to end a program, and whether the interpreter then exits in an orderly way.
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
ABRUPT = ("SIGKILL", "SIGTERM", "os._exit", "segmentation fault")
ORDERLY = ("SIGINT", "exception", "sys.exit", "sys.exit in a thread", "end of the program")


@dataclass
class Ended:
    """A program that was ended.

    Attributes:
        logged: calls that had returned.
        flushed: calls before the last `flush` that had returned.
        second_before: calls that had returned one second before the last one.
        hung: whether it did not end and had to be killed.
    """

    logged: int
    flushed: int
    second_before: int
    hung: bool


@contextmanager
def start(
    *command: object, stderr: str | Path = os.devnull, environment: Mapping[str, str] = os.environ
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, and make sure that it and its children are gone at the end."""
    with open(stderr, "wb") as errors:
        process = subprocess.Popen(
            list(map(str, command)),
            env={**environment, **SETTINGS},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_program(
    writer: str, logdir: str | Path, ending: str, secs: float, *also: str, hang_secs: float = HANG_SECS
) -> Ended:
    """Run the program, end it after `secs` seconds of logging, and return its progress."""
    progress = Path(logdir).with_suffix(".progress")
    progress.write_bytes(bytes(16))
    itself = "wait" if ending in SIGNALS else ending
    command = (sys.executable, PROGRAM, writer, logdir, progress, itself, secs, *also)
    counters = shared_counters(progress)
    with start(*command) as process:
        before = deque([(time.monotonic(), 0)])
        _watch(process, counters, before, secs if ending in SIGNALS else None)
        if ending in SIGNALS:
            process.send_signal(SIGNALS[ending])
        hung = False
        try:
            process.wait(hang_secs)
        except subprocess.TimeoutExpired:
            hung = True
        logged, flushed = counters
    last = next((when for when, count in before if count >= logged), time.monotonic())
    second_before = max((count for when, count in before if when <= last - 1.0), default=0)
    return Ended(logged, flushed, second_before, hung)


def overflow(
    writer: str, policy: str, logdir: str | Path, kind: str, secs: float, *, hang_secs: float = HANG_SECS
) -> dict[str, Any]:
    """Run overflow.py and return its output; raise TimeoutExpired if it hangs."""
    command = [sys.executable, OVERFLOW, writer, policy, logdir, kind, secs]
    done = subprocess.run(
        list(map(str, command)),
        env=environment_here(),
        capture_output=True,
        text=True,
        timeout=secs + hang_secs,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def _watch(
    process: subprocess.Popen[bytes],
    counters: memoryview[int],
    before: deque[tuple[float, int]],
    secs: float | None,
) -> None:
    """Record the number of calls every few milliseconds, for `secs` from the first call on or to the end."""
    deadline = time.monotonic() + HANG_SECS
    first = None
    while process.poll() is None and time.monotonic() < deadline:
        now = time.monotonic()
        before.append((now, counters[0]))
        first = now if first is None and counters[0] else first
        if secs is not None and first is not None and now > first + secs:
            return
        time.sleep(0.005)
