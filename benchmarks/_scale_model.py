"""Computes what logging from many ranks costs, from measured constants: events, bytes, files, requests, CPU and reading time.

Lives here: the arithmetic of docs/scale.md. Must not: measure anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from tblog._delivery.worker import ROUND_SECS
from tblog._ranks.courier import PAUSE_OF_A_RANK_SECS, PAUSE_SECS

DAY_SECS = 86_400.0
DOLLARS_A_REQUEST = 5e-6
"""List price of a PUT to S3 Standard in us-east-1, https://aws.amazon.com/s3/pricing: $0.005 for 1,000."""
NETWORK_BYTES_A_NUMBER = 28
"""What a number takes on its way to rank 0, which joins those of all ranks: which tag (4 bytes), value, step and time (8 each)."""


@dataclass(frozen=True)
class Load:
    """What a training logs.

    Attributes:
        ranks: how many processes.
        scalars: numbers that each logs at a step.
        rate: steps a second.
        secs: how long.
        as_dict: whether the numbers of a step are one event.
    """

    ranks: int
    scalars: int
    rate: float
    secs: float
    as_dict: bool = False

    @property
    def steps(self) -> int:
        """Return the number of steps."""
        return round(self.rate * self.secs)

    @property
    def rounds(self) -> float:
        """Return how often a writer's worker finds something to write."""
        return min(self.rate, 1 / ROUND_SECS) * self.secs


@dataclass(frozen=True)
class OfScalar:
    """What one scalar takes.

    Attributes:
        nbytes: in a file.
        cpu: CPU seconds of its rank, from the call to the file.
        accumulator: CPU seconds that TensorBoard's EventAccumulator takes to read it, by one thread.
        rust: the same of its Rust data server, which reads several runs at once.
    """

    nbytes: float
    cpu: float
    accumulator: float
    rust: float


@dataclass(frozen=True)
class OfReduce:
    """What `ranks="reduce"` takes beside the files, in CPU seconds.

    Attributes:
        poll: of rank 0, for a second in which the others send nothing.
        batch: of rank 0, for a batch that it takes, with the store's server.
        join: of rank 0, for a number.
        send_round: of another rank, for a batch.
        send: of another rank, for a number, its call included.
    """

    poll: float
    batch: float
    join: float
    send_round: float
    send: float

    @staticmethod
    def batches(load: Load) -> float:
        """Return how many batches a rank sends; see tblog/_ranks/courier.py."""
        rounds = load.secs / max(PAUSE_SECS + PAUSE_OF_A_RANK_SECS * load.ranks, 1 / load.rate)
        return max(rounds, load.scalars * load.steps / 500)


@dataclass(frozen=True)
class Constants:
    """What was measured with one process.

    Attributes:
        alone: a scalar that was logged by a call of its own.
        in_dict: one of a dict of many.
        cpu_round: CPU seconds of a round of a writer's worker that finds something to write.
        cpu_silent: CPU seconds of a call on a rank that writes nothing.
        cpu_step: CPU seconds of a step of the training itself, which only sleeps here, and calls with cold caches.
        rust_start: CPU seconds of a Rust data server that has read next to nothing.
        reduce: what joining all ranks takes.
        segment_bytes, segment_secs: where a segment of an object store ends.
    """

    alone: OfScalar
    in_dict: OfScalar
    cpu_round: float
    cpu_silent: float
    cpu_step: float
    rust_start: float
    reduce: OfReduce = OfReduce(0.0, 0.0, 0.0, 0.0, 0.0)
    segment_bytes: float = 8 * 2**20
    segment_secs: float = 120.0


@dataclass(frozen=True)
class Cost:
    """What a load comes to under one rule. Seconds and bytes are those of the whole load.

    Attributes:
        scalars, events, nbytes, files: in the log directory.
        requests: PUTs to an object store, by segments.
        cpu: of all ranks together, and of rank 0.
        cpu_of_zero: CPU seconds of rank 0 alone.
        network: bytes that the other ranks send to rank 0.
        accumulator, rust: CPU seconds to read everything.
    """

    scalars: float
    events: float
    nbytes: float
    files: float
    requests: float
    cpu: float
    cpu_of_zero: float
    network: float
    accumulator: float
    rust: float


def cost(rule: str, load: Load, constants: Constants) -> Cost:
    """Return what a load comes to where each rank writes, rank 0 alone ("zero"), or rank 0 what all send it ("reduce")."""
    writers = load.ranks if rule == "each" else 1
    of_one = load.scalars * load.steps
    scalars = writers * of_one
    each = constants.in_dict if load.as_dict else constants.alone
    cpu_of_loop = load.steps * constants.cpu_step
    cpu_of_one = of_one * each.cpu + load.rounds * constants.cpu_round + cpu_of_loop
    calls = load.steps if load.as_dict else of_one
    cpu_of_silent = calls * constants.cpu_silent + cpu_of_loop
    others = (load.ranks - 1) * of_one if rule == "reduce" else 0
    batches, joint = constants.reduce.batches(load), constants.reduce
    cpu_of_zero = cpu_of_one
    if rule == "reduce":
        cpu_of_zero += joint.poll * load.secs + (of_one + others) * joint.join
        cpu_of_zero += (load.ranks - 1) * batches * joint.batch
    cpu = {
        "each": load.ranks * cpu_of_one,
        "zero": cpu_of_zero + (load.ranks - 1) * cpu_of_silent,
        "reduce": cpu_of_zero
        + (load.ranks - 1) * (batches * joint.send_round + of_one * joint.send + cpu_of_loop),
    }[rule]
    by_size = of_one * each.nbytes / constants.segment_bytes
    by_age = load.secs / constants.segment_secs
    return Cost(
        scalars=scalars,
        events=writers * load.steps if load.as_dict else scalars,
        nbytes=scalars * each.nbytes,
        files=writers,
        requests=writers * max(1.0, by_size, by_age),
        cpu=cpu,
        cpu_of_zero=cpu_of_zero,
        network=others * NETWORK_BYTES_A_NUMBER,
        accumulator=scalars * each.accumulator,
        rust=constants.rust_start + scalars * each.rust,
    )
