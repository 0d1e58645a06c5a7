"""Stable-Baselines3 with the output format of tblog.integrations: a real training, read back."""

from __future__ import annotations

import pytest

from tests.reading import accumulator, hparams, points

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

TRAINING = """
import matplotlib.pyplot as plt, numpy as np, torch
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import (
    Figure, HParam, Image, Logger, TensorBoardOutputFormat as Original, Video,
)
from tblog.integrations.stable_baselines3 import TensorBoardOutputFormat

class Media(BaseCallback):
    def _on_training_start(self):
        (format_,) = [f for f in self.logger.output_formats if isinstance(f, Original)]
        format_.writer.add_text("by hand", "text")
        hparams = {"algorithm": "A2C", "gamma": self.model.gamma, "net": {"width": 64}}
        self.logger.record("hparams", HParam(hparams, {"reward": 0.0}))
        figure = plt.figure()
        figure.add_subplot().plot([1, 2])
        self.logger.record("figure", Figure(figure, close=True))
        self.logger.record("image", Image(np.zeros((8, 8, 3), np.uint8), "HWC"))
        self.logger.record("video", Video(torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8), fps=4))
        self.logger.record("array", np.arange(4.0))
        self.logger.record("note", "text")
        self.logger.record("secret", 1.0, exclude=("tensorboard",))

    def _on_step(self):
        self.logger.record("reward", self.locals["rewards"][0])
        return True

model = A2C("MlpPolicy", "CartPole-v1", n_steps=5, device="cpu", seed=0)
model.set_logger(Logger("run", [TensorBoardOutputFormat("run")]))
model.learn(20, callback=Media(), log_interval=1)
model.logger.close()
model.set_logger(Logger("run", [TensorBoardOutputFormat("run", resume=model.num_timesteps - 4)]))
model.learn(10, log_interval=1, reset_num_timesteps=False)
model.logger.close()
"""


def test_a_training_is_logged(run, tmp_path):
    """An agent's numbers, media, texts and hyperparameters arrive in the run, except those excluded from it."""
    run(TRAINING)
    found = points(tmp_path / "run")
    assert [step for step, _ in found["reward"]] == [5, 10, 15]
    assert {"train/value_loss", "time/fps"} <= set(found)
    assert "secret" not in found
    tags = accumulator(tmp_path / "run").Tags()
    assert set(tags["images"]) >= {"figure", "image", "video"}
    assert set(tags["tensors"]) >= {"note/text_summary", "by hand/text_summary"}
    assert tags["histograms"] == ["array"]
    assert hparams(tmp_path / "run")[1] == ["reward"]
    assert hparams(tmp_path / "run")[0] == {"algorithm": "A2C", "gamma": 0.99, "net/width": 64}


def test_a_run_goes_on(run, tmp_path):
    """`resume` cuts off the points from its step on, and the new points follow."""
    run(TRAINING)
    assert [step for step, _ in points(tmp_path / "run")["time/fps"]] == [5, 10, 15, 25, 30]
