"""Lightning's Trainer with the logger of tblog.integrations: real trainings, read back."""

from __future__ import annotations

import pytest

from tests.reading import accumulator, event_files, hparams, points

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

MODEL = """
import sys
import lightning, torch
from tblog.integrations.lightning import TensorBoardLogger

class Model(lightning.LightningModule):
    def __init__(self, lr=0.1, data={"size": 32, "augment": {"flip": True}}):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(8, 4)
        self.example_input_array = torch.zeros(1, 8)

    def forward(self, x):
        return self.layer(x)

    def training_step(self, batch, index):
        loss = self(batch).square().mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, index):
        self.log("val/loss", self(batch).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

def train(logger, epochs, **more):
    trainer = lightning.Trainer(
        max_epochs=epochs, log_every_n_steps=1, logger=logger, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, **more,
    )
    return trainer

data = torch.utils.data.DataLoader(torch.randn(32, 8), batch_size=8)
"""

TRAINING = """
logger = TensorBoardLogger(".", log_graph=True)
trainer = train(logger, epochs=2)
trainer.fit(Model(), data, data)
print(trainer.log_dir)
assert "torch.utils.tensorboard" not in sys.modules
"""


def test_a_training_is_logged_as_by_the_logger_of_lightning(run, tmp_path):
    """Curves, the graph, `hparams.yaml` and checkpoints are where Lightning's own logger puts them."""
    printed = run(MODEL, TRAINING)
    logs = tmp_path / "lightning_logs/version_0"
    assert printed.split()[-1].endswith("lightning_logs/version_0")
    found = points(logs)
    assert [step for step, _ in found["train/loss"]] == list(range(8))
    assert [step for step, _ in found["val/loss"]] == [3, 7]
    assert [value for _, value in found["epoch"]][-1] == 1
    assert accumulator(logs).Tags()["graph"]
    assert "lr: 0.1" in (logs / "hparams.yaml").read_text()
    assert [path.suffix for path in (logs / "checkpoints").iterdir()] == [".ckpt"]
    assert len(event_files(logs)) == 1


def test_hyperparameters_are_in_the_run_with_all_its_scalars_as_metrics(run, tmp_path):
    """Nested hyperparameters are a row of TensorBoard's table, and no placeholder appears among the curves."""
    run(MODEL, TRAINING)
    logs = tmp_path / "lightning_logs/version_0"
    assert hparams(logs) == ({"lr": 0.1, "data/size": 32, "data/augment/flip": True}, [])
    assert "hp_metric" not in points(logs)


def test_metrics_that_come_with_hyperparameters_are_curves_and_columns(run, tmp_path):
    """`log_hyperparams(params, metrics)` keeps earlier hyperparameters and adds the metrics."""
    run(
        MODEL,
        """
logger = TensorBoardLogger("logs", name="", version="one", prefix="net")
logger.log_hyperparams({"lr": 0.1})
logger.log_hyperparams({"depth": 3, "layers": [1, 2], "act": torch.nn.ReLU}, {"final": 0.5}, step=9)
logger.log_metrics({"loss": torch.tensor(0.25, requires_grad=True), "both": {"a": 1.0, "b": 2.0}}, step=10)
logger.log_metrics({"unnumbered": 1.0}); logger.log_metrics({"unnumbered": 2.0})
logger.finalize("success")
""",
    )
    logs = tmp_path / "logs/one"
    assert hparams(logs) == ({"lr": 0.1, "depth": 3, "layers": "[1, 2]", "act": "ReLU"}, ["net-final"])
    assert points(logs) == {
        "net-final": [(9, 0.5)],
        "net-loss": [(10, 0.25)],
        "net-unnumbered": [(0, 1.0), (1, 2.0)],
    }
    assert points(logs / "net-both_a") == {"net-both": [(10, 1.0)]}


def test_a_run_goes_on_at_the_step_of_its_checkpoint(run, tmp_path):
    """Points after the checkpoint are cut off, and each step appears once."""
    run(
        MODEL,
        """
first = train(TensorBoardLogger("logs", version=3), epochs=2)
first.fit(Model(), data, data)
first.save_checkpoint("second.ckpt")
train(TensorBoardLogger("logs", version=3, resume=8), epochs=4).fit(Model(), data, data, ckpt_path="second.ckpt")
logger = TensorBoardLogger("logs", version=3, resume=True, log_graph=True)
trainer = train(logger, epochs=3)
trainer.fit(Model(), data, data, ckpt_path="second.ckpt")
""",
    )
    logs = tmp_path / "logs/lightning_logs/version_3"
    found = points(logs)
    assert [step for step, _ in found["train/loss"]] == list(range(12))
    assert [step for step, _ in found["val/loss"]] == [3, 7, 11]
    assert accumulator(logs).Tags()["graph"]


def test_only_rank_zero_writes(run, tmp_path):
    """Of a training's two processes only one opens a file, and its curves have each step once."""
    (tmp_path / "train.py").write_text(
        MODEL
        + """
if __name__ == "__main__":
    logger = TensorBoardLogger("logs", version=0)
    train(logger, epochs=1, devices=2, strategy="ddp").fit(Model(), data, data)
    logger.experiment.add_text("from", "all ranks")
    logger.log_metrics({"afterwards": 1.0}, step=1)
"""
    )
    run("import runpy, sys; sys.argv = ['train.py']; runpy.run_path('train.py', run_name='__main__')")
    files = list((tmp_path / "logs").rglob("*tfevents*"))
    assert {path.parent for path in files} == {tmp_path / "logs/lightning_logs/version_0"}
    found = points(files[0].parent)
    assert [step for step, _ in found["train/loss"]] == [0, 1]
    assert found["afterwards"] == [(1, 1.0)]


@pytest.mark.cuda
def test_a_tensor_on_a_gpu_is_not_waited_for(run, tmp_path):
    """`log_metrics` takes a tensor without a synchronisation, and its value arrives."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    run(
        MODEL,
        """
logger = TensorBoardLogger("logs", version=0)
logger.log_metrics({"loss": torch.ones((), device="cuda")}, step=0)
torch.cuda.set_sync_debug_mode("error")
logger.log_metrics({"loss": 2 * torch.ones((), device="cuda")}, step=1)
torch.cuda.set_sync_debug_mode("default")
logger.finalize("success")
""",
        CUDA_VISIBLE_DEVICES="0",
    )
    assert points(tmp_path / "logs/lightning_logs/version_0") == {"loss": [(0, 1.0), (1, 2.0)]}
