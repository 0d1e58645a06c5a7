"""Ignite's TensorboardLogger and its handlers, used as in https://docs.pytorch.org/ignite/handlers.html."""

from __future__ import annotations

import pytest

from tests.reading import accumulator, points

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PROGRAM = """
import torch
from ignite.engine import Events, create_supervised_trainer
from ignite.handlers.tensorboard_logger import (
    GradsScalarHandler, TensorboardLogger, WeightsHistHandler,
)

model = torch.nn.Linear(8, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
trainer = create_supervised_trainer(model, optimizer, torch.nn.functional.mse_loss)
with TensorboardLogger(log_dir="run") as logger:
    assert isinstance(logger.writer, tblog.SummaryWriter)
    assert logger.writer.options.flavor == "tensorboardX"
    logger.attach_output_handler(
        trainer, Events.ITERATION_COMPLETED, tag="training", output_transform=lambda loss: {"loss": loss}
    )
    logger.attach_opt_params_handler(trainer, Events.ITERATION_STARTED, optimizer=optimizer)
    logger.attach(trainer, WeightsHistHandler(model), Events.EPOCH_COMPLETED)
    logger.attach(trainer, GradsScalarHandler(model), Events.ITERATION_COMPLETED)
    trainer.run([(torch.randn(4, 8), torch.zeros(4, 2))] * 3, max_epochs=2)
"""


def test_the_logger_of_ignite_logs_through_tblog(run_patched, tmp_path):
    """Outputs, the optimizer's parameters, gradients and histograms of weights arrive."""
    run_patched(PROGRAM)
    found = points(tmp_path / "run")
    assert [step for step, _ in found["training/loss"]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in found["lr/group_0"]] == [1, 2, 3, 4, 5, 6]
    assert {"grads_norm/weight", "grads_norm/bias"} <= set(found)
    assert set(accumulator(tmp_path / "run").Tags()["histograms"]) == {"weights/weight", "weights/bias"}
