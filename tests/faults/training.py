"""A training to which something happens, and which writes down what it saw of it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.program import make_writer

HANG_SECS = 120.0


def peak_kb():
    """Return the most memory that this process has held so far, in kB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


class Training:
    """A training that logs; exceptions do not end it.

    What is in the log directory at the end is copied to `out/run`, and what was seen is written to
    `out/seen.json`: how many calls of each tag there were and how many raised, what was told, the
    writer's counters. The same is done after `hang_secs`, if the training has not ended by then.

    Attributes:
        name: of the writer.
        calls: calls of `add_scalar` for the tag "x", with the numbers from 0 on.
        others: {run: {tag: count}} of other tags that were given the numbers from 0 on.
        flushed: the numbers of "x" that a `flush` had followed when the fault came.
        raised: calls of any kind that raised.
        longest: seconds that the longest call of `add_*` took.
        hung: something hung, but not this process.
        rescue: makes the disk readable again for the copy, where the training hangs.
    """

    def __init__(self, name, logdir, out, hang_secs=HANG_SECS):
        self.told = []
        handler = logging.Handler()
        handler.emit = lambda record: self.told.append(record.getMessage())
        logging.getLogger("tblog").addHandler(handler)
        self.name, self._logdir, self._out = name, Path(logdir), Path(out)
        self.writer = make_writer(name, str(logdir))
        self.calls = self.flushed = self.raised = 0
        self.others = {}
        self.longest = 0.0
        self.hung = False
        self.rescue = lambda: None
        self._before_kb = peak_kb()
        self._reporting = threading.Lock()
        watch = threading.Timer(hang_secs, self._give_up)
        watch.daemon = True
        watch.start()

    def call(self, method, *arguments):
        """Make one call; an exception is counted."""
        started = time.monotonic()
        try:
            getattr(self.writer, method)(*arguments)
        except Exception:
            self.raised += 1
        if method.startswith("add"):
            self.longest = max(self.longest, time.monotonic() - started)

    def log(self, count):
        """Log the next numbers."""
        for _ in range(count):
            self.calls += 1
            self.call("add_scalar", "x", self.calls - 1, self.calls - 1)

    def confirm(self):
        """Flush before the fault comes."""
        self.call("flush")
        self.flushed = self.calls

    def end(self):
        """Close the writer and report."""
        self.call("close")
        self._report(hung=self.hung)

    def _give_up(self):
        self.rescue()
        self._report(hung=True)
        os._exit(0)

    def _report(self, *, hung):
        self._reporting.acquire()  # for good: there is one report
        expected = {".": {"x": self.calls}}
        for run, tags in self.others.items():
            expected.setdefault(run, {}).update(tags)
        seen = {
            "calls": self.calls,
            "flushed": self.flushed,
            "expected": expected,
            "raised": self.raised,
            "longest": self.longest,
            "told": self.told,
            "grown_kb": peak_kb() - self._before_kb,
            "stats": vars(self.writer.stats) if self.name == "tblog" else None,
            "hung": hung,
        }
        if self._logdir != self._out / "run":
            with suppress(OSError, shutil.Error):  # what a broken disk does not give is not there
                shutil.copytree(self._logdir, self._out / "run")
        (self._out / "seen.json").write_text(json.dumps(seen))
