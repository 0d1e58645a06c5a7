"""A program in which something happens: it forks, workers of a data loader log, an encoder fails.

Run as `inside.py FAULT WRITER OUT SECS HANG_SECS`. `training.Training` says what is in OUT at the end.
"""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from tests.faults.training import Training

ENCODERS = {
    "tblog": ("tblog.summaries.text", "encode_text"),
    "torch": ("torch.utils.tensorboard.writer", "text"),
    "tensorboardX": ("tensorboardX.writer", "text"),
}


def end_of(child, hang_secs):
    """Return a child's exit status, or kill it when it hangs."""
    deadline = time.monotonic() + hang_secs
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def fork(training, secs, hang_secs):
    """The process forks while its worker is busy, and both log on."""
    training.others["."] = {"child": 100}
    training.log(100)
    training.confirm()
    end = time.monotonic() + secs
    while time.monotonic() < end:
        training.log(100)
    child = os.fork()
    if child == 0:
        for step in range(100):
            training.call("add_scalar", "child", step, step)
        training.call("close")
        os._exit(0)
    training.log(1000)
    training.hung = end_of(child, hang_secs) == "hung"


class LoggingDataset:
    """A dataset whose workers log what they fetch, each under a tag of its own."""

    def __init__(self, writer):
        self.writer = writer
        self.fetched = 0

    def __len__(self):
        return 40

    def __getitem__(self, _index):
        from torch.utils.data import get_worker_info

        self.writer.add_scalar(f"worker{get_worker_info().id}", self.fetched, self.fetched)
        self.fetched += 1
        return np.zeros(1)


def data_loader(training, _secs, hang_secs):
    """Two workers of a data loader log, and so does the training."""
    from torch.utils.data import DataLoader

    training.others["."] = {"worker0": 20, "worker1": 20}
    data = LoggingDataset(training.writer)
    training.log(100)
    training.confirm()
    try:
        for _ in DataLoader(data, batch_size=4, num_workers=2, timeout=hang_secs):
            training.log(100)
    except RuntimeError:  # the data loader waited for so long
        training.hung = True


def failing_encoder(training, _secs, _hang_secs):
    """Every tenth text has no memory to be encoded in."""
    module = importlib.import_module(ENCODERS[training.name][0])
    name = ENCODERS[training.name][1]
    encode, texts = getattr(module, name), itertools.count()

    def fail_sometimes(*arguments):
        if next(texts) % 10 == 9:
            raise MemoryError("on purpose")
        return encode(*arguments)

    setattr(module, name, fail_sometimes)
    training.log(100)
    training.confirm()
    for step in range(100):
        training.call("add_text", "text", "word", step)
        training.log(10)


FAULTS = {
    "fork": fork,
    "data loader": data_loader,
    "failing encoder": failing_encoder,
}


def main(fault, name, out, secs, hang_secs):
    """Let the fault happen, and go to the end of the program, which is a part of it."""
    training = Training(name, Path(out) / "run", out, float(hang_secs))
    FAULTS[fault](training, float(secs), float(hang_secs) / 2)
    training.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
