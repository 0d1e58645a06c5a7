"""Accelerate with the tracker of tblog.integrations: a real training, read back."""

from __future__ import annotations

import pytest

from tests.reading import accumulator, event_files, hparams, points

pytestmark = pytest.mark.frameworks

TRAINING = """
import sys
import numpy as np, torch
from accelerate import Accelerator
from tblog.integrations.accelerate import TensorBoardTracker

accelerator = Accelerator(log_with=TensorBoardTracker("run", "logs", **MORE), cpu=True)
accelerator.init_trackers("run", config={"lr": 0.1, "fast": True, "model": {"name": "net", "sizes": [8, 4]}})
model = torch.nn.Linear(8, 4)
model, optimizer, data = accelerator.prepare(
    model, torch.optim.SGD(model.parameters(), lr=0.1), torch.utils.data.DataLoader(torch.randn(20, 8), batch_size=4)
)
for step, batch in enumerate(data, START):
    loss = model(batch).square().mean()
    accelerator.backward(loss)
    optimizer.step()
    accelerator.log({"loss": loss, "np": np.float64(step), "note": "text", "both": {"a": 1.0, "b": 2}}, step=step)
writer = accelerator.get_tracker("tensorboard", unwrap=True)
accelerator.trackers[0].log_images({"noise": np.zeros((2, 8, 8, 3), np.uint8)}, step=1, dataformats="NHWC")
accelerator.log({"odd": object(), "last": 1}, step=step, log_kwargs={"tensorboard": {"walltime": 5.0}})
accelerator.end_training()
assert writer.stats.queued == writer.stats.written > 0
assert "torch.utils.tensorboard" not in sys.modules
"""


def test_a_training_is_logged(run, tmp_path):
    """Numbers, texts, dicts and images arrive; the rest is left out with a message."""
    run("MORE, START = {}, 0", TRAINING)
    logs = tmp_path / "logs/run"
    found = points(logs)
    assert [step for step, _ in found["loss"]] == list(range(5))
    assert found["np"] == [(step, float(step)) for step in range(5)]
    assert found["last"] == [(4, 1.0)]
    assert "odd" not in found
    assert points(logs / "both_a") == {"both": [(step, 1.0) for step in range(5)]}
    tags = accumulator(logs).Tags()
    assert "note/text_summary" in tags["tensors"]
    assert tags["images"] == ["noise"]


@pytest.mark.slow
def test_the_configuration_is_in_the_run_of_the_curves(run, tmp_path):
    """A nested configuration is one row of TensorBoard's table, with all scalars as metrics, in one file."""
    run("MORE, START = {}, 0", TRAINING)
    logs = tmp_path / "logs/run"
    config = {"lr": 0.1, "fast": True, "model/name": "net", "model/sizes": "[8, 4]"}
    assert hparams(logs) == (config, [])
    assert len(event_files(logs)) == 1


@pytest.mark.slow
def test_a_run_goes_on(run, tmp_path):
    """`resume` reaches the writer: from its step on, only the new points remain."""
    run("MORE, START = {}, 0", TRAINING)
    run("MORE, START = {'resume': 3}, 3", TRAINING)
    assert [step for step, _ in points(tmp_path / "logs/run")["loss"]] == list(range(8))


RANK = """
from accelerate import Accelerator
from tblog.integrations.accelerate import TensorBoardTracker

accelerator = Accelerator(log_with=TensorBoardTracker("run", "logs"), cpu=True)
accelerator.init_trackers("run", config={"lr": 0.1})
assert accelerator.num_processes == 2
accelerator.log({"rank": accelerator.process_index}, step=1)
accelerator.wait_for_everyone()
accelerator.end_training()
"""

BOTH_RANKS = """
import os, socket, subprocess, sys
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
ranks = [
    subprocess.Popen(
        [sys.executable, "rank.py"],
        env={**os.environ, **address, "RANK": rank, "LOCAL_RANK": rank, "ACCELERATE_USE_CPU": "true"},
    )
    for rank in "01"
]
assert [rank.wait(100) for rank in ranks] == [0, 0]
"""


@pytest.mark.slow
def test_only_the_main_process_writes(run, tmp_path):
    """Of two processes, only one opens a file."""
    (tmp_path / "rank.py").write_text(RANK)
    run(BOTH_RANKS)
    assert len(event_files(tmp_path / "logs/run")) == 1
    assert points(tmp_path / "logs/run") == {"rank": [(1, 0.0)]}
