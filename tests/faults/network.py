"""A program that logs to a directory on a faulty network file system.

Run as `network.py FAULT WRITER OUT SECS HANG_SECS` with the library of network.c preloaded, see `shim.on_network`.
`training.Training` documents the contents of OUT at the end. Writers that sync do so twice a second.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

from tests.faults.shim import RULES, set_faults
from tests.faults.training import Training

SYNC_SECS = 0.5


def slow_fsync(training: Training, rules: Path, secs: float) -> None:
    """Every fsync takes `secs`; 20,000 numbers are logged during two of them."""
    set_faults(rules, f"fsync 0 -1 {secs * 1000:.0f}")
    _log_for(training, 20_000, 2 * secs)


def stale_handles(training: Training, rules: Path, secs: float) -> None:
    """The server forgets its handles: the next calls of each kind on the log directory answer ESTALE."""
    stale = [f"{what} {errno.ESTALE} 3 0" for what in ("write", "fsync", "open", "stat", "close", "create")]
    set_faults(rules, *stale)
    _log_for(training, 20_000, secs)


def full_at_fsync(training: Training, rules: Path, secs: float) -> None:
    """The server is full for `secs`: writes succeed, but the next fsync or close fails and their bytes are gone."""
    _log_for(training, 1000, 2 * SYNC_SECS)
    set_faults(rules, f"cache {errno.ENOSPC} -1 0")
    _log_for(training, 20_000, secs)
    set_faults(rules)
    _log_for(training, 1000, 2 * SYNC_SECS)


def late_names(training: Training, rules: Path, secs: float) -> None:
    """A new or renamed file is invisible for `secs`; a run below is started meanwhile."""
    below = {"torch": "runs_a", "tblog": "runs_a", "tensorboardX": "runs/a"}[training.name]
    training.others[below] = {"runs": 100}
    set_faults(rules, f"late 0 -1 {secs * 1000:.0f}")
    for step in range(100):
        training.call("add_scalars", "runs", {"a": step}, step)
        _log_for(training, 100, 2 * secs / 100)


FAULTS = {
    "slow fsync": slow_fsync,
    "stale handles": stale_handles,
    "full at fsync": full_at_fsync,
    "late names": late_names,
}


def _log_for(training: Training, count: int, secs: float) -> None:
    """Log this many numbers, spread over this many seconds."""
    started = time.monotonic()
    for part in range(10):
        time.sleep(max(0.0, started + secs * part / 10 - time.monotonic()))
        training.log(count // 10)


def main(fault: str, name: str, out: str, secs: str, hang_secs: str) -> None:
    """Apply the fault to the writer, and keep what remains."""
    rules = Path(os.environ[RULES])
    training = Training(name, Path(out) / "network" / "run", out, float(hang_secs), flush_secs=SYNC_SECS)
    training.rescue = lambda: set_faults(rules)
    training.log(1000)
    training.confirm()
    FAULTS[fault](training, rules, float(secs))
    set_faults(rules)
    training.log(10)
    training.end()
    os._exit(0)  # the originals may hang at exit, which is not tested here


if __name__ == "__main__":
    main(*sys.argv[1:])
