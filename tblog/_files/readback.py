"""Scalars read back from an event file that tblog wrote (`export_scalars_to_json`)."""

from __future__ import annotations

from typing import Any

from tblog._files.walk import walk


def read_scalars(path: str) -> list[list[float]]:
    """Return [wall time, step, value] of each `simple_value` in the whole records of a file."""
    from tensorboardX.proto.event_pb2 import Event

    if not path:
        return []
    points: list[list[float]] = []
    with open(path, "rb") as file:
        for piece in walk(file):
            if piece.data is not None:
                event: Any = Event.FromString(piece.data)
                points += [[event.wall_time, event.step, value.simple_value] for value in event.summary.value]
    return points
