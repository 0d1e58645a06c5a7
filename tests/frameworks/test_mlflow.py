"""mlflow's autologging, which hooks the methods of torch's `FileWriter`, on a local file store."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

START = "import mlflow.pytorch; mlflow.pytorch.autolog(log_every_n_step=1)"

PROGRAM = """
import json
import mlflow
from mlflow.pytorch import _pytorch_autolog

mlflow.set_tracking_uri("file:mlruns")
with mlflow.start_run() as run:
    with SummaryWriter("run") as writer:
        for step in range(10):
            writer.add_scalar("loss", step / 4, step)
        writer.add_histogram("weights", [1.0, 2.0], 3)
_pytorch_autolog.flush_metrics_queue()
history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
print(json.dumps([[metric.step, metric.value] for metric in history]))
"""


def test_mlflow_mirrors_a_run_of_tblog(run_mirrored):
    """The active run of mlflow has every scalar with its step, once."""
    printed = run_mirrored(START, PROGRAM)
    assert json.loads(printed.splitlines()[-1]) == [[step, step / 4] for step in range(10)]
