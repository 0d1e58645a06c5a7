"""Event files as other programs write them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event

from tblog._wire.framing import frame


def write_events(
    logdir: Path,
    events: Iterable[Any],
    name: str = "events.out.tfevents.1.host",
    version: str | None = "brain.Event:2",
) -> Path:
    """Write Event messages after the one that states the file version."""
    logdir.mkdir(parents=True, exist_ok=True)
    head = [Event(wall_time=1e9, file_version=version)] if version else []
    path = logdir / name
    path.write_bytes(b"".join(frame(event.SerializeToString()) for event in [*head, *events]))
    return path
