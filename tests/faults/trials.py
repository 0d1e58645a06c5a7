"""The faults by name, and one trial of each: what a writer loses, tears or hangs on."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults import disk, network, stores
from tests.faults.disks import can_happen, happen
from tests.faults.neighbours import beside_living, embed_together
from tests.faults.outcome import Outcome
from tests.faults.processes import ABRUPT, ORDERLY, end_program, overflow
from tests.faults.remains import Remains, on_disk

WRITERS = ("tblog", "torch", "tensorboardX")
HANG_SECS = 15.0
ORIGINALS_EVERY = 6
CLOSING = "SIGTERM with close_at_sigterm"
# In turn: full speed with flushes, without, with texts of 20 kB, and at 20,000 numbers a second for
# longer than the one second that tblog promises.
FORMS = (("flush",), (), ("flush", "text"), ("steady",))


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        group: "kills", "disks", "network", "inside", "encoder", "neighbours", "stores" or "overflow".
        happen: `happen(writer, folder, rng, nth)` runs the fault once, and returns an Outcome.
        can_happen: returns whether this machine allows it.
        every: it happens to tblog in the first of this many rounds, and to the originals in the first of twice
            as many, at least ORIGINALS_EVERY: their processes load torch, and hang under some faults.
        writers: the writers to which it can happen.
    """

    group: str
    happen: Callable[..., Outcome]
    can_happen: Callable[[], bool] = lambda: True
    every: int = 8
    writers: tuple[str, ...] = WRITERS

    def nth(self, writer: str, number: int) -> int | None:
        """Return the index of a writer's trial in a round, from 0 on, or None if it has none then."""
        every = self.every if writer == "tblog" else max(ORIGINALS_EVERY, 2 * self.every)
        return number // every if writer in self.writers and number % every == 0 else None


def kill(
    ending: str, writer: str, folder: Path, rng: random.Random, nth: int, *, also: tuple[str, ...] = ()
) -> Outcome:
    """End a logging program at a random moment."""
    form = FORMS[nth % len(FORMS)]
    secs = rng.uniform(1.1, 1.8) if "steady" in form else rng.uniform(0.005, 0.08)
    return _end(writer, folder, ending, secs, *form, *also)


def kill_while_encoding(writer: str, folder: Path, rng: random.Random, _nth: int) -> Outcome:
    """Kill a program a few seconds after it logged a video that takes longer to encode."""
    return _end(writer, folder, "SIGKILL", rng.uniform(2.5, 3.5), "video", "steady")


def _end(writer: str, folder: Path, ending: str, secs: float, *also: str) -> Outcome:
    logdir = folder / "run"
    ended = end_program(writer, logdir, ending, secs, *also, hang_secs=HANG_SECS)
    remains = on_disk(logdir)
    lost_flushed = ended.flushed - remains.shown(ended.flushed)
    return Outcome(
        flushed=ended.flushed,
        lost_flushed=lost_flushed,
        unflushed=ended.logged - ended.flushed,
        lost_unflushed=ended.logged - remains.shown(ended.logged) - lost_flushed,
        lost_older=ended.second_before - remains.shown(ended.second_before),
        tails=remains.torn,
        torn=remains.damaged,
        hung=int(ended.hung),
    )


def happen_to_training(
    fault: str,
    secs: float,
    writer: str,
    folder: Path,
    rng: random.Random,
    _nth: int,
    *,
    hang_secs: float = HANG_SECS,
) -> Outcome:
    """Apply a fault to a running training."""
    seen = happen(fault, writer, folder, secs=secs or rng.uniform(0.005, 0.1), hang_secs=hang_secs)
    remains = on_disk(folder / "run")
    logged, lost = _compare(seen["expected"], remains)
    lost_flushed = seen["flushed"] - remains.shown(seen["flushed"])
    stats = seen["stats"] or {"dropped": 0}
    return Outcome(
        flushed=seen["flushed"],
        lost_flushed=lost_flushed,
        unflushed=logged - seen["flushed"],
        lost_unflushed=lost - lost_flushed,
        counted=stats["dropped"],
        tails=remains.torn,
        torn=remains.damaged,
        hung=int(seen["hung"]),
        raised=seen["raised"],
        longest=seen["longest"],
        fork=seen["fork"],
        grown_kb=seen["grown_kb"],
    )


