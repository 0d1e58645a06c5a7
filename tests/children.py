"""Functions for multiprocessing children, with few imports, since each spawned child imports this module anew."""

from __future__ import annotations

from tblog import GlobalSummaryWriter, SummaryWriter


def log_numbers(writer: SummaryWriter, tag: str, count: int) -> None:
    """Log this many numbers and neither flush nor close, as a data loader's worker does."""
    for step in range(count):
        writer.add_scalar(tag, step, step)


def count_globally(writer: GlobalSummaryWriter, number: int) -> None:
    """Log to the one run from another process."""
    for value in range(50):
        writer.add_scalar("shared", value)
        writer.add_scalar(f"own{number}", value)
