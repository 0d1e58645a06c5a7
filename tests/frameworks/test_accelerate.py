"""Accelerate's trackers, used as in https://huggingface.co/docs/accelerate/usage_guides/tracking."""

from __future__ import annotations

import pytest

from tests.reading import accumulator, points

pytestmark = pytest.mark.frameworks

PROGRAM = """
import numpy as np
from accelerate import Accelerator

accelerator = Accelerator(log_with="tensorboard", project_dir="logs", cpu=True)
accelerator.init_trackers("run", config={"lr": 0.1, "epochs": 2, "fast": True, "name": "net"})
for step in range(5):
    accelerator.log({"loss": 1 / (step + 1), "note": "text", "both": {"a": 1.0, "b": 2}}, step=step)
tracker = accelerator.get_tracker("tensorboard")
assert isinstance(tracker.tracker if hasattr(tracker, "tracker") else tracker, tblog.SummaryWriter)
accelerator.trackers[0].log_images({"noise": np.zeros((2, 8, 8, 3), np.uint8)}, step=1, dataformats="NHWC")
accelerator.end_training()
"""


def test_the_tracker_of_accelerate_logs_through_tblog(run_patched, tmp_path):
    """Numbers, texts, dicts and images arrive, and the configuration in its own session."""
    run_patched(PROGRAM)
    run = tmp_path / "logs/run"
    assert points(run) == {"loss": [(step, pytest.approx(1 / (step + 1))) for step in range(5)]}
    assert points(run / "both_a") == {"both": [(step, 1.0) for step in range(5)]}
    tags = accumulator(run).Tags()
    assert tags["tensors"] == ["note/text_summary"]
    assert tags["images"] == ["noise"]
    sessions = [path.parent for path in run.glob("*/*tfevents*") if path.parent.name[0].isdigit()]
    assert len(sessions) == 1
