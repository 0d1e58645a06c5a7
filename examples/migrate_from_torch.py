"""Move a program from torch's writer: one line changes."""

from __future__ import annotations

from pathlib import Path

import torch

# Before: from torch.utils.tensorboard import SummaryWriter
from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/migrate_from_torch") -> None:
    """Log as a program for torch's writer does."""
    weights = torch.linspace(-1, 1, 100)
    writer = SummaryWriter(log_dir, purge_step=None, max_queue=10, flush_secs=120, filename_suffix=".old")
    for step in range(10):
        writer.add_scalar("Loss/train", torch.tensor(1 / (step + 1)), step)
        writer.add_scalars("Accuracy", {"train": step / 10, "test": step / 20}, step)
        writer.add_histogram("weights", weights * step, step, bins="tensorflow")
    writer.add_tensor("weights/last", weights)
    writer.add_hparams({"lr": 0.1}, {"hparam/loss": 0.1}, run_name="trial")
    writer.flush()
    writer.close()


if __name__ == "__main__":
    main()
