"""A program that logs tensors as one kind of record, and ends in one way.

Run as `ending.py LOGDIR KIND ENDING`. KIND is one of `KINDS`, ENDING one of `ENDINGS`; `STATUS` has the exit
statuses other than 0.
"""

from __future__ import annotations

import atexit
import gc
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

WRITERS: list[Any] = []  # the program's own reference, held to the very end


def _last_words() -> None:
    """Log after tblog's own atexit function: that one was registered later, so it runs first."""
    if WRITERS and "atexit" in sys.argv:
        log(WRITERS[0], sys.argv[2], "last words")


atexit.register(_last_words)

from tblog import SummaryWriter, WriterOptions  # noqa: E402

ROUNDS = 20


def _labels(number: int) -> list[torch.Tensor]:
    return [torch.tensor(index) for index in range(number)]


def _log_embedding(writer: Any, name: str, step: int) -> None:
    writer.add_embedding(torch.rand(50, 8), _labels(50), torch.rand(50, 3, 4, 4), step, name)


def _log_figure(writer: Any, name: str, step: int) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.subplots().plot(torch.rand(9))
    writer.add_figure(name, figure, step)


def _log_boxes(writer: Any, name: str, step: int) -> None:
    writer.add_image_with_boxes(name, torch.rand(3, 16, 16), torch.tensor([[2, 2, 9, 9]]), step)


def _log_pr_curve(writer: Any, name: str, step: int) -> None:
    writer.add_pr_curve(name, torch.arange(99) % 2, torch.rand(99), step)


def _log_mesh(writer: Any, name: str, step: int) -> None:
    faces = torch.arange(9).reshape(1, 3, 3)
    writer.add_mesh(name, torch.rand(1, 9, 3), torch.randint(255, (1, 9, 3)), faces, global_step=step)


def _log_hparams(writer: Any, name: str, step: int) -> None:
    writer.add_hparams(
        {"lr": torch.rand(())}, {name: torch.rand(())}, run_name=f"{name}{step}", global_step=step
    )


def _log_graph(writer: Any, _name: str, step: int) -> None:
    if step == 0:
        writer.add_graph(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()), torch.zeros(1, 4))


def _log_raw_histogram(writer: Any, name: str, step: int) -> None:
    writer.add_histogram_raw(
        name, 0, 1, 2, torch.tensor(1.0), 1, torch.rand(2).sort()[0], torch.ones(2), step
    )


KINDS: dict[str, Callable[[Any, str, int], object]] = {
    "scalar": lambda w, name, step: [w.add_scalar(name, torch.rand(()), step) for _ in range(50)],
    "scalar dict": lambda w, name, step: w.add_scalar_dict(
        {f"{name}{i}": torch.rand(()) for i in range(50)}, step
    ),
    "scalars": lambda w, name, step: w.add_scalars(name, {"a": torch.rand(()), "b": torch.rand(())}, step),
    "new-style scalar": lambda w, name, step: w.add_scalar(name, torch.rand(()), step, new_style=True),
    "histogram": lambda w, name, step: w.add_histogram(name, torch.rand(1000), step),
    "bfloat16 histogram": lambda w, name, step: w.add_histogram(name, torch.rand(1000).bfloat16(), step),
    "raw histogram": _log_raw_histogram,
    "tensor": lambda w, name, step: w.add_tensor(name, torch.rand(9, 9), step),
    "bfloat16 tensor": lambda w, name, step: w.add_tensor(name, torch.rand(9, 9).bfloat16(), step),
    "text": lambda w, name, step: w.add_text(name, "**word** " * 20, step),
    "image": lambda w, name, step: w.add_image(name, torch.rand(3, 16, 16), step),
    "images": lambda w, name, step: w.add_images(name, torch.rand(4, 3, 16, 16), step),
    "boxes": _log_boxes,
    "figure": _log_figure,
    "video": lambda w, name, step: w.add_video(name, torch.rand(1, 4, 3, 16, 16), step),
    "audio": lambda w, name, step: w.add_audio(name, torch.rand(1, 500), step, 8000),
    "PR curve": _log_pr_curve,
    "mesh": _log_mesh,
    "embedding": _log_embedding,
    "hparams": _log_hparams,
    "own hparams": lambda w, name, step: w.log_hparams({f"{name}{step}": torch.rand(())}),
    "layout": lambda w, name, _step: w.add_custom_scalars({name: {"title": ["Multiline", ["loss"]]}}),
    "graph": _log_graph,
}


def log(writer: Any, kind: str, name: str) -> None:
    """Log this many rounds of a kind."""
    for step in range(ROUNDS):
        KINDS[kind](writer, name, step)


def _log_at_exit(writer: Any, kind: str) -> None:
    """Log before tblog's own atexit function runs; `_last_words` logs after it."""
    atexit.register(log, writer, kind, "atexit")


def _log_in_thread(writer: Any, _kind: str) -> None:
    """Leave a daemon thread behind that logs until the process ends."""
    logs = threading.Event()

    def work() -> None:
        for step in itertools.count():
            writer.add_scalar("thread", 0.5, step)
            logs.set()
            time.sleep(1e-5)

    threading.Thread(target=work, daemon=True).start()
    logs.wait()


def _delete(_writer: Any, _kind: str) -> None:
    WRITERS.clear()
    gc.collect()


def _raise(_writer: Any, _kind: str) -> None:
    raise RuntimeError("on purpose")


ENDINGS: dict[str, Callable[[Any, str], object]] = {
    "close": lambda writer, _: writer.close(),
    "no close": lambda *_: None,
    "flush": lambda writer, _: writer.flush(),
    "sys.exit": lambda *_: sys.exit(3),
    "exception": _raise,
    "atexit": _log_at_exit,
    "thread": _log_in_thread,
    "del": _delete,
    "SIGTERM": lambda *_: os.kill(os.getpid(), signal.SIGTERM),
}
STATUS = {"sys.exit": 3, "exception": 1, "SIGTERM": -signal.SIGTERM}


def main(logdir: str, kind: str, ending: str) -> None:
    """Log, and end in the given way."""
    WRITERS.append(SummaryWriter(logdir, options=WriterOptions(close_at_sigterm=True)))
    log(WRITERS[0], kind, "main")
    ENDINGS[ending](WRITERS[0], kind)


if __name__ == "__main__":
    main(*sys.argv[1:])
