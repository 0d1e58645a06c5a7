"""A program with a fault inside: it forks, a data loader's workers log, an encoder is slow or fails, handles run out.

Run as `inside.py FAULT WRITER OUT SECS HANG_SECS`. `training.Training` documents the contents of OUT at the end.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from tests.faults.encoders import FRAMES, fail_sometimes, slow_down
from tests.faults.training import Training

HANDLES, RUNS = 24, 60
BEGIN_SECS = 60.0


def end_of(child: int, hang_secs: float) -> int | Literal["hung"]:
    """Return a child's exit status, or kill it if it hangs."""
    deadline = time.monotonic() + hang_secs
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def fork(training: Training, secs: float, hang_secs: float) -> None:
    """The process forks while its worker is busy, and both processes log on."""
    training.log(100)
    training.confirm()
    end = time.monotonic() + secs
    while time.monotonic() < end:
        training.log(100)
    fork_and_log_on(training, hang_secs)


def fork_and_log_on(training: Training, hang_secs: float) -> None:
    """Fork; the child logs a hundred numbers and closes, the parent logs a thousand."""
    training.others["."] = {"child": 100}
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        for step in range(100):
            training.call("add_scalar", "child", step, step)
        training.call("close")
        os._exit(0)
    training.fork = time.monotonic() - started
    training.log(1000)
    training.hung = end_of(child, hang_secs) == "hung"


class LoggingDataset:
    """A dataset whose workers log each item they fetch, each worker under its own tag."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self.fetched = 0

    def __len__(self) -> int:
        return 40

    def __getitem__(self, _index: int) -> NDArray[Any]:
        from torch.utils.data import get_worker_info

        worker = get_worker_info()
        assert worker is not None
        self.writer.add_scalar(f"worker{worker.id}", self.fetched, self.fetched)
        self.fetched += 1
        return np.zeros(1)


def data_loader(training: Training, _secs: float, hang_secs: float) -> None:
    """Two workers of a data loader log, and so does the training."""
    from torch.utils.data import DataLoader, Dataset

    training.others["."] = {"worker0": 20, "worker1": 20}
    data = LoggingDataset(training.writer)
    training.log(100)
    training.confirm()
    try:
        for _ in DataLoader[Any](cast("Dataset[Any]", data), batch_size=4, num_workers=2, timeout=hang_secs):
            training.log(100)
    except RuntimeError:  # the data loader timed out
        training.hung = True


def failing_encoder(training: Training, _secs: float, _hang_secs: float) -> None:
    """Every tenth text fails with a lack of memory."""
    fail_sometimes(training.name)
    training.log(100)
    training.confirm()
    for step in range(100):
        training.call("add_text", "text", "word", step)
        training.log(10)


def log_slow_video(training: Training, secs: float) -> None:
    """Log a video that takes this long to encode, after a fast one that loads all imports."""
    training.call("add_video", "video", FRAMES, 0)
    training.log(100)
    training.confirm()
    begun = slow_down(training.name, secs)
    training.call("add_video", "video", FRAMES, 1)
    if not begun.wait(BEGIN_SECS):
        raise RuntimeError("the slow encoder was never asked")


def slow_encoder_close(training: Training, secs: float, _hang_secs: float) -> None:
    """A video takes this long to encode, a thousand numbers follow, and the process ends after close returns."""
    log_slow_video(training, secs)
    training.log(1000)
    training.end()
    os._exit(0)


def slow_encoder_fork(training: Training, secs: float, hang_secs: float) -> None:
    """The process forks while a video takes this long to encode."""
    log_slow_video(training, secs)
    training.log(10)
    fork_and_log_on(training, hang_secs)


def few_handles(training: Training, _secs: float, _hang_secs: float) -> None:
    """The process may open only a few more files, and logs to sixty runs below its own."""
    below = "runs/{}" if training.name == "tensorboardX" else "runs_{}"
    training.others |= {below.format(run): {"runs": 20} for run in range(RUNS)}
    training.log(100)
    training.confirm()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + HANDLES, limits[1]))
    for step in range(20):
        training.call("add_scalars", "runs", {str(run): step for run in range(RUNS)}, step)
        training.log(50)
    training.call("close")
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


FAULTS = {
    "fork": fork,
    "data loader": data_loader,
    "failing encoder": failing_encoder,
    "slow encoder, close": slow_encoder_close,
    "slow encoder, fork": slow_encoder_fork,
    "few handles": few_handles,
}


def main(fault: str, name: str, out: str, secs: str, hang_secs: str) -> None:
    """Apply the fault, and run to the end of the program, which is part of it."""
    training = Training(name, Path(out) / "run", out, float(hang_secs))
    FAULTS[fault](training, float(secs), float(hang_secs) / 2)
    training.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
