"""Let the writer choose its directory: `runs/<time>_<host><comment>`, a new one for each training."""

from __future__ import annotations

from tblog import SummaryWriter


def main() -> None:
    """Log to two directories of the writer's choice, and print them."""
    with SummaryWriter() as writer:
        writer.add_scalar("loss", 0.5, 0)
        print(writer.log_dir)

    # The comment distinguishes the run in TensorBoard's list.
    with SummaryWriter(comment="-learning_rate_0.1") as writer:
        writer.add_scalar("loss", 0.25, 0)
        print(writer.log_dir)


if __name__ == "__main__":
    main()
