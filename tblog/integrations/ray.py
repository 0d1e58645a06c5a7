"""`TBXLoggerCallback`: Ray Tune's logger for TensorBoard, written through tblog.

    from tblog.integrations.ray import TBXLoggerCallback  # before: from ray.tune.logger

    tune.Tuner(train, run_config=tune.RunConfig(callbacks=[TBXLoggerCallback()])).fit()

It derives from Ray's own, so that Ray does not add that one beside it. For tasks and actors that log to one run there is
`RemoteWriter`.
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

# What Ray's own leaves out: the hyperparameters have a place of their own, and the rest is the step or no metric.
_LEFT_OUT = {"config", "pid", "timestamp", "time_total_s", "training_iteration"}


class TBXLoggerCallback(originals.TBXLoggerCallback):
    """Log each trial's results to the trial's directory, with its hyperparameters.

    A trial that goes on from a checkpoint goes on with its run: what that holds from the first step on that is reported
    now is cut off. The hyperparameters are there from the first result on, with all scalars as metrics.

    Args:
        prefix: put before each tag, with a `/` between; Ray's own has "ray/tune".
        options: of the writers.

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
        """Leave the run that an earlier start of the trial opened; the first result opens it anew."""
        self.log_trial_end(trial)

    def _open(self, trial: Any, step: int) -> SummaryWriter:
        trial.init_local_path()
        self._bring_back(trial)
        writer = SummaryWriter(trial.local_path, options=self._options, resume=step)
        writer.log_hparams(_hparams(trial))
        self._writers[trial] = writer
        return writer

    def _bring_back(self, trial: Any) -> None:
        """Copy the run from the experiment's storage, where a restored trial does not find it on this disk."""
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
        """Log the numbers of a result as one event; arrays as images, videos or histograms.

        Args:
            _iteration: of the experiment.
            trial: which.
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
    """Return what the search chose for a trial, or the whole configuration where it chose nothing.

    The names of its choices are in `evaluated_params`, where some values are placeholders.
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
    """Log an array as what it looks like, as Ray's own does; lists of numbers as histograms."""
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
