"""wandb with `sync_tensorboard=True`, which mirrors the directories that it watches."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.frameworks

START = "import wandb; run = wandb.init(project='p', dir='.', sync_tensorboard=True)"

PROGRAM = """
with SummaryWriter("run") as writer:
    for step in range(10):
        writer.add_scalar("mirrored_loss", 1 / (step + 1), step)
    writer.add_scalars("both", {"a": 1.0}, 0)
run.finish()
"""


def test_wandb_mirrors_a_run_of_tblog(run_mirrored, tmp_path):
    """Wandb's record holds the scalars, and its files include the event files of both runs."""
    run_mirrored(START, PROGRAM)
    (record,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert record.read_bytes().count(b"mirrored_loss") >= 10
    copies = list(tmp_path.glob("wandb/offline-run-*/files/**/*tfevents*"))
    assert len(copies) == 2
