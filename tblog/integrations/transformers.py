"""`TensorBoardCallback`: the callback of transformers' Trainer for TensorBoard, written through tblog.

docs/frameworks.md says what differs from transformers' own.
"""

from __future__ import annotations

import os
from typing import Any

from tblog._values.arguments import default_logdir
from tblog.errors import MissingDependencyError
from tblog.integrations._hparams import flat_hparams
from tblog.integrations._named_values import log_values
from tblog.options import WriterOptions
from tblog.writer import SummaryWriter

try:
    from transformers import TrainerCallback
    from transformers.integrations import rewrite_logs
except ModuleNotFoundError as error:
    raise MissingDependencyError("transformers", "transformers", __name__) from error

__all__ = ["TensorBoardCallback"]


class TensorBoardCallback(TrainerCallback):
    """Log what a Trainer logs, its arguments and its model's configuration. Only the global rank zero writes.

    A training that continues from a checkpoint (`train(resume_from_checkpoint=...)`) with the same `log_dir` continues the
    run, which is first cut off behind the checkpoint's step.

    Args:
        tb_writer: a writer to use instead of a new one.
        log_dir: the run's directory. Each trial of a search has a directory in it. None takes the environment variable
            TENSORBOARD_LOGGING_DIR, or a new directory in the Trainer's `output_dir`, named after time and host.
        options: options of the writer.

    Example:
        >>> import torch
        >>> from tblog.integrations.transformers import TensorBoardCallback
        >>> from transformers import Trainer, TrainingArguments
        >>> class Model(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer = torch.nn.Linear(2, 1)
        ...     def forward(self, x, labels=None):
        ...         y = self.layer(x)
        ...         return {"loss": (y - labels).square().mean(), "logits": y}
        >>> data = [{"x": torch.ones(2), "labels": torch.ones(1)}] * 8
        >>> settings = TrainingArguments("out", max_steps=2, logging_steps=1, use_cpu=True, disable_tqdm=True)
        >>> trainer = Trainer(Model(), settings, train_dataset=data, callbacks=[TensorBoardCallback(log_dir="runs/one")])
        >>> _ = trainer.train()
        {...
        >>> import tblog
        >>> tblog.read("runs").scalars.filter(tag="train/loss").step
        array([1, 2])
    """

    def __init__(
        self,
        tb_writer: SummaryWriter | None = None,
        *,
        log_dir: str | os.PathLike[str] | None = None,
        options: WriterOptions | None = None,
    ) -> None:
        given = os.environ.get("TENSORBOARD_LOGGING_DIR") if log_dir is None else log_dir
        self._log_dir = None if given is None else os.path.expanduser(os.fspath(given))
        self._options = options
        self._given = tb_writer
        self.tb_writer = tb_writer

    def on_train_begin(self, args: Any, state: Any, _control: Any, model: Any = None, **_: Any) -> None:
        """Open the run, and log the arguments, the model's configuration and a trial's parameters."""
        if not state.is_world_process_zero:
            return
        if self._given is None:
            if self.tb_writer is not None:  # the writer of this Trainer's last training
                self.tb_writer.close()
            self.tb_writer = self._open(args, state)
        writer = self._writer(args, state)
        writer.add_text("args", args.to_json_string())
        config = getattr(model, "config", None)
        if config is not None:
            writer.add_text("model_config", config.to_json_string())
        if state.trial_params:
            writer.log_hparams(flat_hparams(state.trial_params))

    def _writer(self, args: Any, state: Any) -> SummaryWriter:
        if self.tb_writer is None:
            self.tb_writer = self._open(args, state)
        return self.tb_writer

    def _open(self, args: Any, state: Any) -> SummaryWriter:
        if self._log_dir is None:
            self._log_dir = os.path.join(args.output_dir, default_logdir(""))
        trial = state.trial_name if state.is_hyper_param_search else None
        return SummaryWriter(
            os.path.join(self._log_dir, trial) if trial else self._log_dir,
            options=self._options,
            resume=state.global_step + 1 if state.global_step else False,
        )

    def on_log(self, args: Any, state: Any, _control: Any, logs: dict[str, Any], **_: Any) -> None:
        """Log numbers and texts at the optimizer's step, as `train/...`, `eval/...` and `test/...`."""
        if state.is_world_process_zero:
            log_values(self._writer(args, state), rewrite_logs(logs), state.global_step)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Close the run's files. A later evaluation opens new files in the same run."""
        if self.tb_writer is not None:
            self.tb_writer.close()
