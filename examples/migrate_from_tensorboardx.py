"""Move a program from tensorboardX's writer: the import, and a flavor if its tags matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# Before: from tensorboardX import SummaryWriter
from tblog import SummaryWriter, WriterOptions


def main(log_dir: str | Path = "runs/migrate_from_tensorboardx") -> None:
    """Log as a program for tensorboardX's writer does."""
    # Without the flavor tags stay as given; with it "loss of #1" becomes "loss_of__1", as before.
    options = WriterOptions(flavor="tensorboardX")
    writer = SummaryWriter(logdir=log_dir, write_to_disk=True, options=options)
    frames = np.zeros((1, 8, 3, 16, 16), dtype=np.uint8)
    for frame in range(8):
        frames[0, frame, :, :, 2 * frame : 2 * frame + 2] = 255
    for step in range(10):
        writer.add_scalar(
            "loss of #1", 1 / (step + 1), step, display_name="loss", summary_description="falls"
        )
        writer.add_scalars("accuracy", {"train": step / 10, "test": step / 20}, step)
    writer.add_video("moving bar", frames, fps=4)
    writer.export_scalars_to_json(Path(log_dir) / "scalars.json")
    writer.close()


if __name__ == "__main__":
    main()
