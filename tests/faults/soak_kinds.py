"""Everything that a writer can log, in four variants each, and the expected contents of the disk.

A thread calls each kind at its own pace: in round `r`, those whose `every` divides `r`, with `r` as the
step and `r // every` modulo four as the variant. So the number of rounds determines the expected contents:
the contents of an undisturbed run for each variant, repeated.
"""

from __future__ import annotations

import functools
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.event_pb2 import Event

from tblog import SummaryWriter
from tblog._files.walk import walk
from tests.reading import event_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VARIANTS = 4
SCALARS = 80
FIRST = "thread0"
_QUIET_STEP = 98765  # a step whose digits appear in no tag or run name

Quiet: TypeAlias = tuple[dict[tuple[str, str], list[tuple[bool, bytes]]], dict[str, bytes]]

_plotting = threading.Lock()  # matplotlib is not thread-safe


class Kind(NamedTuple):
    """A way to log: `call(writer, name, step, variant)` every so many rounds.

    If `every` is 0, the first thread of each writer calls it once.
    """

    every: int
    call: Callable[[Any, str, int, int], None]


@functools.cache
def _array(variant: int, *shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(variant).random(shape)


@functools.cache
def _figure(variant: int) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2))
    figure.subplots().plot(_array(variant, 20))
    return figure


def _log_scalars(writer: Any, name: str, step: int, variant: int) -> None:
    for number in range(SCALARS):
        writer.add_scalar(f"{name}/{number}", variant + 0.5 * number, step)


def _log_figure(writer: Any, name: str, step: int, variant: int) -> None:
    with _plotting:
        writer.add_figure(name, _figure(variant), step, close=False)


def _log_boxes(writer: Any, name: str, step: int, variant: int) -> None:
    writer.add_image_with_boxes(name, _array(variant, 3, 24, 24), np.array([[2, 2, 9, 9 + variant]]), step)


def _log_embedding(writer: Any, name: str, step: int, variant: int) -> None:
    points, images = _array(variant, 9, 3), _array(variant, 9, 3, 4, 4)
    writer.add_embedding(points, metadata=list("abcdefghi"), label_img=images, global_step=step, tag=name)


def _log_graph(writer: Any, _name: str, _step: int, _variant: int) -> None:
    import torch

    writer.add_graph(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()), torch.zeros(1, 4))


def _log_hparams(writer: Any, name: str, step: int, variant: int) -> None:
    run = f"{name}_{variant}"
    writer.add_hparams(
        {"lr": 0.5 + variant, "on": True}, {"metric": 1.0 * variant}, run_name=run, global_step=step
    )


def _log_brief_writer(writer: Any, name: str, step: int, variant: int) -> None:
    """Make a writer, log once, and close it: its resources must be released."""
    with SummaryWriter(f"{writer.get_logdir()}/{name}") as brief:
        brief.add_scalar("x", float(variant), step)


KINDS = {
    "scalar": Kind(1, _log_scalars),
    "scalar dict": Kind(1, lambda w, name, step, v: w.add_scalar_dict({f"{name}/{i}": v + i for i in range(20)}, step)),
    "scalars": Kind(2, lambda w, name, step, v: w.add_scalars(name, {"a": 1.0 * v, "b": 2.0 * v}, step)),
    "histogram": Kind(5, lambda w, name, step, v: w.add_histogram(name, _array(v, 2000), step)),
    "histogram raw": Kind(
        10, lambda w, name, step, v: w.add_histogram_raw(name, 0, 2, 3 + v, 4, 6, [1.0, 2.0], [1 + v, 2], step)
    ),
    "tensor": Kind(10, lambda w, name, step, v: w.add_tensor(name, _array(v, 20, 20), step)),
    "text": Kind(10, lambda w, name, step, v: w.add_text(name, f"**{v}** words " * 50, step)),
    "image": Kind(10, lambda w, name, step, v: w.add_image(name, _array(v, 3, 32, 32), step)),
    "images": Kind(20, lambda w, name, step, v: w.add_images(name, _array(v, 4, 3, 16, 16), step)),
    "boxes": Kind(20, _log_boxes),
    "audio": Kind(20, lambda w, name, step, v: w.add_audio(name, 2 * _array(v, 1, 2000) - 1, step, 8000)),
    "PR curve": Kind(
        20, lambda w, name, step, v: w.add_pr_curve(name, np.arange(200) % 2, _array(v, 200), step)
    ),
    "mesh": Kind(20, lambda w, name, step, v: w.add_mesh(name, _array(v, 1, 50, 3), global_step=step)),
    "figure": Kind(40, _log_figure),
    "video": Kind(40, lambda w, name, step, v: w.add_video(name, _array(v, 1, 4, 3, 16, 16), step)),
    "hparams": Kind(10, _log_hparams),
    "embedding": Kind(100, _log_embedding),
    "brief writer": Kind(40, _log_brief_writer),
    "graph": Kind(0, _log_graph),
    "own hparams": Kind(0, lambda w, name, _step, v: w.log_hparams({name: v})),
    "layout": Kind(0, lambda w, name, _step, _v: w.add_custom_scalars({name: {"title": ["Multiline", ["loss"]]}})),
}  # fmt: skip


