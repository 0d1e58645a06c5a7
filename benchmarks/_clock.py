"""Clocks: CPU time of a process and its children, and the gaps that a spinning thread sees."""

from __future__ import annotations

import contextlib
import gc
import resource
import time
from dataclasses import dataclass
from pathlib import Path


def cpu_secs() -> float:
    """Return the CPU time that this process, its threads and its finished children have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_bytes() -> int:
    """Return the peak resident memory of this process since `forget_peak` (without /proc, since its start)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Reset the peak resident memory to the present value.

    https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def settle() -> None:
    """Make the garbage collector skip the harness's objects: it would walk lists of a million."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Gap:
    """A time in which a spinning thread did not run: it waited for the interpreter lock, or was preempted."""

    secs: float
    waited: bool


def gaps(secs: float, shortest: float = 100e-6) -> list[Gap]:
    """Spin for `secs` and return the gaps longer than `shortest` seconds.

    A thread that waits for a lock gives up its core, which the kernel counts as a voluntary switch.
    """
    clock = time.perf_counter
    found: list[Gap] = []
    switches = _voluntary_switches()
    last = clock()
    end = last + secs
    while last < end:
        now = clock()
        if now - last > shortest:
            before, switches = switches, _voluntary_switches()
            found.append(Gap(now - last, waited=switches > before))
        last = now
    return found


def _voluntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
