"""What children of multiprocessing do: little to import, since each that is spawned imports it anew."""

from __future__ import annotations

from tblog import GlobalSummaryWriter, SummaryWriter


def log_numbers(writer: SummaryWriter, tag: str, count: int) -> None:
    """Log so many numbers and neither flush nor close, as a data loader's worker does."""
    for step in range(count):
        writer.add_scalar(tag, step, step)


def count_globally(writer: GlobalSummaryWriter, number: int) -> None:
    """Log from another process into the one run."""
    for value in range(50):
        writer.add_scalar("shared", value)
        writer.add_scalar(f"own{number}", value)
