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


def main(logdir: str, rule: str, scalars: str, steps: str, rate: str, form: str) -> None:
    """Log as the arguments say."""
    from tblog import SummaryWriter, WriterOptions

    options: dict[str, Any] = {"ranks": rule}
    writer = SummaryWriter(logdir, options=WriterOptions(**options))
    tags, rank, pause = (
        tags_of(int(scalars)),
        int(os.environ["RANK"]),
        1 / float(rate) if float(rate) else 0.0,
    )
    print("ready", flush=True)
    sys.stdin.readline()
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
    seen = {
        "cpu": time.process_time() - cpu,
        "secs": logged,
        "lost": writer.stats.dropped + writer.stats.failed,
    }
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
