"""Writes the files in trackers/, as wandb 0.31 writes them offline and trackio 0.43 to its database.

They are kept because the packages are large: python -m pip install wandb trackio, and then
python write_trackers.py FOLDER.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from pathlib import Path

STEPS = [0, 1, 2, 5]


def rows() -> list[dict[str, object]]:
    """Return the values to log at each step."""
    return [
        {
            "loss": 1 / (i + 1),
            "val/acc": i / 4,
            "count": 2**40 + i,
            "note": "x",
            "good": True,
            "nested": {"a": float(i)},
            "bad": math.nan,
            "big": -math.inf,
        }
        for i in range(len(STEPS))
    ]


def wandb_file(folder: Path) -> None:
    """Write a run, with a histogram beside its scalars."""
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_HOST": "host"}
    import wandb

    settings = wandb.Settings(
        x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True, console="off"
    )
    run = wandb.init(dir=folder, project="demo", name="lr/0.1", id="abc123", settings=settings)
    for step, row in zip(STEPS, rows(), strict=True):
        run.log({**row, "bins": wandb.Histogram([1.0, 2.0, 3.0])}, step=step)
    run.finish()
    wandb.teardown()  # its other process writes the file
    (written,) = folder.glob("wandb/offline-run-*/run-abc123.wandb")
    shutil.copy(written, folder / "run-abc123.wandb")
    shutil.rmtree(folder / "wandb")


def trackio_database(folder: Path) -> None:
    """Write two runs with one name, and a third with another."""
    os.environ |= {"TRACKIO_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    import sqlite3

    from trackio.sqlite_storage import SQLiteStorage

    times = [f"2026-01-02T03:04:0{i}.500000+00:00" for i in range(len(STEPS))]
    for run, key in (("baseline", "id1"), ("lr/0.1", "id2"), ("baseline", "id3")):
        SQLiteStorage.bulk_log("demo", run, rows(), steps=STEPS, timestamps=times, run_id=key)
    with sqlite3.connect(folder / "demo.db", isolation_level=None) as database:
        for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA page_size = 512", "VACUUM"):
            database.execute(statement)
    shutil.rmtree(folder / "media", ignore_errors=True)
    (folder / "demo.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    wandb_file(Path(sys.argv[1]))
    trackio_database(Path(sys.argv[1]))