def overflow_queue(policy: str, writer: str, folder: Path, _rng: random.Random, _nth: int) -> Outcome:
    """Log from eight threads faster than the disk writes; the deadline allows for loading torch."""
    try:
        seen = overflow(writer, policy, folder / "run", "scalars", 1.5, hang_secs=4 * HANG_SECS)
    except subprocess.TimeoutExpired:
        return Outcome(hung=1)
    remains = on_disk(folder / "run")
    counts = {f"thread{number}": count for number, count in enumerate(seen["counts"])}
    logged, lost = _compare({".": counts}, remains)
    lost_flushed = 1 - remains.shown(1, "first")
    return Outcome(
        flushed=1,
        lost_flushed=lost_flushed,
        unflushed=logged,
        lost_unflushed=lost,
        counted=seen.get("dropped", 0),
        tails=remains.torn,
        torn=remains.damaged,
        longest=seen["longest"],
        grown_kb=seen["grown_kb"],
    )


def _compare(expected: dict[str, dict[str, Any]], remains: Remains) -> tuple[int, int]:
    """Return how many records were logged, and how many of them no reader shows."""
    counts = [(run, tag, count) for run, tags in expected.items() for tag, count in tags.items()]
    logged = sum(count for _, _, count in counts)
    return logged, logged - sum(remains.shown(count, tag, run) for run, tag, count in counts)


def _training_fault(name: str, group: str, secs: float = 0.0, every: int = 8, **options: Any) -> Fault:
    return Fault(group, partial(happen_to_training, name, secs, **options), partial(can_happen, name), every)


def _beside(what: str, writers: tuple[str, ...]) -> Fault:
    return Fault("neighbours", partial(beside_living, what, hang_secs=4 * HANG_SECS), writers=writers)


def _refusal(name: str) -> Fault:
    return Fault("stores", partial(stores.refuse, name, hang_secs=HANG_SECS), stores.can_happen)


FAULTS = {
    **{name: Fault("kills", partial(kill, name), every=1) for name in (*ABRUPT, *ORDERLY)},
    CLOSING: Fault("kills", partial(kill, "SIGTERM", also=("close",)), every=1, writers=("tblog",)),
    **{name: _training_fault(name, "disks", secs=0.5) for name in disk.ON_TMPFS},
    **{name: _training_fault(name, "disks", secs=0.5) for name in disk.ON_EXT4 if name != "frozen disk"},
    "frozen disk": _training_fault("frozen disk", "disks", secs=3.0),
    **{name: _training_fault(name, "network", secs=2.0) for name in network.FAULTS},
    **{name: _training_fault(name, "inside", every=4) for name in ("fork", "data loader", "failing encoder")},
    "few handles": _training_fault("few handles", "inside"),
    "slow encoder, SIGKILL": Fault("encoder", kill_while_encoding),
    # Longer than close waits for storage that does not respond.
    "slow encoder, close": _training_fault(
        "slow encoder, close", "encoder", secs=65.0, every=16, hang_secs=150.0
    ),
    "slow encoder, fork": _training_fault("slow encoder, fork", "encoder", secs=5.0, hang_secs=2 * HANG_SECS),
    "resume beside a living writer": _beside("resume", ("tblog",)),
    "repair beside a living writer": _beside("repair", ("tblog",)),
    "purge beside a living writer": _beside("purge", WRITERS),
    "embeddings of two programs": Fault("neighbours", partial(embed_together, hang_secs=4 * HANG_SECS)),
    **{name: _refusal(name) for name in stores.REFUSALS},
    "slow disk, callers wait": Fault("overflow", partial(overflow_queue, "wait")),
    "slow disk, records dropped": Fault("overflow", partial(overflow_queue, "drop"), writers=("tblog",)),
}


def trial(fault: str, writer: str, folder: str | Path, seed: int, nth: int) -> Outcome:
    """Apply a fault to a writer, at moments that the seed decides.

    Args:
        fault: its name.
        writer: its name.
        folder: an empty folder.
        seed: of the whole run.
        nth: index of the trial for this fault and writer, from 0 on.
    """
    rng = random.Random(f"{seed}/{fault}/{writer}/{nth}")
    return FAULTS[fault].happen(writer, Path(folder), rng, nth)
