"""A training under a fault, which reports what happened to it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.program import make_writer

HANG_SECS = 120.0
SEEN = "seen.json"


def peak_kb() -> int:
    """Return the peak memory of this process so far, in kB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def report_refusal(out: str | Path, error: BaseException) -> None:
    """Report a training that never began because its writer could not be made."""
    none = dict.fromkeys(("calls", "flushed", "longest", "fork", "grown_kb"), 0)
    seen = {**none, "raised": 1, "told": [str(error)], "stats": None, "hung": False}
    (Path(out) / SEEN).write_text(json.dumps(seen))


class _Keep(logging.Handler):
    """Keeps the messages."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())


class Training:
    """A training that logs and survives exceptions.

    At the end, the log directory is copied to `out/run`, and a report goes to `out/seen.json`: how many
    calls each tag had and how many raised, the messages, and the writer's counters. The same happens
    after `hang_secs` if the training has not ended by then. Further arguments are the writer's.

    Attributes:
        name: of the writer.
        calls: calls of `add_scalar` for the tag "x", with the numbers from 0 on.
        others: {run: {tag: count}} of other tags that were given the numbers from 0 on.
        flushed: how many numbers of "x" a `flush` had followed when the fault came.
        raised: calls of any kind that raised.
        longest: seconds of the longest call of `add_*`.
        fork: seconds of a fork.
        hung: whether something other than this process hung.
        rescue: makes the disk readable again for the copy, if the training hangs.
    """

    def __init__(
        self,
        name: str,
        logdir: str | Path,
        out: str | Path,
        hang_secs: float = HANG_SECS,
        **arguments: object,
    ) -> None:
        self.told: list[str] = []
        logging.getLogger("tblog").addHandler(_Keep(self.told))
        self.name, self._logdir, self._out = name, Path(logdir), Path(out)
        self.writer = make_writer(name, str(logdir), **arguments)
        self.calls = self.flushed = self.raised = 0
        self.others: dict[str, dict[str, int]] = {}
        self.longest = self.fork = 0.0
        self.hung = False
        self.rescue: Callable[[], None] = lambda: None
        self._before_kb = peak_kb()
        self._reporting = threading.Lock()
        watch = threading.Timer(hang_secs, self._give_up)
        watch.daemon = True
        watch.start()

    def call(self, method: str, *arguments: Any) -> bool:
        """Make one call, count its exception if any, and return whether it succeeded."""
        started, raised = time.monotonic(), False
        try:
            getattr(self.writer, method)(*arguments)
        except Exception:
            raised = True
        self.raised += raised
        if method.startswith("add"):
            self.longest = max(self.longest, time.monotonic() - started)
        return not raised

    def log(self, count: int) -> None:
        """Log the next numbers."""
        for _ in range(count):
            self.calls += 1
            self.call("add_scalar", "x", self.calls - 1, self.calls - 1)

    def confirm(self) -> None:
        """Flush before the fault."""
        if self.call("flush"):
            self.flushed = self.calls

    def end(self) -> None:
        """Close the writer and report."""
        self.call("close")
        self._report(hung=self.hung)

    def _give_up(self) -> None:
        self.rescue()
        self._report(hung=True)
        os._exit(0)

    def _report(self, *, hung: bool) -> None:
        self._reporting.acquire()  # never released: there is only one report
        expected = {".": {"x": self.calls}}
        for run, tags in self.others.items():
            expected.setdefault(run, {}).update(tags)
        seen = {
            "calls": self.calls,
            "flushed": self.flushed,
            "expected": expected,
            "raised": self.raised,
            "longest": self.longest,
            "fork": self.fork,
            "told": self.told,
            "grown_kb": peak_kb() - self._before_kb,
            "stats": vars(self.writer.stats) if self.name == "tblog" else None,
            "hung": hung,
        }
        if self._logdir != self._out / "run":
            with suppress(OSError, shutil.Error):  # a broken disk may not return everything
                shutil.copytree(self._logdir, self._out / "run")
        (self._out / SEEN).write_text(json.dumps(seen))
