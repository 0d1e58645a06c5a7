"""Ignite with the logger of tblog.integrations: a real training, read back."""

from __future__ import annotations

import pytest

from tests.reading import accumulator, points

pytestmark = pytest.mark.frameworks

TRAINING = """
import torch
from ignite.engine import Events, create_supervised_trainer
from ignite.handlers.tensorboard_logger import GradsScalarHandler, WeightsHistHandler
from tblog.integrations.ignite import TensorboardLogger

model = torch.nn.Linear(8, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
trainer = create_supervised_trainer(
    model, optimizer, torch.nn.functional.mse_loss, output_transform=lambda x, y, predicted, loss: loss.detach()
)
with TensorboardLogger(log_dir="run") as logger:
    logger.attach_output_handler(
        trainer, Events.ITERATION_COMPLETED, tag="training", output_transform=lambda loss: {"loss": loss}
    )
    logger.attach_opt_params_handler(trainer, Events.ITERATION_STARTED, optimizer=optimizer)
    logger.attach(trainer, WeightsHistHandler(model), Events.EPOCH_COMPLETED)
    logger.attach(trainer, GradsScalarHandler(model), Events.ITERATION_COMPLETED)
    trainer.run([(torch.randn(4, 8), torch.zeros(4, 2))] * 3, max_epochs=2)
"""


def test_a_training_is_logged_with_the_handlers_of_ignite(run, tmp_path):
    """Outputs, the optimizer's parameters, gradients and histograms of weights arrive."""
    run(TRAINING)
    found = points(tmp_path / "run")
    assert [step for step, _ in found["training/loss"]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in found["lr/group_0"]] == [1, 2, 3, 4, 5, 6]
    assert {"grads_norm/weight", "grads_norm/bias"} <= set(found)
    assert set(accumulator(tmp_path / "run").Tags()["histograms"]) == {"weights/weight", "weights/bias"}


@pytest.mark.slow
def test_metrics_and_attributes_are_flattened_as_by_ignite(run, tmp_path):
    """Nested metrics get the tags documented for Ignite's own handler; texts are logged, too."""
    run("""
import torch
from ignite.engine import Engine, Events
from tblog.integrations.ignite import TensorboardLogger

engine = Engine(lambda engine, batch: batch)
with TensorboardLogger("run") as logger:
    logger.attach_output_handler(
        engine, Events.EPOCH_COMPLETED, tag="all", metric_names="all", state_attributes=["alpha"],
        global_step_transform=lambda *_: 7,
    )
    logger.attach_output_handler(engine, Events.EPOCH_COMPLETED, tag="one", metric_names=["a"])
    @engine.on(Events.EPOCH_STARTED)
    def fill(engine):
        engine.state.alpha = torch.tensor(0.5)
        engine.state.metrics = {
            "a": 0, "dict": {"a": 111, "c": {"d": 23, "e": [123, 234]}}, "tuple": (12, {"aa": 33}),
            "row": torch.tensor([1.0, 2.0]), "note": "text",
        }
    engine.run([1], max_epochs=1)
""")
    assert points(tmp_path / "run") == {
        "all/a": [(7, 0.0)],
        "all/dict/a": [(7, 111.0)],
        "all/dict/c/d": [(7, 23.0)],
        "all/dict/c/e/0": [(7, 123.0)],
        "all/dict/c/e/1": [(7, 234.0)],
        "all/tuple/0": [(7, 12.0)],
        "all/tuple/1/aa": [(7, 33.0)],
        "all/row/0": [(7, 1.0)],
        "all/row/1": [(7, 2.0)],
        "all/alpha": [(7, 0.5)],
        "one/a": [(1, 0.0)],
    }
    assert accumulator(tmp_path / "run").Tags()["tensors"] == ["all/note/text_summary"]
