"""Log the machine and the pace of the training while it runs: Scalars page."""

from __future__ import annotations

from pathlib import Path

from subjects import Config, DigitNet, load_splits, training_steps
from tblog import SummaryWriter
from tblog.adapters.system import SystemSampler


def main(log_dir: str | Path = "runs/system", epochs: int = 20) -> None:
    """Train the demo's network, and sample the machine every tenth of a second."""
    config = Config(epochs=epochs)
    train, _ = load_splits(config.seed)
    total = epochs * -(-len(train) // config.batch_size)
    with (
        SummaryWriter(log_dir) as writer,
        SystemSampler(period_secs=0.1, total_steps=total) as sampler,
    ):
        for step, _ in enumerate(training_steps(DigitNet(), train, config)):
            sampler.step()
            if step % 20 == 0:  # one point each: the mean of the samples since the last one
                writer.add_records(sampler.records(), step)


if __name__ == "__main__":
    main()
