"""Stable-Baselines3 with `tensorboard_log`, used as in its guide, hyperparameters and media included.

https://stable-baselines3.readthedocs.io/en/master/guide/tensorboard.html
"""

from __future__ import annotations

import pytest

from tests.reading import accumulator, points

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PROGRAM = """
import matplotlib.pyplot as plt, numpy as np, torch
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Figure, HParam, Image, TensorBoardOutputFormat, Video

class Media(BaseCallback):
    def _on_training_start(self):
        formats = self.logger.output_formats
        (format_,) = [f for f in formats if isinstance(f, TensorBoardOutputFormat)]
        assert isinstance(format_.writer, tblog.SummaryWriter)
        hparams = {"algorithm": "A2C", "gamma": self.model.gamma}
        self.logger.record("hparams", HParam(hparams, {"rollout/ep_len_mean": 0.0}), exclude=("stdout", "log"))
        excluded = ("stdout", "log", "json", "csv")
        figure = plt.figure()
        figure.add_subplot().plot([1, 2])
        self.logger.record("figure", Figure(figure, close=True), exclude=excluded)
        self.logger.record("image", Image(np.zeros((8, 8, 3), np.uint8), "HWC"), exclude=excluded)
        self.logger.record("video", Video(torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8), fps=4), exclude=excluded)
        self.logger.record("note", "text", exclude=excluded)

    def _on_step(self):
        self.logger.record("reward", self.locals["rewards"][0])
        return True

model = A2C("MlpPolicy", "CartPole-v1", n_steps=5, tensorboard_log="logs", device="cpu")
model.learn(20, callback=Media(), log_interval=1)
"""


def test_stable_baselines3_logs_through_tblog(run_patched, tmp_path):
    """Training, hyperparameters, figures, images, videos and texts of an agent arrive."""
    run_patched(PROGRAM)
    run = tmp_path / "logs/A2C_1"
    found = points(run)
    assert [step for step, _ in found["reward"]] == [5, 10, 15, 20]
    assert {"train/value_loss", "time/fps"} <= set(found)
    tags = accumulator(run).Tags()
    assert set(tags["images"]) >= {"figure", "image", "video"}
    assert "note/text_summary" in tags["tensors"]
