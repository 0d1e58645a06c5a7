"""`GlobalSummaryWriter`: one writer for all processes of a training. It counts the steps itself.

The writer runs in a process of its own, and only that process writes the event file. One file for each
process would not work: TensorBoard reads the files of a run one after the other, and drops the points of a
tag whose steps go back (https://github.com/tensorflow/tensorboard/blob/da1944c21c9cc83b0d7e10dbe1b39bc2357cd87e/tensorboard/data/server/run.rs).
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any, Self

from tblog._files.logdirs import address_of, name_of
from tblog._global_series import SeriesManager, SeriesProcess
from tblog._values import arrays
from tblog._values.arguments import clean_tag, default_logdir, time_or_now
from tblog._values.checks import plain_text, to_text
from tblog.errors import without_user
from tblog.options import WriterOptions

logger = logging.getLogger("tblog")


class GlobalSummaryWriter:
    """Log from any process into one run. Every call takes the next step of its tag.

    Use it in processes forked after it was made, or pass it to a process as an argument, with any start
    method. A call returns when the record is in the writer's queue, which takes about 0.1 ms.

    When the process that made the writer ends, it waits for its multiprocessing children, and then
    everything is written. If that process is killed, the writer's process ends too, after the processes that
    were forked from it.

    Args:
        logdir: as in `SummaryWriter`, like all arguments that are not listed here.
        coalesce_process: not used, as in tensorboardX.
        options: as in `SummaryWriter`.

    Raises:
        InvalidTypeError: as in `SummaryWriter`.
        InvalidValueError: as in `SummaryWriter`.
        OSError: as in `SummaryWriter`, or the writer's process ended while it started.

    Example:
        >>> from tblog import GlobalSummaryWriter
        >>> with GlobalSummaryWriter("runs/all") as writer:
        ...     writer.add_scalar("loss", 0.5)  # step 0
        ...     writer.add_scalar("loss", 0.4)  # step 1
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | os.PathLike[str] | None = None,
        coalesce_process: bool = True,  # noqa: ARG002 - tensorboardX has this argument and ignores it
        *,
        options: WriterOptions | None = None,
    ) -> None:
        given = log_dir if log_dir is not None else logdir
        self.logdir: str = name_of(given, "log_dir") if given else default_logdir(comment)
        arguments = {
            "log_dir": address_of(
                self.logdir, "log_dir"
            ),  # absolute now: the other process may change its directory
            "purge_step": purge_step,
            "max_queue": max_queue,
            "flush_secs": flush_secs,
            "filename_suffix": filename_suffix,
            "write_to_disk": write_to_disk,
            "options": WriterOptions.of(options),
        }
        self._process = SeriesProcess(arguments, self.logdir)
        self._address = self._process.address
        self._forget_connection()

    def _forget_connection(self) -> None:
        self._remote: Any = None
        self._pid = 0
        self._connecting = threading.Lock()

    @property
    def _series(self) -> Any:
        """Return the proxy of the writer. Each process opens its own connection."""
        if self._pid != os.getpid():
            self._connecting = threading.Lock() if self._pid else self._connecting
            with self._connecting:
                manager = SeriesManager(self._address)
                manager.connect()
                self._remote = manager.series()  # type: ignore[attr-defined] # registered below
                # All proxies of an address share one connection per thread. multiprocessing drops it only in
                # its own children: a child of os.fork would write into the parent's connection.
                self._remote._tls = threading.local()  # noqa: SLF001 - there is no public way
                self._pid = os.getpid()
        return self._remote

    def __repr__(self) -> str:
        """Return the directory, and ask nothing of the writer's process."""
        return f"<{type(self).__name__} {without_user(self.__dict__.get('logdir', ''))!r}>"

    def __getstate__(self) -> dict[str, Any]:
        """Return the address of the writer's process, so that a copy logs into the same run."""
        return {"_address": self._address, "logdir": self.logdir}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget_connection()

    def add_scalar(self, tag: str, scalar_value: Any, walltime: float | None = None) -> None:
        """Log one number at the tag's next step; see `SummaryWriter.add_scalar`."""
        name = clean_tag(tag, "torch")
        self._add("add_scalar", name, float(arrays.scalar(scalar_value, name)), walltime)

    def add_image(
        self, tag: str, img_tensor: Any, walltime: float | None = None, dataformats: str = "CHW"
    ) -> None:
        """Log an image at the tag's next step; see `SummaryWriter.add_image`."""
        name = clean_tag(tag, "torch")
        image = arrays.to_numpy(arrays.snapshot(img_tensor, name, copy=False, masked="zero"))
        self._add("add_image", name, image, walltime, dataformats=plain_text(dataformats))

    def add_text(self, tag: str, text_string: str, walltime: float | None = None) -> None:
        """Log a text at the tag's next step; see `SummaryWriter.add_text`."""
        name = clean_tag(tag, "torch")
        self._add("add_text", name, to_text(text_string, f"text {name!r}"), walltime)

    def _add(self, method: str, tag: str, value: Any, walltime: float | None, **more: Any) -> None:
        wall_time = time_or_now(walltime, f"{tag!r}: walltime")
        self._series.add(method, tag, value, {"walltime": wall_time, **more})

    @classmethod
    def getSummaryWriter(cls) -> GlobalSummaryWriter:  # noqa: N802 - tensorboardX's name
        """Return the one writer that all modules of this process share. The first call makes it."""
        global _shared  # noqa: PLW0603 - a shared writer is what this method is for
        with _sharing:
            if _shared is None:
                _shared = cls()
            logger.info("the global writer logs to %s", _shared.logdir)
            return _shared

    @property
    def file_writer(self) -> Any:
        """Return an object with the methods `get_logdir`, `flush` and `close` of the run's file writer."""
        return self._series

    def get_logdir(self) -> str:
        """Return the directory of the event file, as given to the constructor."""
        return self.logdir

    def flush(self) -> None:
        """Hand everything that any process has logged to the operating system, and return then."""
        self._series.flush()

    def close(self) -> None:
        """Write and sync everything, and close the file. The next call opens a new one."""
        self._series.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_shared: GlobalSummaryWriter | None = None
_sharing = threading.Lock()
