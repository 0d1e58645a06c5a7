"""A program that logs in a directory in which another one logs, or puts it in order.

Run as `neighbour.py WHAT WRITER LOGDIR PROGRESS COUNT`. WHAT is
"live": numbers, of which the second half comes once PROGRESS has a 1 in its second place;
"resume", "purge": a writer that goes on with the run or purges it from step 100 on, and then numbers;
"repair": `python -m tblog.check --repair`, of tblog alone;
"embed": embeddings, once PROGRESS has a 1 there.
In the file PROGRESS, an int64 says how many calls have returned, of COUNT in all; a third one numbers the program.
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
    """Wait until we are told to go on."""
    while not counters[1]:
        time.sleep(0.001)


def go_on(writer: Any, counters: memoryview[int], total: int) -> None:
    """Log under another tag."""
    for step in range(total):
        writer.add_scalar("other", step, step)
        counters[0] = step + 1


def embed(writer: Any, counters: memoryview[int], total: int) -> None:
    """Log embeddings that nobody else logs, each a few points."""
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
