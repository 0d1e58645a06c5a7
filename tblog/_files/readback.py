"""Scalars read back from an event file that tblog wrote (`export_scalars_to_json`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tblog._wire import framing


def read_scalars(path: str) -> list[list[float]]:
    """Return [wall time, step, value] of each `simple_value` in the whole records of a file."""
    from tensorboardX.proto.event_pb2 import Event

    data = Path(path).read_bytes() if path else b""
    points: list[list[float]] = []
    start = 0
    while (end := framing.record_end(data, start)) is not None:
        event: Any = Event.FromString(data[start + 12 : end - 4])
        points += [[event.wall_time, event.step, value.simple_value] for value in event.summary.value]
        start = end
    return points
