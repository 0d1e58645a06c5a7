"""More than the disk takes, and more than the queue holds: what it costs in memory, and who waits how long.

    python -m tests.faults.flood --seconds 60

Prints a line for each trial, each in a process of its own, and what is wrong; the exit status is 0 where nothing is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np

from tblog import SummaryWriter, WriterOptions
from tblog._files.walk import walk
from tests.faults.overflow import BOUND_BYTES, BOUND_RECORDS, NBYTES, THREADS, resident_kb
from tests.faults.processes import overflow
from tests.faults.volume import many_points
from tests.processes import ROOT, environment_here
from tests.reading import event_files

COPIES = 6  # for an array in hand: its snapshot, the message, and the bytes on their way to the file
SCALAR_BYTES = 400  # for a waiting scalar: its numbers and its place in the deque
SPARE_KB = 60_000

say = partial(print, flush=True)

Seen: TypeAlias = dict[str, Any]
"""What a trial showed, by name."""


class Watch:
    """The peak memory of the process during a block, relative to its start."""

    def __enter__(self) -> Self:
        self._before = self._most = resident_kb()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._end.wait(0.005):
            self._most = max(self._most, resident_kb())

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.grown_kb = max(self._most, resident_kb()) - self._before


def large_arrays(logdir: Path, size: int) -> Seen:
    """Log arrays of `size` MB, each larger than the bound, while another thread logs numbers."""
    array = np.ones(size << 18, np.float32)
    bound = max(1, array.nbytes // 2)
    writer = SummaryWriter(logdir, options=WriterOptions(max_queue_bytes=bound))
    writer.add_tensor("tensor", array[:2], 0)
    writer.add_histogram("histogram", array[:2], 0)
    writer.flush()
    longest, logged, end = 0.0, 0, threading.Event()

    def log() -> None:
        nonlocal longest, logged
        while not end.wait(0.001):
            started = time.monotonic()
            writer.add_scalar("number", logged, logged)
            longest = max(longest, time.monotonic() - started)
            logged += 1

    thread = threading.Thread(target=log)
    with Watch() as watch:
        thread.start()
        for step in (1, 2):
            writer.add_tensor("tensor", array, step)
            writer.add_histogram("histogram", array, step)
        end.set()
        thread.join()
        writer.close()
    return {
        "calls": logged + 6,
        "written": writer.stats.written,
        "dropped": writer.stats.dropped,
        "grown_kb": watch.grown_kb,
        "most_kb": COPIES * array.nbytes / 1024 + SPARE_KB,
        "longest": longest,
        "on_disk": _records(logdir),
    }


def scalars_in_a_row(logdir: Path, count: int) -> Seen:
    """Log this many numbers in a tight loop, with the default options."""
    writer = SummaryWriter(logdir)
    writer.add_scalar("x", 0.0, 0)
    writer.flush()
    longest = 0.0
    with Watch() as watch:
        for step in range(1, count):
            started = time.monotonic()
            writer.add_scalar("x", step, step)
            longest = max(longest, time.monotonic() - started)
        writer.close()
    return {
        "calls": count,
        "written": writer.stats.written,
        "dropped": writer.stats.dropped,
        "grown_kb": watch.grown_kb,
        "most_kb": WriterOptions.DEFAULT.max_queue_records * SCALAR_BYTES / 1024 + SPARE_KB,
        "longest": longest,
        "on_disk": _records(logdir),
    }


def records_above_the_bound(logdir: Path, count: int) -> Seen:
    """Log small arrays and arrays of eight times the bound from four threads."""
    writer = SummaryWriter(logdir, options=WriterOptions(max_queue_bytes=1 << 20))
    small, large = np.ones(1 << 10), np.ones(1 << 20)
    writer.add_tensor("first", small, 0)
    writer.flush()
    longest = [0.0] * 4

    def log(number: int) -> None:
        for step in range(count):
            started = time.monotonic()
            writer.add_tensor(f"{number}", large if (step + number) % 2 else small, step)
            longest[number] = max(longest[number], time.monotonic() - started)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
    with Watch() as watch:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.close()
    return {
        "calls": 4 * count + 1,
        "written": writer.stats.written,
        "dropped": writer.stats.dropped,
        "grown_kb": watch.grown_kb,
        "most_kb": (COPIES + 5) * large.nbytes / 1024 + SPARE_KB,
        "longest": max(longest),
        "on_disk": _records(logdir),
    }


TRIALS = {
    "large arrays": large_arrays,
    "scalars in a row": scalars_in_a_row,
    "records above the bound": records_above_the_bound,
}


def _records(logdir: Path) -> int:
    """Return the number of records on disk, without the first events; damage is an error."""
    whole = 0
    for path in event_files(logdir):
        with open(path, "rb") as file:
            for piece in walk(file):
                assert piece.data is not None, f"damaged at byte {piece.start}"
                whole += 1
        whole -= 1
    return whole


def trial(*command: object) -> Seen:
    """Run a program of this folder in a process of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=environment_here(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: Seen = json.loads(done.stdout.splitlines()[-1])
    return seen


def slow_disk(policy: str, kind: str, logdir: Path, secs: float) -> Seen:
    """Log from eight threads ten times faster than the disk writes."""
    seen = overflow("tblog", policy, logdir, kind, secs)
    arrays = THREADS * NBYTES + BOUND_BYTES if kind == "arrays" else 0
    found = (
        sum(len(series) for series in many_points(logdir).values()) if kind == "scalars" else _records(logdir)
    )
    return {
        **seen,
        "calls": sum(seen["counts"]) + 1,
        "written": seen["written"] + 1,
        "most_kb": (arrays + BOUND_RECORDS * SCALAR_BYTES) / 1024 + COPIES * NBYTES / 1024 + SPARE_KB,
        "on_disk": found,
    }


def wrong(name: str, seen: Seen) -> Iterator[str]:
    """Return the promises that do not hold."""
    if seen["written"] + seen["dropped"] != seen["calls"]:
        yield f"{seen['calls']} calls, but {seen['written']} written and {seen['dropped']} dropped"
    if seen["on_disk"] != seen["written"]:
        yield f"{seen['written']} written, but {seen['on_disk']} on disk"
    if seen["dropped"] and "drop" not in name:
        yield f"{seen['dropped']} dropped"
    if seen["grown_kb"] > seen["most_kb"]:
        yield f"{seen['grown_kb']:,} kB more memory, {seen['most_kb']:,.0f} at most expected"
    if (
        seen.get("waiting", 0) > BOUND_RECORDS + THREADS
        or seen.get("waiting_bytes", 0) > BOUND_BYTES + THREADS * NBYTES
    ):
        yield f"{seen['waiting']} records of {seen['waiting_bytes']} bytes waited"
    counts = seen.get("counts", [1])
    if min(counts) < max(counts) / 10:
        yield f"a thread starved: {counts}"


def show(name: str, seen: Seen) -> bool:
    """Print a line of figures, and what is wrong; return whether anything is."""
    counts = seen.get("counts")
    share = f"{min(counts) / max(counts):.2f}" if counts else "-"
    say(
        f"{name:32} {seen['calls']:12,} {seen['written']:12,} {seen['dropped']:12,} {seen['grown_kb'] / 1024:9,.0f}"
        f" {seen['most_kb'] / 1024:9,.0f} {seen['longest']:8.3f} {seen.get('late', 0):8.3f} {share:>6}",
    )
    found = list(wrong(name, seen))
    for what in found:
        say(f"WRONG: {name}: {what}")
    return bool(found)


def main() -> int:
    """Run all trials; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.flood", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of each producer that is faster than the disk"
    )
    parser.add_argument("--megabytes", type=int, default=1024, help="of a large array")
    parser.add_argument("--scalars", type=int, default=10_000_000, help="in a row")
    parser.add_argument("--trial", nargs=3, metavar=("NAME", "LOGDIR", "SIZE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.trial:
        name, logdir, size = given.trial
        say(json.dumps(TRIALS[name](Path(logdir), int(size))))
        return 0
    say(
        f"{'':32} {'calls':>12} {'written':>12} {'dropped':>12} {'MB grown':>9} {'at most':>9} {'longest':>8} {'late':>8} {'fair':>6}"
    )
    failed = False
    for policy in ("wait", "drop"):
        for kind in ("scalars", "arrays"):
            with tempfile.TemporaryDirectory() as logdir:
                failed |= show(
                    f"slow disk, {kind}, {policy}", slow_disk(policy, kind, Path(logdir), given.seconds)
                )
    sizes = {
        "large arrays": given.megabytes,
        "scalars in a row": given.scalars,
        "records above the bound": 100,
    }
    for name, size in sizes.items():
        with tempfile.TemporaryDirectory() as logdir:
            failed |= show(name, trial("-m", "tests.faults.flood", "--trial", name, logdir, size))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
