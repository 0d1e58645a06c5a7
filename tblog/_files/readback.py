"""Scalars read back from an event file that tblog wrote (`export_scalars_to_json`)."""

from __future__ import annotations

from tblog._files.walk import walk
from tblog._wire.event_messages import SIMPLE, readable


def read_scalars(path: str) -> list[list[float]]:
    """Return [wall time, step, value] of each `simple_value` in the whole records of a file."""
    if not path:
        return []
    points: list[list[float]] = []
    with open(path, "rb") as file:
        for piece in walk(file):
            if piece.data is not None and (event := readable(piece.data)) is not None:
                points += [
                    [event.wall_time, event.step, value.number]
                    for value in event.values
                    if value.form == SIMPLE
                ]
    return points
