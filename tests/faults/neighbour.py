"""A program that logs to, or repairs, a directory that another program logs to.

Run as `neighbour.py WHAT WRITER LOGDIR PROGRESS COUNT`. WHAT is
"live": numbers, the second half of them once the second entry of PROGRESS is 1;
"resume", "purge": a writer that resumes the run or purges it from step 100 on, and then numbers;
"repair": `python -m tblog.check --repair`, of tblog alone;
"embed": embeddings, once that entry of PROGRESS is 1.
The file PROGRESS holds int64 entries: how many calls of COUNT have returned, the start signal, and a program number.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from tests.faults.program import make_writer, shared_counters

PURGE_STEP = 100


def live(writer: Any, counters: memoryview[int], total: int) -> None:
    """Log under the tag that the table counts."""
    for step in range(total):
        if step == total // 2:
            counters[0] = step
            wait(counters)
        writer.add_scalar("x", step, step)


def wait(counters: memoryview[int]) -> None:
    """Wait for the start signal."""
    while not counters[1]:
        time.sleep(0.001)


def go_on(writer: Any, counters: memoryview[int], total: int) -> None:
    """Log under another tag."""
    for step in range(total):
        writer.add_scalar("other", step, step)
        counters[0] = step + 1


def embed(writer: Any, counters: memoryview[int], total: int) -> None:
    """Log embeddings under tags of its own, each with a few points."""
    counters[0] = 1
    wait(counters)
    for step in range(total):
        writer.add_embedding(np.eye(3), tag=f"of_{counters[2]}", global_step=step)


def main(what: str, name: str, logdir: str, progress: str, count: str) -> None:
    """Do what the first argument says, and close."""
    if what == "repair":
        from tblog.check import main as check

        sys.exit(check([logdir, "--repair"]))
    ways: dict[str, dict[str, Any]] = {"resume": {"resume": True}, "purge": {"purge_step": PURGE_STEP}}
    arguments = ways.get(what, {})
    writer = make_writer(name, logdir, **arguments)
    {"live": live, "embed": embed}.get(what, go_on)(writer, shared_counters(progress), int(count))
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
