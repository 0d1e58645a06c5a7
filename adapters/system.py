"""The machine under the training: processor, memory, disk, network and GPUs, and the pace of the steps.

A daemon thread takes one sample in each period. The training thread fetches the samples as records when it
logs. Without a GPU, a sample takes well under a millisecond.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tblog._require import require
from tblog.adapters._gpus import Gpus
from tblog.adapters._machine import Machine
from tblog.errors import InvalidValueError
from tblog.records import ScalarRecord

if TYPE_CHECKING:
    from types import TracebackType

_MOST_SAMPLES: Final = 10_000  # about a day of the default period, a few MB
_PACE_SAMPLES: Final = 20  # the time left is computed from the pace of this many periods
_TIME_LEFT: Final = "time_left_secs"


@dataclass(frozen=True, kw_only=True)
class SystemSample:
    """One sample: its records, its time, and the time since the start.

    Attributes:
        records: a `ScalarRecord` for each quantity.
        walltime: seconds since the epoch.
        elapsed_secs: whole seconds since the sampler started. Use it as `global_step` to give each sample
            a point of its own, also while no training step runs.

    Example:
        >>> from tblog.adapters.system import SystemSample
        >>> from tblog.records import ScalarRecord
        >>> record = ScalarRecord(tag="system/cpu_percent", value=12.5)
        >>> sample = SystemSample(records=[record], walltime=1.7e9, elapsed_secs=30)
        >>> sample.elapsed_secs
        30
    """

    records: list[ScalarRecord]
    walltime: float
    elapsed_secs: int


class SystemSampler:
    """Sample the machine and the pace of the training at a fixed period, in a `with` block.

        with SystemSampler(period_secs=10, total_steps=len(batches)) as sampler:
            for step, batch in enumerate(batches):
                ...
                sampler.step()
                writer.add_records(sampler.records(), step)

    Tags are `<tag>/process/cpu_percent` (100 is one core), `<tag>/process/memory_mib` (resident),
    `<tag>/process/threads`, `<tag>/cpu_percent` (100 is all cores), `<tag>/memory_percent`,
    `<tag>/disk/read_mib_per_sec` and `write_...`, `<tag>/network/received_mib_per_sec` and
    `sent_...`; for each NVIDIA GPU that the process may use (with the package nvidia-ml-py)
    `<tag>/gpu0/utilization_percent`, `memory_mib`, `memory_percent`, `power_watts` and
    `temperature_celsius`; and after the first call of `step` `<tag>/steps_per_sec` and, with
    `total_steps`, `<tag>/time_left_secs`. Quantities that the machine does not report, as in some containers,
    are left out.

    A forked child has no sampling thread. It samples nothing unless it enters the sampler again.

    Args:
        period_secs: time between two samples, in seconds.
        total_steps: the number of steps of the whole training, to estimate the time left.
        tag: the beginning of all tags.

    Raises:
        InvalidValueError: the period or the number of steps is not above 0.
        MissingDependencyError: psutil is not installed.

    Example:
        >>> import time
        >>> from tblog.adapters.system import SystemSampler
        >>> with SystemSampler(period_secs=0.01) as sampler:
        ...     records = []
        ...     while not records:
        ...         time.sleep(0.01)
        ...         records = sampler.records()
        >>> "system/process/memory_mib" in [record.tag for record in records]
        True
    """

    def __init__(
        self, period_secs: float = 10.0, *, total_steps: int | None = None, tag: str = "system"
    ) -> None:
        require(period_secs > 0, "SystemSampler: period_secs", period_secs, "a number above 0")
        if total_steps is not None:
            require(total_steps > 0, "SystemSampler: total_steps", total_steps, "a number above 0")
        self._period_secs = period_secs
        self._tag = tag
        self._machine = Machine()
        self._gpus = Gpus()
        self._pace = _Pace(total_steps)
        self._steps = 0
        self._samples: deque[SystemSample] = deque(maxlen=_MOST_SAMPLES)
        self._failure: Exception | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._was_entered = False

    def __enter__(self) -> Self:
        self._leave_to_parent()
        self._was_entered = True
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="tblog-system-sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave_to_parent()
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def step(self, count: int = 1) -> None:
        """Count `count` training steps. It costs one addition."""
        self._steps += count

    def records(self) -> list[ScalarRecord]:
        """Return one scalar for each quantity: its mean since the last call, or the last value for the time left.

        The list is empty if there is no new sample. To keep each sample, use `samples`.

        Raises:
            InvalidValueError: the sampler was never entered.
        """
        values: dict[str, list[float]] = {}
        for sample in self.samples():
            for record in sample.records:
                values.setdefault(record.tag, []).append(record.value)
        last = f"{self._tag}/{_TIME_LEFT}"
        return [
            ScalarRecord(tag=tag, value=series[-1] if tag == last else sum(series) / len(series))
            for tag, series in values.items()
        ]

    def samples(self) -> list[SystemSample]:
        """Return all samples since the last call of `samples` or `records`, the oldest first.

            for sample in sampler.samples():
                writer.add_records(sample.records, sample.elapsed_secs)

        At most the last 10,000 samples are kept until then.

        Raises:
            InvalidValueError: the sampler was never entered.
        """
        if not (self._was_entered or self._samples):
            raise InvalidValueError(
                "SystemSampler: records() or samples() was called before its `with` block; "
                "use the sampler in a `with` block"
            )
        self._leave_to_parent()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            warnings.warn(f"The system sampler stopped: {failure!r}; enter it again to go on", stacklevel=2)
        taken = []
        while self._samples:
            taken.append(self._samples.popleft())
        return taken

    def _leave_to_parent(self) -> None:
        """Start afresh in a forked child: the thread and its samples belong to the parent."""
        if self._pid != os.getpid():
            self._pid, self._thread = os.getpid(), None
            self._stop = threading.Event()  # the parent's may be locked since the fork
            self._samples.clear()

    def _run(self) -> None:
        try:
            start = time.monotonic()
            self._machine.begin(start)
            self._pace.begin(start, self._steps)
            due = start
            while True:
                # Missed periods, such as those of a machine asleep, are skipped and not made up for.
                due = max(due + self._period_secs, time.monotonic())
                if self._stop.wait(due - time.monotonic()):
                    return
                self._samples.append(self._sample(time.monotonic(), start))
        except Exception as error:
            self._failure = error

    def _sample(self, now: float, start: float) -> SystemSample:
        figures = self._machine.read(now) | self._gpus.read() | self._pace.read(now, self._steps)
        return SystemSample(
            records=[ScalarRecord(tag=f"{self._tag}/{name}", value=value) for name, value in figures.items()],
            walltime=time.time(),
            elapsed_secs=round(now - start),
        )


class _Pace:
    """Measures steps per second over the last period, and the time left at the pace of the last periods."""

    def __init__(self, total_steps: int | None) -> None:
        self._total_steps = total_steps
        self._seen: deque[tuple[float, int]] = deque(maxlen=_PACE_SAMPLES + 1)

    def begin(self, now: float, steps: int) -> None:
        self._seen.clear()
        self._seen.append((now, steps))

    def read(self, now: float, steps: int) -> dict[str, float]:
        last = self._seen[-1]
        self._seen.append((now, steps))
        if steps == 0:
            return {}
        figures = {"steps_per_sec": (steps - last[1]) / (now - last[0])}
        first = self._seen[0]
        if self._total_steps is not None and steps > first[1]:
            secs_per_step = (now - first[0]) / (steps - first[1])
            figures[_TIME_LEFT] = max(self._total_steps - steps, 0) * secs_per_step
        return figures
