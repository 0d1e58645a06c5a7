"""`TensorBoardLogger`: Lightning's logger for TensorBoard, written through tblog.

It derives from Lightning's own, because directories, versions and `hparams.yaml` are the same, and because other code
checks for that type. docs/frameworks.md says what differs.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import Any

from tblog.errors import MissingDependencyError
from tblog.integrations._hparams import flat_hparams
from tblog.integrations._named_values import log_values
from tblog.options import WriterOptions
from tblog.writer import SummaryWriter

__all__ = ["TensorBoardLogger"]


def _package() -> str:
    """Return the package of Lightning that the program uses. There are two, with the same classes."""
    names = ("lightning.pytorch", "pytorch_lightning")
    for name in sorted(names, key=lambda name: name not in sys.modules):
        if importlib.util.find_spec(name.partition(".")[0]):
            return name
    raise MissingDependencyError("lightning", "lightning", __name__)


_LIGHTNING = _package()
_Base: Any = importlib.import_module(f"{_LIGHTNING}.loggers").TensorBoardLogger
rank_zero_experiment: Any = importlib.import_module(f"{_LIGHTNING}.loggers.logger").rank_zero_experiment
rank_zero_only: Any = importlib.import_module(f"{_LIGHTNING}.utilities").rank_zero_only


class TensorBoardLogger(_Base):
    """Log a Lightning training to `save_dir/name/version`. Only rank zero writes.

    `logger.experiment` is a `tblog.SummaryWriter` for all other kinds of records. `log_metrics` and the experiment do not
    wait for tensors on a GPU.

    Args:
        save_dir: directory of all experiments.
        name: the experiment's directory in `save_dir`. "" means `save_dir` itself.
        version: the run's directory in that: a name, or a number for `version_<number>`. None takes the next number.
        log_graph: draw the model's graph from its `example_input_array`.
        default_hp_metric: log `hp_metric` as -1 with hyperparameters that come without metrics. TensorBoard's
            table of hyperparameters does not need it: it offers all scalars of the run as metrics.
        prefix: text before each metric's name, joined by `-`.
        sub_dir: directory for the event files, in that of the version.
        resume: continue the run of this `version`. A number cuts off the run from that step on, at once. True waits
            for the first step that is logged, which is where the checkpoint was, and cuts off from there on;
            `experiment` is a new writer from then on.
        **kwargs: further arguments of `tblog.SummaryWriter`, such as `options`. By default, calls without a step are
            numbered.

    Example:
        >>> from tblog.integrations.lightning import TensorBoardLogger
        >>> logger = TensorBoardLogger("logs")  # and then Trainer(logger=logger)
        >>> logger.log_hyperparams({"lr": 0.1})
        >>> logger.log_metrics({"loss": 0.5}, step=1)
        >>> logger.finalize("success")
        >>> import tblog
        >>> tblog.read("logs")["lightning_logs/version_0"].tags["scalars"]
        ['loss']
    """

    def __init__(
        self,
        save_dir: str | os.PathLike[str],
        name: str | None = "lightning_logs",
        version: int | str | None = None,
        log_graph: bool = False,
        default_hp_metric: bool = False,
        prefix: str = "",
        sub_dir: str | os.PathLike[str] | None = None,
        *,
        resume: bool | int = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("options", WriterOptions(auto_step=True))
        # Lightning's class draws no graph without the tensorboard package, and writes hyperparameters itself if there
        # is a metric. So it gets neither argument.
        super().__init__(
            save_dir, name, version, default_hp_metric=False, prefix=prefix, sub_dir=sub_dir, **kwargs
        )
        self._log_graph = log_graph
        self._placeholder = default_hp_metric
        self._resume = resume
        self._session_due = False
        self._metric_tags: list[str] = []
        self._hparams_saved = False

    @property
    @rank_zero_experiment
    def experiment(self) -> SummaryWriter:
        """The writer of the run, which the first use opens. On other ranks than zero it does nothing."""
        if self._experiment is None:
            self._open(self._resume)
        writer: SummaryWriter = self._experiment
        return writer

    def _open(self, resume: bool | int) -> None:
        self._experiment = SummaryWriter(self.log_dir, resume=resume, **self._kwargs)

    def _go_on_at(self, step: int) -> None:
        """Cut off the run from a step on. Lightning opens the run before it knows the step."""
        self._resume = False
        if self._experiment is not None:
            self._experiment.close()
        self._open(step)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers by name as one event, and each dict of numbers as one chart with several curves.

        Args:
            metrics: numbers or tensors of one element, on any device, or dicts of them.
            step: the step of all metrics.
        """
        if self._resume is True and step is not None:
            self._go_on_at(step)
        self._log_session()
        log_values(self.experiment, {self._tag(name): value for name, value in metrics.items()}, step)

    def _tag(self, name: str) -> str:
        return f"{self._prefix}{self.LOGGER_JOIN_CHAR}{name}" if self._prefix else name

    @rank_zero_only
    def log_hyperparams(self, params: Any, metrics: Any = None, step: int | None = None) -> None:
        """Keep hyperparameters for `hparams.yaml` and for the run's line in TensorBoard's table.

        TensorBoard takes the first such line of a run. It is written with the first metrics, and holds everything that
        was given before.

        Args:
            params: hyperparameters by name, nested to any depth, or a `Namespace`.
            metrics: the numbers that judge the run, by tag, or one number for the tag `hp_metric`. By default
                TensorBoard offers all scalars of the run.
            step: the step of the metrics.
        """
        super().log_hyperparams(params)  # keeps them for the file
        self._session_due = True
        if metrics is None and self._placeholder:
            metrics = -1
        if metrics is not None:
            metrics = metrics if isinstance(metrics, dict) else {"hp_metric": metrics}
            self._metric_tags = list(dict.fromkeys([*self._metric_tags, *map(self._tag, metrics)]))
            self.log_metrics(metrics, step)

    def _log_session(self) -> None:
        if self._session_due:
            self._session_due = False
            self.experiment.log_hparams(flat_hparams(self.hparams), self._metric_tags)

    @rank_zero_only
    def save(self) -> None:
        """Write `hparams.yaml`, once there is a run.

        Lightning calls this at each step that it logs, so it does not flush. Records are visible within a second
        anyway, and `logger.experiment.flush()` waits for them.
        """
        if self._experiment is not None and not self._hparams_saved:
            super().save()
            self._hparams_saved = True

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left and close the files. Logging again opens new files in the same run.

        Args:
            status: how the training ended, in Lightning's words.
        """
        self._log_session()
        super().finalize(status)
