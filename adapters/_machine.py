"""Figures of this process and its host, from psutil. Runs on the sampler's thread."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

from tblog.adapters._gpus import MEBIBYTE
from tblog.errors import MissingDependencyError

_LOOPBACK: Final = re.compile(r"lo\d*$|.*loopback", re.IGNORECASE)


class Machine:
    """Reads processor, memory, disk and network."""

    def __init__(self) -> None:
        try:
            import psutil
        except ModuleNotFoundError:
            raise MissingDependencyError("psutil", "adapters", "SystemSampler") from None
        self._psutil = psutil

    def begin(self, now: float) -> None:
        """Start counting at `now`, a time in seconds."""
        # psutil keeps its reference for processor times per thread, so this runs on the sampling thread.
        self._process = self._psutil.Process()
        self._figures()
        self._before = now, self._transferred()

    def read(self, now: float) -> dict[str, float]:
        """Return the figures by name ("disk/read_mib_per_sec"). Rates are since the previous call."""
        figures = self._figures()
        then, before = self._before
        self._before = now, self._transferred()
        for name, amount in self._before[1].items():
            figures[f"{name}_mib_per_sec"] = (amount - before.get(name, amount)) / MEBIBYTE / (now - then)
        return figures

    def _figures(self) -> dict[str, float]:
        process, psutil = self._process, self._psutil
        readings: dict[str, Callable[[], float]] = {
            "process/cpu_percent": process.cpu_percent,
            "process/memory_mib": lambda: process.memory_info().rss / MEBIBYTE,
            "process/threads": process.num_threads,
            "cpu_percent": psutil.cpu_percent,
            "memory_percent": lambda: psutil.virtual_memory().percent,
        }
        figures = {}
        for name, read in readings.items():
            with self._what_there_is():
                figures[name] = float(read())
        return figures

    def _transferred(self) -> dict[str, int]:
        totals = {}
        with self._what_there_is():
            interfaces: dict[str, Any] = self._psutil.net_io_counters(pernic=True)
            outside = [counted for name, counted in interfaces.items() if not _LOOPBACK.match(name)]
            totals["network/received"] = sum(counted.bytes_recv for counted in outside)
            totals["network/sent"] = sum(counted.bytes_sent for counted in outside)
        with self._what_there_is():
            disk = self._psutil.disk_io_counters()
            if disk is not None:  # the machine may have no disk of its own
                totals |= {"disk/read": disk.read_bytes, "disk/write": disk.write_bytes}
        return totals

    def _what_there_is(self) -> AbstractContextManager[None]:
        """Leave out what the machine does not report: containers lack parts of /proc, or may not read them."""
        return suppress(OSError, NotImplementedError, self._psutil.Error)
