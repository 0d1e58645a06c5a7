"""The ranks of a distributed training, as real processes in a gloo process group."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import IO

from tests.processes import read_line, running_python, say
from tests.waiting import HANG_SECS

_START = """
import os, sys
os.environ.setdefault("TBLOG_PURE", str(int(sys.argv[1]) % 2))  # every other rank does without the compiled module
import torch.distributed as dist
from tblog import SummaryWriter, WriterOptions

rank, world, logdir = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

def join_group():
    port = 0 if rank == 0 else int(input())
    store = dist.TCPStore("127.0.0.1", port, world, rank == 0, wait_for_workers=False)
    if rank == 0:
        print(store.port, flush=True)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world)

def next_turn(what=""):
    print(what, flush=True)
    return input()

"""


@contextmanager
def running_ranks(
    code: str, world: int, logdir: Path, errors: Path | None = None
) -> Iterator[list[Popen[str]]]:
    """Start a program once for each rank; yield them once they have joined a group; kill them at the end.

    Args:
        code: what each does: it calls `join_group()` first, and may call `next_turn()`, which waits for `turn`.
        world: the number of ranks.
        logdir: their third argument.
        errors: a file that receives the standard error of all ranks.
    """
    program = _START + textwrap.dedent(code)
    with ExitStack() as stack:
        file: IO[str] | None = stack.enter_context(errors.open("a")) if errors is not None else None
        stderr = None if file is None else file.fileno()
        ranks = [
            stack.enter_context(running_python(program, rank, world, logdir, stderr=stderr))
            for rank in range(world)
        ]
        port = read_line(ranks[0])
        for process in ranks[1:]:
            say(process, port)
        yield ranks


def turn(ranks: list[Popen[str]]) -> list[str]:
    """Let the ranks continue after their `next_turn`; return the message of each."""
    said = [read_line(process) for process in ranks]
    for process in ranks:
        say(process)
    return said


def ends(ranks: list[Popen[str]]) -> list[int]:
    """Return the exit status of each rank; a rank that hangs fails the test."""
    return [process.wait(HANG_SECS) for process in ranks]
