"""Lightning's default logger, used as in https://lightning.ai/docs/pytorch/stable/visualize/logging_basic.html."""

from __future__ import annotations

import pytest

from tests.reading import accumulator, points

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PROGRAM = """
import lightning, torch
from lightning.pytorch.loggers import TensorBoardLogger

class Model(lightning.LightningModule):
    def __init__(self, width=4, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(8, width)
        self.example_input_array = torch.zeros(1, 8)

    def forward(self, x):
        return self.layer(x)

    def training_step(self, batch, index):
        loss = self(batch).square().mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, index):
        self.log("hp_metric", self(batch).mean())
        self.logger.experiment.add_histogram("weights", self.layer.weight, self.global_step)
        self.logger.experiment.add_scalars("both", {"a": 1.0, "b": 2.0}, self.global_step)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

data = torch.utils.data.DataLoader(torch.randn(32, 8), batch_size=8)
logger = TensorBoardLogger(".", name="lightning_logs", log_graph=True)
trainer = lightning.Trainer(
    max_epochs=2, log_every_n_steps=1, logger=logger, accelerator="cpu",
    enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
)
trainer.fit(Model(), data, data)
assert isinstance(logger.experiment, tblog.SummaryWriter)
print(logger.experiment.options.flavor)
"""


def test_the_default_logger_of_lightning_logs_through_tblog(run_patched, tmp_path):
    """Scalars, hyperparameters, a histogram and the graph of a training arrive in the run."""
    printed = run_patched(PROGRAM)
    run = tmp_path / "lightning_logs/version_0"
    found = points(run)
    assert [step for step, _ in found["train/loss"]] == list(range(8))
    assert [step for step, _ in found["hp_metric"]] == [0, 3, 7]
    tags = accumulator(run).Tags()
    assert tags["histograms"] == ["weights"]
    # Lightning itself looks for the tensorboard package: without it, it uses tensorboardX's writer
    # and logs no graph.
    torchs = printed.split()[-1] == "torch"
    assert tags["graph"] == torchs
    assert (run / "hparams.yaml").read_text() == "lr: 0.1\nwidth: 4\n"
    one_of_both = run / ("both_a" if torchs else "both/a")
    assert {step for step, _ in points(one_of_both)["both"]} == {4, 8}
