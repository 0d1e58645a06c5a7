"""All kinds at a high rate from many threads, while a TensorBoard reads: does anything grow, is all there?

    python -m tests.faults.soak --minutes 20

Prints a line of figures for each interval, and a verdict; the exit status is 0 where it is a good one.
Memory, handles and threads of the process that logs must be flat: once it is warm, the median of the last
third may not lie above that of the first, but for what `LIMITS` says. TensorBoard, which reads by
its Rust data server, must come to the last step of each thread. Then everything is read back and compared.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from tblog import SummaryWriter
from tests.browser.serving import Server, serve
from tests.faults.flood import say
from tests.faults.overflow import resident_kb
from tests.faults.soak_kinds import FIRST, embedding_files, log_round, payloads, wanted

WRITERS = 3
THREADS = 2
ROUNDS_A_SEC = 20
CLOSES = 100
WARM_SHARE = 0.25
TENSORBOARD_SECS = 120.0
LEAKS = ("memory", "handles", "threads", "records")


class Sample(NamedTuple):
    """What the logging process holds at one moment, and how far each thread is."""

    secs: float
    calls: int
    waiting: int
    memory: float
    handles: int
    threads: int
    seen: int
    tensorboard: float


LIMITS = {"memory": 12.0, "handles": 6, "threads": 1}
"""What the median may grow by: MB; handles, of which a writer that is closed gives a dozen back for a moment; threads."""


class Load:
    """Writers and the threads that log to them, each at a steady pace."""

    def __init__(self, logdir: Path, secs: float) -> None:
        self._close_secs = max(1.0, secs / CLOSES)
        self.writers = [SummaryWriter(logdir / f"writer{number}") for number in range(WRITERS)]
        self.rounds: dict[tuple[int, str], int] = {}
        self.calls = [0] * WRITERS * THREADS
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(WRITERS * THREADS)
        ]

    def start(self) -> None:
        """Start all threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all threads after their current round, and close the writers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for writer in self.writers:
            writer.close()

    @property
    def waiting(self) -> int:
        """Return the number of records that are not on disk yet."""
        return sum(writer.stats.queued - writer.stats.written for writer in self.writers)

    def _work(self, number: int) -> None:
        which, name = number % WRITERS, f"thread{number // WRITERS}"
        try:
            self._log(number, which, name)
        except BaseException as error:
            self.errors.append(error)

    def _log(self, number: int, which: int, name: str) -> None:
        """Log round after round. Now and then close the second writer and flush the third."""
        writer = self.writers[which]
        due = cared = time.monotonic()
        step = 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self.calls[number] += log_round(writer, name, step)
            step += 1
            self.rounds[which, name] = step
            due = max(due + 1 / ROUNDS_A_SEC, time.monotonic())
            if name == FIRST and time.monotonic() > cared + self._close_secs:
                cared = time.monotonic()
                (lambda: None, writer.close, writer.flush)[which % 3]()


def warm_up() -> None:
    """Log each kind once elsewhere, so that all packages are loaded."""
    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        log_round(writer, FIRST, 0)


class Leak:
    """Imitates a leak of each kind, to test the verdict."""

    def __init__(self, kinds: Sequence[str], load: Load) -> None:
        self._kinds = kinds
        self._load = load
        self._kept: list[object] = []
        self._stop = threading.Event()

    def drip(self) -> None:
        """Leak a little of each."""
        if "memory" in self._kinds:
            self._kept.append(b"x" * (8 << 20))
        if "handles" in self._kinds:
            self._kept += [open(os.devnull) for _ in range(4)]  # noqa: SIM115 - it is to leak
        if "threads" in self._kinds:
            thread = threading.Thread(target=self._stop.wait, daemon=True)
            thread.start()

    def lose(self) -> None:
        """Count a round whose records are not written."""
        if "records" in self._kinds:
            self._load.rounds[0, FIRST] += 1


def read_step(server: Server, which: int, name: str) -> int:
    """Return the last step that TensorBoard shows of a thread's first scalar, or -1."""
    asked = urllib.parse.urlencode({"run": f"writer{which}", "tag": f"{name} scalar/0"})
    try:
        points = server.get(f"data/plugin/scalars/scalars?{asked}")
    except OSError:  # it has not seen the tag yet
        return -1
    return max((int(step) for _, step, _ in points), default=-1)


def samples(load: Load, server: Server, secs: float, interval: float, leak: Leak) -> Iterator[Sample]:
    """Sample the process for this long."""
    start = time.monotonic()
    due = start + interval
    while due <= start + secs + interval / 2:
        time.sleep(max(0.0, due - time.monotonic()))
        due += interval
        leak.drip()
        seen = read_step(server, 0, FIRST)
        children = psutil.Process().children(recursive=True)
        yield Sample(
            time.monotonic() - start,
            sum(load.calls),
            load.waiting,
            resident_kb() / 1024,
            len(os.listdir("/proc/self/fd")),
            len(os.listdir("/proc/self/task")),
            seen,
            sum(child.memory_info().rss for child in children) / 2**20,
        )


