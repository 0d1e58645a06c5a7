"""`TBXLoggerCallback`: Ray Tune's logger for TensorBoard, written through tblog.

It derives from Ray's own, so that Ray does not add its own as well. With `RemoteWriter`, many tasks and actors log to one
run. docs/frameworks.md says what differs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tblog._reports import logger
from tblog.errors import InvalidTypeError, InvalidValueError, MissingDependencyError, UnsupportedTypeError
from tblog.integrations._hparams import flat_hparams
from tblog.integrations._named_values import is_number
from tblog.options import WriterOptions
from tblog.writer import SummaryWriter

try:
    import ray.tune.logger as originals
    from pyarrow.fs import FileSelector
except ModuleNotFoundError as error:
    raise MissingDependencyError("ray[tune]", "ray", __name__) from error

from tblog.integrations._ray_run import RemoteWriter

__all__ = ["RemoteWriter", "TBXLoggerCallback"]

# Ray's own leaves these out, too: the hyperparameters are logged as such, and the rest is the step or not a metric.
_LEFT_OUT = {"config", "pid", "timestamp", "time_total_s", "training_iteration"}


class TBXLoggerCallback(originals.TBXLoggerCallback):
    """Log each trial's results to the trial's directory, with its hyperparameters.

    A trial that continues from a checkpoint continues its run, which is cut off at the first step that is reported now.
    The hyperparameters are written with the first result, with all scalars as metrics.

    Args:
        prefix: text before each tag, joined by `/`. Ray's own has "ray/tune".
        options: options of the writers.

    Example:
        >>> import os
        >>> import ray
        >>> from ray import tune
        >>> from tblog.integrations.ray import TBXLoggerCallback
        >>> def train(config):
        ...     for step in range(3):
        ...         tune.report({"loss": config["lr"] * step})
        >>> _ = ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
        >>> settings = tune.RunConfig(
        ...     name="search", storage_path=os.path.abspath("ray"), callbacks=[TBXLoggerCallback()], verbose=0
        ... )
        >>> _ = tune.Tuner(train, param_space={"lr": tune.grid_search([0.1])}, run_config=settings).fit()
        ╭...
        >>> ray.shutdown()
        >>> import tblog
        >>> tblog.read("ray/search").scalars.filter(tag="loss").step
        array([1, 2, 3])
    """

    def __init__(self, prefix: str = "", *, options: WriterOptions | None = None) -> None:
        self._prefix = f"{prefix}/" if prefix else ""
        self._options = options
        self._writers: dict[Any, SummaryWriter] = {}

    def log_trial_start(self, trial: Any) -> None:
        """Close the run of an earlier start of the trial. The first result opens it again."""
        self.log_trial_end(trial)

    def _open(self, trial: Any, step: int) -> SummaryWriter:
        trial.init_local_path()
        self._bring_back(trial)
        writer = SummaryWriter(trial.local_path, options=self._options, resume=step)
        writer.log_hparams(_hparams(trial))
        self._writers[trial] = writer
        return writer

    def _bring_back(self, trial: Any) -> None:
        """Copy the run from the experiment's storage if a restored trial does not find it on this disk."""
        if not trial.checkpoint:
            return
        storage = trial.storage
        stored = FileSelector(str(storage.trial_fs_path), allow_not_found=True)
        for info in storage.storage_filesystem.get_file_info(stored):
            if "tfevents" in info.base_name and not os.path.exists(
                os.path.join(trial.local_path, info.base_name)
            ):
                self._restore_from_remote(info.base_name, trial)

    def log_trial_result(self, _iteration: int, trial: Any, result: Mapping[str, Any]) -> None:
        """Log the numbers of a result as one event, and arrays as images, videos or histograms.

        Args:
            _iteration: the iteration of the experiment.
            trial: the trial.
            result: values by name, nested to any depth.
        """
        step = int(result.get("timesteps_total") or result["training_iteration"])
        writer = self._writers.get(trial) or self._open(trial, step)
        numbers = {}
        shown = {name: value for name, value in result.items() if name not in _LEFT_OUT}
        for tag, value in _flat(self._prefix, shown):
            if is_number(value) and not isinstance(value, np.ndarray):
                numbers[tag] = value
            else:
                _log_array(writer, tag, value, step)
        writer.add_scalar_dict(numbers, step)

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:  # noqa: ARG002 - Ray's signature
        """Write what is left of a trial and close its files."""
        writer = self._writers.pop(trial, None)
        if writer is not None:
            writer.close()


def _hparams(trial: Any) -> dict[str, Any]:
    """Return what the search chose for a trial, or the whole configuration if it chose nothing.

    Only the names are taken from `evaluated_params`, because some of its values are placeholders.
    """
    config = flat_hparams(trial.config)
    chosen = tuple(f"{name}/" for name in trial.evaluated_params)
    return {name: value for name, value in config.items() if f"{name}/".startswith(chosen)} or config


def _flat(prefix: str, nested: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}/", value)
        else:
            yield f"{prefix}{name}", value


def _log_array(writer: SummaryWriter, tag: str, value: Any, step: int) -> None:
    """Log an array by its number of dimensions, as Ray's own does, and a list of numbers as a histogram."""
    if isinstance(value, (str, bytes)) or not (isinstance(value, list) or hasattr(value, "ndim")):
        return
    try:
        dimensions = getattr(value, "ndim", 1)
        if dimensions == 3:
            writer.add_image(tag, value, step)
        elif dimensions == 4:
            writer.add_images(tag, value, step)
        elif dimensions == 5:
            writer.add_video(tag, value, step, fps=20)
        else:
            writer.add_histogram(tag, value, step)
    except (InvalidTypeError, InvalidValueError, UnsupportedTypeError) as error:
        logger.warning("tblog: %s", error)