def log_round(writer: Any, thread: str, step: int) -> int:
    """Log what is due in a round; return the number of calls of `add_*`."""
    calls = 0
    for kind, (every, call) in KINDS.items():
        if step % every == 0 if every else step == 0 and thread == FIRST:
            call(writer, f"{thread} {kind}", step, step // every % VARIANTS if every else 0)
            calls += SCALARS if kind == "scalar" else 1
    return calls


def wanted(
    thread: str, rounds: int
) -> tuple[dict[tuple[str, str], Iterator[tuple[int, bytes]]], dict[str, bytes]]:
    """Return the expected contents of the disk after this many rounds of a thread.

    Returns:
        {(run, tag): iterator over (step, payload)} and {path of an embedding's file: bytes}.
    """
    tags: dict[tuple[str, str], Iterator[tuple[int, bytes]]] = {}
    files: dict[str, bytes] = {}
    for kind, (every, _) in KINDS.items():
        if not every and thread != FIRST:
            continue
        quiet = [_quiet_run(kind, thread, variant) for variant in range(VARIANTS if every else 1)]
        for key in {key for found, _ in quiet for key in found}:
            tags[key] = _over_and_over([found[key] for found, _ in quiet], every, rounds)
        for step in range(0, rounds, every) if every else [0]:
            _, made = quiet[step // every % VARIANTS if every else 0]
            files.update({path.replace(str(_QUIET_STEP), f"{step:05d}"): data for path, data in made.items()})
    return tags, files


@functools.cache
def _quiet_run(kind: str, thread: str, variant: int) -> Quiet:
    """Return the result of one call: {(run, tag): [(whether it has the step, payload)]}, and an embedding's files."""
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            KINDS[kind].call(writer, f"{thread} {kind}", _QUIET_STEP, variant)
        found: dict[tuple[str, str], list[tuple[bool, bytes]]] = defaultdict(list)
        for run, tag, step, payload in payloads(folder):
            found[run, tag].append((step == _QUIET_STEP, payload))
        return found, embedding_files(folder)


def _over_and_over(
    variants: list[list[tuple[bool, bytes]]], every: int, rounds: int
) -> Iterator[tuple[int, bytes]]:
    for step in range(0, rounds, every) if every else [0]:
        for has_step, payload in variants[step // every % VARIANTS if every else 0]:
            yield step if has_step else 0, payload


def payloads(logdir: str | Path) -> Iterator[tuple[str, str, int, bytes]]:
    """Yield run, tag, step and payload of every record below a log directory, in file order.

    Raises:
        AssertionError: a file is damaged.
    """
    for run in sorted({path.parent for path in Path(logdir).rglob("*tfevents*")}):
        name = run.relative_to(logdir).as_posix()
        for path in event_files(run):
            yield from ((name, *found) for found in _payloads_of_file(path))


def _payloads_of_file(path: Path) -> Iterator[tuple[str, int, bytes]]:
    with open(path, "rb") as file:
        for piece in walk(file):
            assert piece.data is not None, f"{path} is damaged at byte {piece.start}"
            event = Event.FromString(piece.data)
            if event.HasField("graph_def"):
                yield "graph", event.step, event.graph_def
            for value in event.summary.value:
                tag = value.tag
                value.ClearField("tag")
                yield tag, event.step, value.SerializeToString()


def embedding_files(logdir: str | Path) -> dict[str, bytes]:
    """Return the contents of all embedding files below a directory, by path."""
    names = {"tensors.tsv", "metadata.tsv", "sprite.png"}
    found = [path for path in Path(logdir).rglob("*") if path.name in names]
    return {path.relative_to(logdir).as_posix(): path.read_bytes() for path in found}
