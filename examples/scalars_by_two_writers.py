"""Draw two curves in one chart: two runs that use the same tag, by one writer each."""

from __future__ import annotations

from pathlib import Path

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/two_writers") -> None:
    """Log a falling loss for training, and one that turns up again for validation."""
    with (
        SummaryWriter(Path(log_dir) / "train") as train,
        SummaryWriter(Path(log_dir) / "validation") as validation,
    ):
        for epoch in range(50):
            train.add_scalar("loss", 1 / (epoch + 1), epoch)
            validation.add_scalar("loss", 1 / (epoch + 1) + (epoch / 100) ** 2, epoch)


if __name__ == "__main__":
    main()
