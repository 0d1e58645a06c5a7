"""What does logging cost the steps of a training of several ranks? `python -m benchmarks.ranks`.

Each rank is a process with a process group of gloo. A step does some work, with up to 20 ms of jitter, and sums a gradient over
the ranks, as a training does. Then it logs three scalars of all ranks in one of three ways: not at all; by tblog, with
`ranks="reduce"`; or like torchtitan, by three blocking reductions, `.item()` and a writer on rank 0. The times are the training
thread's, for the whole step and for its logging alone, as the median of the ranks. With `--apart` no gradient is summed, and
ranks may run apart.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from typing import Any

WAYS = ("none", "tblog", "torchtitan")
JITTER_SECS = 0.02


def log_nothing(*_: Any) -> None:
    """Log nothing."""


def log_by_tblog(writer: Any, loss: Any, step: int) -> None:
    """Log this rank's numbers; rank 0 writes their mean and maximum."""
    for tag in ("loss", "grad_norm", "tokens"):
        writer.add_scalar(tag, loss, step)


def log_like_torchtitan(writer: Any, loss: Any, step: int) -> None:
    """Reduce three numbers over all ranks, wait for each, and let rank 0 write them."""
    import torch.distributed as dist

    for tag, operation in (
        ("loss", dist.ReduceOp.SUM),
        ("max", dist.ReduceOp.MAX),
        ("tokens", dist.ReduceOp.SUM),
    ):
        reduced = loss.clone()
        dist.all_reduce(reduced, operation)
        number = reduced.item()
        if writer is not None:
            writer.add_scalar(tag, number, step)


LOG = dict(zip(WAYS, (log_nothing, log_by_tblog, log_like_torchtitan), strict=True))


def open_writer(way: str, rank: int, logdir: str) -> Any:
    """Return the writer of one way on one rank, or None."""
    if way == "tblog":
        from tblog import SummaryWriter, WriterOptions

        return SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce=("mean", "max")))
    if way == "torchtitan" and rank == 0:
        from torch.utils.tensorboard import SummaryWriter as Torchs

        return Torchs(logdir)
    return None


def train(rank: int, world: int, port: int, told: Any, logdir: str, steps: int, apart: bool) -> None:
    """Run as one rank: measure all ways in turn, several times."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    store = dist.TCPStore(  # type: ignore[attr-defined] # torch does not list it
        "127.0.0.1", port, world, rank == 0, wait_for_workers=False
    )
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world)
    chance = random.Random(rank)  # noqa: S311 - of jitter
    weights, gradient = torch.randn(64, 64), torch.randn(10_000)
    writers = {way: open_writer(way, rank, f"{logdir}/{way}") for way in WAYS}
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for step in range(-5, steps):
        for way in WAYS:
            begin = time.perf_counter()
            y = weights
            for _ in range(20):
                y = torch.tanh(y @ weights)
            time.sleep(chance.random() * JITTER_SECS)
            if not apart:
                dist.all_reduce(gradient)
            loss = y.mean()
            worked = time.perf_counter()
            LOG[way](writers[way], loss, step)
            end = time.perf_counter()
            if step >= 0:
                times[way].append((end - begin, end - worked))
    dist.barrier()
    for writer in writers.values():
        if writer is not None:
            writer.close()
    if rank == 0:
        stats = writers["tblog"].stats
        assert (stats.incomplete, stats.dropped) == (0, 0), stats
    told.put(times)
    dist.barrier()


def measure(world: int, steps: int, *, apart: bool) -> dict[str, list[float]]:
    """Return, by way, p50 and p99 of a step and of its logging, in seconds."""
    import socket

    import torch.multiprocessing as mp

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = mp.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as logdir:
        arguments = (world, port, told, logdir, steps, apart)
        ranks = mp.spawn(train, arguments, world, join=False)  # type: ignore[attr-defined, no-untyped-call]
        by_rank = [told.get() for _ in range(world)]
        ranks.join()
    figures: dict[str, list[float]] = {}
    for way in WAYS:
        columns = [list(zip(*times[way], strict=True)) for times in by_rank]
        figures[way] = [
            statistics.median(statistics.quantiles(column[which], n=100)[percent - 1] for column in columns)
            for which in (0, 1)
            for percent in (50, 99)
        ]
    return figures


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--apart", action="store_true")
    given = parser.parse_args()
    print("| ranks | way | step p50 | step p99 | of no logging | logging p50 | logging p99 |")
    print("|---|---|---|---|---|---|---|")
    for world in given.worlds:
        figures = measure(world, given.steps, apart=given.apart)
        none = figures["none"]
        for way, (p50, p99, log50, log99) in figures.items():
            ratios = f"x{p50 / none[0]:.2f}, x{p99 / none[1]:.2f}"
            print(
                f"| {world} | {way} | {1e3 * p50:.1f} ms | {1e3 * p99:.1f} ms | {ratios} | {1e6 * log50:.0f} us | "
                f"{1e6 * log99:.0f} us |",
                flush=True,
            )


if __name__ == "__main__":
    main()
