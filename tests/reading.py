"""What TensorBoard sees in a log directory, read by its Python reader and by its Rust data server."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto import event_pb2
from tensorboard.context import RequestContext
from tensorboard.data import provider, server_ingester
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util.grpc_util import ChannelCredsType

ALL = 100_000_000

Points: TypeAlias = list[tuple[int, float]]
"""The steps and values of a tag, in the order of the files."""


def event_files(logdir: str | Path) -> list[Path]:
    """Return the event files directly in a directory, in the order in which TensorBoard reads them."""
    return sorted(path for path in Path(logdir).iterdir() if "tfevents" in path.name)


def events(path: str | Path) -> list[Any]:
    """Return all events of one file, including the first (file version); a corrupt record raises."""
    loader = LegacyEventFileLoader(str(path))
    return list(loader.Load())


def run_events(logdir: str | Path) -> list[Any]:
    """Return the events of all files of a run, without the first of each file."""
    return [event for path in event_files(logdir) for event in events(path) if not event.file_version]


def everything(logdir: str | Path) -> dict[str, Any]:
    """Return the contents of a log directory, without times and order: {path: bytes of a file, or events of a run}."""
    logdir = Path(logdir)
    found: dict[str, Any] = {
        str(path.relative_to(logdir)): path.read_bytes()
        for path in logdir.rglob("*")
        if path.is_file() and "tfevents" not in path.name
    }
    for run in {path.parent for path in logdir.rglob("*tfevents*")}:
        events_of_run = run_events(run)
        for event in events_of_run:
            event.wall_time = 0
        found[str(run.relative_to(logdir))] = sorted(events_of_run, key=event_pb2.Event.SerializeToString)
    return found


def points(logdir: str | Path) -> dict[str, Points]:
    """Return {tag: [(step, value), ...]} of a run's simple values, in file order."""
    found: dict[str, Points] = defaultdict(list)
    for event in run_events(logdir):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found[value.tag].append((event.step, value.simple_value))
    return dict(found)


def numbers(count: int) -> Points:
    """Return the expected points of a tag with the numbers below `count`, each at its own step."""
    return [(step, float(step)) for step in range(count)]


def tags(logdir: str | Path) -> list[str]:
    """Return the tag of each value of a run, in file order."""
    return [value.tag for event in run_events(logdir) for value in event.summary.value]


def accumulator(logdir: str | Path) -> EventAccumulator:
    """Return TensorBoard's event accumulator for a run, fully loaded; it decodes every kind."""
    kinds = ("scalars", "tensors", "images", "histograms", "compressedHistograms", "audio")
    loaded = EventAccumulator(str(logdir), size_guidance=dict.fromkeys(kinds, 0))
    loaded.Reload()
    return loaded


@contextlib.contextmanager
def rust_server(logdir: str | Path) -> Iterator[Any]:
    """Yield the data provider of TensorBoard's Rust server, which loads a log directory once."""
    ingester = server_ingester.SubprocessServerDataIngester(
        server_binary=server_ingester.get_server_binary(),
        logdir=str(logdir),
        reload_interval=0,
        channel_creds_type=ChannelCredsType.LOCAL,
        samples_per_plugin={"scalars": 0, "images": 0, "tensors": 0},
    )
    ingester.start()
    try:
        yield ingester.data_provider
    finally:
        ingester._stdin_handle.close()  # the server ends when its standard input closes


def rust_points(logdir: str | Path, expected: dict[str, dict[str, Points]]) -> dict[str, dict[str, Points]]:
    """Return {run: {tag: [(step, value), ...]}} from the Rust server, once it equals `expected`.

    The server answers while it is still loading, and does not say when it is done: this polls it until
    the answer equals `expected`, for ten seconds at most.
    """
    deadline = time.monotonic() + 10
    with rust_server(logdir) as data:
        while True:
            found = _read_scalars(data)
            if found == expected or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


def _read_scalars(data: Any) -> dict[str, dict[str, Points]]:
    read = data.read_scalars(
        RequestContext(),
        experiment_id="",
        plugin_name="scalars",
        downsample=ALL,
        run_tag_filter=provider.RunTagFilter(),
    )
    return {
        run: {tag: [(point.step, point.value) for point in series] for tag, series in tags.items()}
        for run, tags in read.items()
    }


def hparams(logdir: str | Path) -> tuple[dict[str, Any], list[str]]:
    """Return a run's entries in TensorBoard's hyperparameter table: ({name: value}, [tag of a metric])."""
    found = accumulator(logdir).PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(found["_hparams_/session_start_info"]).session_start_info
    experiment = HParamsPluginData.FromString(found["_hparams_/experiment"]).experiment
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    return values, [info.name.tag for info in experiment.metric_infos]
