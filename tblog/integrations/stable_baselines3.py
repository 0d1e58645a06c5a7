"""`TensorBoardOutputFormat`: the output format of Stable-Baselines3 for TensorBoard, written through tblog.

docs/frameworks.md says what differs from Stable-Baselines3's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tblog.errors import MissingDependencyError
from tblog.integrations._hparams import flat_hparams
from tblog.integrations._named_values import is_number
from tblog.writer import SummaryWriter

try:
    from stable_baselines3.common import logger as originals
except ModuleNotFoundError as error:
    raise MissingDependencyError("stable-baselines3", "stable_baselines3", __name__) from error

__all__ = ["TensorBoardOutputFormat"]


class TensorBoardOutputFormat(originals.TensorBoardOutputFormat):
    """Log what an agent's logger records. All numbers of a step become one event.

    `writer` is a `tblog.SummaryWriter`, in the same place as with Stable-Baselines3's own.

    Args:
        folder: the run's directory.
        **kwargs: further arguments of `tblog.SummaryWriter`; `resume=model.num_timesteps + 1` continues a run.

    Example:
        >>> from stable_baselines3.common.logger import Logger
        >>> from tblog.integrations.stable_baselines3 import TensorBoardOutputFormat
        >>> logger = Logger("runs/one", [TensorBoardOutputFormat("runs/one")])  # and then model.set_logger(logger)
        >>> logger.record("train/loss", 0.5)
        >>> logger.dump(step=1)
        >>> logger.close()
        >>> import tblog
        >>> tblog.read("runs").tags
        {'scalars': ['train/loss']}
    """

    def __init__(self, folder: str | os.PathLike[str], **kwargs: Any) -> None:
        self.writer = SummaryWriter(folder, **kwargs)

    def write(self, key_values: Mapping[str, Any], key_excluded: Mapping[str, Any], step: int = 0) -> None:
        """Log numbers, texts, arrays as histograms, and the logger's own types.

        Args:
            key_values: what was recorded, by tag.
            key_excluded: the formats that must not get a tag, by tag.
            step: the step of all values.
        """
        numbers = {}
        for tag, value in sorted(key_values.items()):
            if "tensorboard" in (key_excluded.get(tag) or ()):
                continue
            if is_number(value) and not getattr(value, "ndim", 0):
                numbers[tag] = value
            else:
                self._write_one(tag, value, step)
        if numbers:
            self.writer.add_scalar_dict(numbers, step)

    def _write_one(self, tag: str, value: Any, step: int) -> None:
        if isinstance(value, str):
            self.writer.add_text(tag, value, step)
        elif isinstance(value, originals.Video):
            self.writer.add_video(tag, value.frames, step, value.fps)
        elif isinstance(value, originals.Figure):
            self.writer.add_figure(tag, value.figure, step, close=value.close)
        elif isinstance(value, originals.Image):
            self.writer.add_image(tag, value.image, step, dataformats=value.dataformats)
        elif isinstance(value, originals.HParam):
            self.writer.log_hparams(flat_hparams(value.hparam_dict), list(value.metric_dict))
        elif hasattr(value, "ndim"):
            self.writer.add_histogram(tag, value, step)

    def close(self) -> None:
        """Write what is left and close the files. Writing again opens a new one."""
        self.writer.close()
