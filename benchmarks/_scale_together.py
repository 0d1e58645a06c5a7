"""All ranks of `ranks="reduce"` in real processes: `_scale_together.py LOGDIR RANKS SCALARS STEPS RATE FORM`.

One process imports torch, and the ranks are forked from it, so that 64 of them need the memory of a few. Each makes a process group
of its own, whose backend does nothing ("fake"): only the store of the group is real, and it is all that tblog uses. Each rank makes its
writer, waits until the ranks have found each other, and logs as a rank of the other rules does. Prints what each reports, as
a line of JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
from typing import Any

import torch.distributed as dist
from torch.testing._internal.distributed import fake_pg  # noqa: F401 - registers the backend

from benchmarks._scale_rank import log_paced
from tblog import SummaryWriter, WriterOptions


def work(rank: int, world: int, port: int, pipe: Any, logdir: str, given: tuple[str, ...]) -> None:
    """Run as one rank."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world))
    store = dist.TCPStore(  # type: ignore[attr-defined] # torch does not list it
        "127.0.0.1", port, world, rank == 0, wait_for_workers=False
    )
    dist.init_process_group("fake", store=store, rank=rank, world_size=world)
    options = WriterOptions(ranks="reduce", reduce="mean", reduce_wait_secs=60.0)
    writer = SummaryWriter(logdir, options=options)
    writer.flush()  # once all have flushed, the ranks have found each other
    pipe.send("ready")
    pipe.recv()
    pipe.send(log_paced(writer, rank, *given))


def main(logdir: str, ranks: str, *given: str) -> None:
    """Start the ranks, let them log, and print what they report."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forking = multiprocessing.get_context("fork")
    pipes = []
    for rank in range(int(ranks)):
        here, there = forking.Pipe()
        forking.Process(target=work, args=(rank, int(ranks), port, there, logdir, given)).start()
        pipes.append(here)
    for pipe in pipes:
        pipe.recv()
    for pipe in pipes:
        pipe.send("go")
    print(json.dumps([pipe.recv() for pipe in pipes]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
