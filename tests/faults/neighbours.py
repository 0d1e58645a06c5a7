"""Two programs in one log directory."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from tests.faults import neighbour
from tests.faults.outcome import Outcome
from tests.faults.processes import start
from tests.faults.program import shared_counters
from tests.faults.remains import on_disk

LIVING = ("tensorboardX", "torch")
NUMBERS, OTHERS, EMBEDDINGS = 2_000, 100, 40
START_SECS = 60.0


def beside_living(
    what: str, writer: str, folder: Path, _rng: random.Random, nth: int, *, hang_secs: float
) -> Outcome:
    """Let a writer resume, purge or repair a run that another package's writer is still logging.

    That writer has logged half of its numbers and logs the rest afterwards; all count as flushed, since it
    closes in the end.
    """
    logdir, living = folder / "run", LIVING[nth % len(LIVING)]
    counters, progress = _counters(folder / "living.progress")
    with _started(folder, "live", living, logdir, progress, NUMBERS) as alive:
        _wait(alive, lambda: counters[0])
        _, other_progress = _counters(folder / "other.progress")
        with _started(folder, what, writer, logdir, other_progress, OTHERS) as other:
            hung = _hangs(other, hang_secs)
        counters[1] = 1
        hung += _hangs(alive, hang_secs)
    remains = on_disk(logdir)
    logged = 0 if what == "repair" else OTHERS
    return Outcome(
        flushed=NUMBERS,
        lost_flushed=NUMBERS - remains.shown(NUMBERS),
        unflushed=logged,
        lost_unflushed=logged - remains.shown(logged, "other"),
        tails=remains.torn,
        torn=remains.damaged,
        hung=hung,
    )


def embed_together(writer: str, folder: Path, _rng: random.Random, _nth: int, *, hang_secs: float) -> Outcome:
    """Let two programs log embeddings to one run at the same time; count those that its configuration names."""
    logdir = folder / "run"
    hung = 0
    with ExitStack() as stack:
        programs, all_counters = [], []
        for number in range(2):
            counters, progress = _counters(folder / f"{number}.progress")
            counters[2] = number
            all_counters.append(counters)
            programs.append(
                stack.enter_context(_started(folder, "embed", writer, logdir, progress, EMBEDDINGS))
            )
        for program, counters in zip(programs, all_counters, strict=True):
            _wait(program, lambda: counters[0])  # noqa: B023 - called at once
        for counters in all_counters:
            counters[1] = 1
        for program in programs:
            hung += _hangs(program, hang_secs)
    config = text_format.Parse((logdir / "projector_config.pbtxt").read_text(), ProjectorConfig())
    shown = len({embedding.tensor_name for embedding in config.embeddings})
    return Outcome(flushed=2 * EMBEDDINGS, lost_flushed=2 * EMBEDDINGS - shown, hung=hung)


def _counters(path: Path) -> tuple[memoryview[int], Path]:
    path.write_bytes(bytes(24))
    return shared_counters(path), path


def _started(
    folder: Path, what: str, writer: str, logdir: Path, progress: Path, count: int
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    command = (sys.executable, neighbour.__file__, what, writer, logdir, progress, count)
    return start(*command, stderr=folder / f"{what}-{progress.stem}.stderr")


def _wait(process: subprocess.Popen[bytes], reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_SECS
    while not reached() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def _hangs(process: subprocess.Popen[bytes], hang_secs: float) -> int:
    try:
        process.wait(hang_secs)
    except subprocess.TimeoutExpired:
        return 1
    return 0