def growth(seen: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Return the medians of the first and last third of the time after warm-up."""
    warm = seen[int(len(seen) * WARM_SHARE) :]
    third = max(1, len(warm) // 3)
    return {
        name: (
            median(getattr(sample, name) for sample in warm[:third]),
            median(getattr(sample, name) for sample in warm[-third:]),
        )
        for name in LIMITS
    }


def unread(load: Load, server: Server) -> list[str]:
    """Return the threads whose last step TensorBoard does not reach."""
    behind = list(load.rounds.items())
    deadline = time.monotonic() + TENSORBOARD_SECS
    while behind and time.monotonic() < deadline:
        behind = [(key, rounds) for key, rounds in behind if read_step(server, *key) != rounds - 1]
        time.sleep(0.2)
    return [
        f"TensorBoard does not come to step {rounds - 1:,} of writer{which}, {name}"
        for (which, name), rounds in behind
    ]


def differences(load: Load, logdir: Path) -> Iterator[str]:
    """Compare the disk with what was logged; yield the first difference of each tag."""
    for which, writer in enumerate(load.writers):
        stats, place = writer.stats, f"writer{which}"
        if (stats.dropped, stats.failed) != (0, 0):
            yield f"{place}: {stats}"
        tags: dict[tuple[str, str], Iterator[tuple[int, bytes]]] = {}
        files: dict[str, bytes] = {}
        for (number, name), rounds in load.rounds.items():
            if number == which:
                more_tags, more_files = wanted(name, rounds)
                tags.update(more_tags)
                files.update(more_files)
        yield from (f"{place}: {what}" for what in _differences_of_tags(logdir / place, tags))
        if embedding_files(logdir / place) != files:
            yield f"{place}: the files of the embeddings are not what was logged"


def _differences_of_tags(
    place: Path, tags: dict[tuple[str, str], Iterator[tuple[int, bytes]]]
) -> Iterator[str]:
    broken = set()
    for run, tag, step, payload in payloads(place):
        expected = next(tags.get((run, tag), iter(())), None)
        if expected != (step, payload) and (run, tag) not in broken:
            broken.add((run, tag))
            yield f"run {run}, tag {tag!r}: step {step} is not what was logged then"
    for (run, tag), rest in tags.items():
        if (run, tag) not in broken and (lost := sum(1 for _ in rest)):
            yield f"run {run}, tag {tag!r}: {lost} records are missing at the end"


def soak(logdir: Path, secs: float, interval: float, leaks: Sequence[str]) -> list[str]:
    """Run, print the figures, and return what is wrong."""
    load = Load(logdir, secs)
    warm_up()
    leak = Leak(leaks, load)
    seen = []
    say(
        f"{'s':>6} {'calls':>12} {'waiting':>8} {'MB':>7} {'handles':>8} {'threads':>8} {'read':>9} {'TensorBoard MB':>15}"
    )
    with serve(logdir, "--load_fast=true", "--reload_interval=1") as server:
        load.start()
        try:
            for sample in samples(load, server, secs, interval, leak):
                seen.append(sample)
                say("{:6.0f} {:12,} {:8,} {:7.1f} {:8} {:8} {:9,} {:15.0f}".format(*sample))
        finally:
            load.stop()
        wrong = [f"a call raised {error!r}" for error in load.errors]
        wrong += unread(load, server)
    leak.lose()
    for name, (first, last) in growth(seen).items():
        say(f"{name}: {first:.1f} in the first third, {last:.1f} in the last")
        if last > first + LIMITS[name]:
            wrong.append(f"{name} grew from {first:.1f} to {last:.1f}")
    written = sum(writer.stats.written for writer in load.writers)
    size = sum(path.stat().st_size for path in logdir.rglob("*") if path.is_file())
    say(
        f"{sum(load.rounds.values()):,} rounds, {written:,} records, {size / 2**20:,.0f} MB on disk",
    )
    return wrong + list(differences(load, logdir))


def main() -> int:
    """Run with the command line's options; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument(
        "--interval", type=float, help="seconds between the lines; a 40th of the time, if not given"
    )
    parser.add_argument(
        "--leak", choices=LEAKS, nargs="*", default=[], help="leak on purpose, to try the verdict"
    )
    given = parser.parse_args()
    secs = given.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        wrong = soak(Path(folder), secs, given.interval or secs / 40, given.leak)
    for what in wrong:
        say(f"WRONG: {what}")
    say(
        "the verdict: " + (f"{len(wrong)} things are wrong" if wrong else "all flat, and everything is there")
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
