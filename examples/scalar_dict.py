"""Log all numbers of a step in one call: one event, each number under its own tag."""

from __future__ import annotations

from pathlib import Path

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/scalar_dict") -> None:
    """Log a loss, an accuracy and a learning rate."""
    with SummaryWriter(log_dir) as writer:
        for step in range(100):
            loss = 1 / (step + 1)
            writer.add_scalar_dict(
                {"loss": loss, "accuracy": 1 - loss, "learning_rate": 0.1 * 0.98**step}, step
            )


if __name__ == "__main__":
    main()
