"""Makes encoders of the three packages slow or faulty, for the programs of this folder."""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tblog import records
from tblog.summaries._kinds import KINDS

ORIGINALS = {"torch": "torch.utils.tensorboard.writer", "tensorboardX": "tensorboardX.writer"}
RECORDS = {"video": records.VideoRecord, "text": records.TextRecord}
FRAMES = np.zeros((1, 2, 3, 4, 4), dtype=np.uint8)


def slow_down(name: str, secs: float) -> threading.Event:
    """Make a package take this long for each video, without the GIL, as image encoders do.

    Returns:
        An event that is set once the first encoding has begun.
    """
    noise = os.urandom(1 << 16)
    begun = threading.Event()

    def wrapped(encode: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        begun.set()
        end = time.monotonic() + secs
        while time.monotonic() < end:
            zlib.compress(noise)
        return encode(*arguments, **options)

    _wrap(name, "video", wrapped)
    return begun


def fail_sometimes(name: str) -> None:
    """Make every tenth text of a package fail with a lack of memory."""
    texts = itertools.count()

    def wrapped(encode: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        if next(texts) % 10 == 9:
            raise MemoryError("on purpose")
        return encode(*arguments, **options)

    _wrap(name, "text", wrapped)


def _wrap(name: str, kind: str, wrapped: Callable[..., Any]) -> None:
    if name == "tblog":
        known = KINDS[RECORDS[kind]]
        KINDS[RECORDS[kind]] = known._replace(encode=functools.partial(wrapped, known.encode))
        return
    module = importlib.import_module(ORIGINALS[name])
    setattr(module, kind, functools.partial(wrapped, getattr(module, kind)))
