"""Compare trainings by their hyperparameters on the HParams page, in two ways."""

from __future__ import annotations

from pathlib import Path

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/hparams") -> None:
    """Log a made-up accuracy for several learning rates and batch sizes."""
    log_dir = Path(log_dir)
    for learning_rate in (0.1, 0.01, 0.001):
        # As both originals do: a run below the writer's own holds parameters and metrics.
        with SummaryWriter(log_dir / f"add_hparams_{learning_rate}") as writer:
            parameters = {"learning_rate": learning_rate, "batch_size": 32}
            writer.add_hparams(parameters, {"accuracy": 1 - learning_rate})

        # Into the same run: every scalar of the run is a metric.
        with SummaryWriter(log_dir / f"log_hparams_{learning_rate}") as writer:
            writer.log_hparams({"learning_rate": learning_rate, "batch_size": 64})
            for step in range(10):
                writer.add_scalar("accuracy", (1 - learning_rate) * step / 9, step)


if __name__ == "__main__":
    main()
