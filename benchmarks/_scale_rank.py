"""One rank of `python -m benchmarks.scale`: `_scale_rank.py LOGDIR RULE SCALARS STEPS RATE FORM`, with RANK and WORLD_SIZE set.

It makes its writer, prints "ready", and starts to log at a line of input: all scalars of a step, RATE steps a second (0:
as fast as it can), one by one or as one dict (FORM "alone" or "dict"). It prints its CPU seconds from then to the end of
`close()`, and how many records it wrote and lost.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from benchmarks._scale_tags import tags_of, value_of


def log_paced(writer: Any, rank: int, scalars: str, steps: str, rate: str, form: str) -> dict[str, float]:
    """Log as the arguments say, close the writer, and return what it took."""
    tags, pause = tags_of(int(scalars)), 1 / float(rate) if float(rate) else 0.0
    cpu, started = time.process_time(), time.monotonic()
    for step in range(int(steps)):
        wait = started + step * pause - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        value = value_of(rank, step)
        if form == "dict":
            writer.add_scalar_dict(dict.fromkeys(tags, value), step)
        else:
            for tag in tags:
                writer.add_scalar(tag, value, step)
    logged = time.monotonic() - started
    writer.close()
    stats = writer.stats
    return {
        "cpu": time.process_time() - cpu,
        "secs": logged,
        "lost": stats.dropped + stats.failed + stats.incomplete,
    }


def main(logdir: str, rule: str, *given: str) -> None:
    """Make a writer, log when told to, and print what it took."""
    from tblog import SummaryWriter, WriterOptions

    options: dict[str, Any] = {"ranks": rule}
    writer = SummaryWriter(logdir, options=WriterOptions(**options))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(log_paced(writer, int(os.environ["RANK"]), *given)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
