"""Reads back more records than TensorBoard's Python reader can in a test's time."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from tblog._files.walk import walk
from tests.reading import Points, event_files


def many_points(logdir: str | Path) -> dict[str, Points]:
    """Return {tag: [(step, value), ...]} of a run whose files are whole, in file order."""
    found: dict[str, Points] = defaultdict(list)
    for path in event_files(logdir):
        with open(path, "rb") as file:
            for piece in walk(file):
                assert piece.data is not None, f"{path} is damaged at byte {piece.start}"
                event = Event.FromString(piece.data)
                for value in event.summary.value:
                    found[value.tag].append((event.step, value.simple_value))
    return dict(found)
