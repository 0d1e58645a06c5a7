"""`TensorBoardTracker`: Accelerate's tracker for TensorBoard, written through tblog.

docs/frameworks.md says what differs from Accelerate's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tblog.errors import MissingDependencyError
from tblog.integrations._hparams import flat_hparams
from tblog.integrations._named_values import log_values
from tblog.writer import SummaryWriter

try:
    from accelerate.tracking import GeneralTracker, on_main_process
except ModuleNotFoundError as error:
    raise MissingDependencyError("accelerate", "accelerate", __name__) from error

__all__ = ["TensorBoardTracker"]


class TensorBoardTracker(GeneralTracker):
    """Log an Accelerator's training to `logging_dir/run_name`. Only the main process writes.

    `tracker`, and `accelerator.get_tracker("tensorboard", unwrap=True)`, is a `tblog.SummaryWriter` for all other
    kinds of records. No call waits for a tensor on a GPU.

    Args:
        run_name: the run's directory in `logging_dir`.
        logging_dir: directory of all runs.
        **kwargs: further arguments of `tblog.SummaryWriter`; `resume` continues a run.

    Example:
        >>> from accelerate import Accelerator
        >>> from tblog.integrations.accelerate import TensorBoardTracker
        >>> accelerator = Accelerator(cpu=True, log_with=TensorBoardTracker("run", "logs"))
        >>> accelerator.init_trackers("run", config={"lr": 0.1})
        >>> accelerator.log({"loss": 0.5}, step=1)
        >>> accelerator.end_training()
        >>> import tblog
        >>> tblog.read("logs")["run"].tags["scalars"]
        ['loss']
    """

    name = "tensorboard"
    requires_logging_directory = True

    def __init__(self, run_name: str, logging_dir: str | os.PathLike[str], **kwargs: Any) -> None:
        super().__init__()
        self.run_name = run_name
        self.logging_dir = os.path.join(logging_dir, run_name)
        self.init_kwargs = kwargs

    @on_main_process
    def start(self) -> None:
        """Open the run. The Accelerator calls this once it knows its processes."""
        self.writer = SummaryWriter(self.logging_dir, **self.init_kwargs)

    @property
    def tracker(self) -> SummaryWriter:
        """The writer, on the main process."""
        return self.writer

    @on_main_process
    def store_init_configuration(self, values: Any) -> None:
        """Log a configuration as the hyperparameters of the run, with all its scalars as metrics.

        Args:
            values: the configuration by name, nested to any depth.
        """
        self.writer.log_hparams(flat_hparams(values))

    @on_main_process
    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Log numbers as one event, texts, and dicts of numbers as charts of several curves.

        Args:
            values: by tag.
            step: the step of all values.
            **kwargs: `walltime`, in seconds since the epoch.
        """
        log_values(self.writer, values, step, **kwargs)

    @on_main_process
    def log_images(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Log batches of images.

        Args:
            values: images by tag, as for `SummaryWriter.add_images`.
            step: the step of all images.
            **kwargs: further arguments of that call, such as `dataformats`.
        """
        for tag, images in values.items():
            self.writer.add_images(tag, images, step, **kwargs)

    @on_main_process
    def finish(self) -> None:
        """Write what is left and close the files."""
        self.writer.close()
