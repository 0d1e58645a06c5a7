"""`RemoteWriter`: one run that all workers of a Ray cluster log to.

The run's writer lives in an actor. Each process that logs has a bounded queue, and a thread while something waits in
it. The thread sends what waits as one call, and sends no more until the actor has taken that. So a slow actor fills the
queues, and full queues make the callers wait, or drop and count, as the options say. Nothing grows without bound.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import ray

from tblog._files.logdirs import address_of, name_of
from tblog._reports import logger
from tblog._values import arrays
from tblog.options import WriterOptions
from tblog.writer import SummaryWriter

_Call = tuple[str, Any, Any, int | None, float]

_GATHER_SECS = 0.05
_MOST_SENT = 1_000


class _Run:
    """The writer, in the process of the actor."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._writer = SummaryWriter(**arguments)
        self._methods: dict[str, Callable[..., None]] = {  # by name, because only data is sent
            "scalar": self._writer.add_scalar,
            "scalars": lambda values, _, *more: self._writer.add_scalar_dict(values, *more),
            "histogram": lambda tag, values, step, time: self._writer.add_histogram(
                tag, values, step, walltime=time
            ),
            "image": self._writer.add_image,
            "text": self._writer.add_text,
        }

    def log(self, calls: list[_Call]) -> None:
        for kind, *arguments in calls:
            self._methods[kind](*arguments)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class RemoteWriter:
    """Log to one run from any task or actor of a Ray cluster: pass it to them as an argument.

    A call returns when its value is in the queue of its process. The value is sent within a tenth of a second; a task
    that ends its own process calls `flush` first. What one process logs keeps its order. If several processes log one
    tag, its steps arrive in any order, and TensorBoard leaves some out: give each process tags of its own, such as
    `f"loss/rank{rank}"`.

    Args:
        logdir: directory of the run, on the machine where the actor runs.
        max_queue: calls that may wait in each process before `options.overflow` decides.
        options: of the run's writer; its `overflow` also applies to the queues in the other processes.
        actor_options: of the Ray actor, such as `resources`; it takes no CPU.
        **kwargs: further arguments of `SummaryWriter`.

    Example:
        >>> import os
        >>> import ray
        >>> from tblog.integrations.ray import RemoteWriter
        >>> _ = ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
        >>> @ray.remote
        ... def work(writer, rank):
        ...     writer.add_scalar(f"loss/rank{rank}", 0.5, 1)
        ...     writer.flush()
        >>> writer = RemoteWriter(os.path.abspath("runs/one"))
        >>> _ = ray.get([work.remote(writer, rank) for rank in range(2)])
        >>> writer.close()
        >>> ray.shutdown()
        >>> import tblog
        >>> tblog.read("runs").tags
        {'scalars': ['loss/rank0', 'loss/rank1']}
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str],
        *,
        max_queue: int = 10_000,
        options: WriterOptions | None = None,
        actor_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        options = WriterOptions.of(options)
        arguments = {"logdir": address_of(name_of(logdir, "logdir"), "logdir"), "options": options, **kwargs}
        actor = ray.remote(num_cpus=0, **(actor_options or {}))(_Run)
        self._run: Any = actor.remote(arguments)
        self._max_queue = max_queue
        self._drops = options.overflow == "drop"
        ray.get(self._run.flush.remote())  # a directory that cannot be written is an error here
        self._start_empty()

    def _start_empty(self) -> None:
        self.dropped = 0
        self._waiting: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._sending = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to log to the same run, with a queue of its own."""
        return {"_run": self._run, "_max_queue": self._max_queue, "_drops": self._drops}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_empty()

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None) -> None:
        """Log one number. The call waits for a tensor on a GPU."""
        self._put("scalar", tag, float(arrays.scalar(scalar_value, tag)), global_step)

    def add_scalar_dict(self, tag_scalar_dict: Mapping[str, Any], global_step: int | None = None) -> None:
        """Log many numbers of one step as one event."""
        numbers = {tag: float(arrays.scalar(value, tag)) for tag, value in tag_scalar_dict.items()}
        self._put("scalars", numbers, None, global_step)

    def add_histogram(self, tag: str, values: Any, global_step: int | None = None) -> None:
        """Log the distribution of an array."""
        self._put("histogram", tag, arrays.to_numpy(arrays.snapshot(values, tag)), global_step)

    def add_image(self, tag: str, img_tensor: Any, global_step: int | None = None) -> None:
        """Log an image with the axes CHW."""
        self._put("image", tag, arrays.to_numpy(arrays.snapshot(img_tensor, tag)), global_step)

    def add_text(self, tag: str, text_string: str, global_step: int | None = None) -> None:
        """Log a text, which TensorBoard shows as Markdown."""
        self._put("text", tag, text_string, global_step)

    def _put(self, kind: str, tag: Any, value: Any, step: int | None) -> None:
        call = (kind, tag, value, step, time.time())
        with self._changed:
            if self._drops and len(self._waiting) >= self._max_queue:
                self.dropped += 1
                return
            self._changed.wait_for(lambda: len(self._waiting) < self._max_queue)
            self._waiting.append(call)
            if not self._sending:
                self._sending = True
                threading.Thread(target=self._send, name="tblog-ray", daemon=True).start()

    def _send(self) -> None:
        """Send until nothing waits, and end; the next call starts a new thread. So a task leaves no thread behind."""
        time.sleep(_GATHER_SECS)
        while True:
            with self._changed:
                self._sending = bool(self._waiting)
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_SENT))]
                self._changed.notify_all()
            if not batch:
                return
            try:
                ray.get(self._run.log.remote(batch))
            except Exception as error:
                with self._changed:
                    self.dropped += len(batch)
                logger.error("tblog: %d records for a run in a Ray actor are lost: %s", len(batch), error)

    def flush(self) -> None:
        """Wait until the operating system of the actor's machine has everything that this process logged."""
        with self._changed:
            self._changed.wait_for(lambda: not self._sending)
        ray.get(self._run.flush.remote())

    def close(self) -> None:
        """Write and sync everything, and close the file. The next call of any process opens a new one."""
        with self._changed:
            self._changed.wait_for(lambda: not self._sending)
        ray.get(self._run.close.remote())
