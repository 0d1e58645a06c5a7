"""Encoders of the three packages that take their time or fail, for programs of this folder."""

from __future__ import annotations

import importlib
import itertools
import os
import time
import zlib

import numpy as np

ENCODERS = {
    "tblog": "tblog.summaries.{kind}.encode_{kind}",
    "torch": "torch.utils.tensorboard.writer.{kind}",
    "tensorboardX": "tensorboardX.writer.{kind}",
}
FRAMES = np.zeros((1, 2, 3, 4, 4), dtype=np.uint8)


def slow_down(name, secs):
    """Let a package work so long on each video, without the interpreter's lock, as encoders of pictures do."""
    noise = os.urandom(1 << 16)

    def wrapped(encode, *arguments, **options):
        end = time.monotonic() + secs
        while time.monotonic() < end:
            zlib.compress(noise)
        return encode(*arguments, **options)

    _wrap(name, "video", wrapped)


def fail_sometimes(name):
    """Let every tenth text of a package have no memory to be encoded in."""
    texts = itertools.count()

    def wrapped(encode, *arguments, **options):
        if next(texts) % 10 == 9:
            raise MemoryError("on purpose")
        return encode(*arguments, **options)

    _wrap(name, "text", wrapped)


def _wrap(name, kind, wrapped):
    module_name, _, function = ENCODERS[name].format(kind=kind).rpartition(".")
    module = importlib.import_module(module_name)
    encode = getattr(module, function)
    setattr(module, function, lambda *arguments, **options: wrapped(encode, *arguments, **options))
