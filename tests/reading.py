"""What TensorBoard sees in a log directory: read by its own Python reader and by its Rust data server."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto import event_pb2
from tensorboard.context import RequestContext
from tensorboard.data import provider, server_ingester
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util.grpc_util import ChannelCredsType

ALL = 100_000_000


def event_files(logdir):
    """Return the event files directly in a directory, in the order in which TensorBoard reads them."""
    return sorted(path for path in Path(logdir).iterdir() if "tfevents" in path.name)


def events(path):
    """Return all events of one file, the first (file version) included; a corrupt record raises."""
    loader = LegacyEventFileLoader(str(path))
    return list(loader.Load())


def run_events(logdir):
    """Return the events of all files of a run but their first ones."""
    return [event for path in event_files(logdir) for event in events(path) if not event.file_version]


def everything(logdir):
    """Return all that is in a log directory, but for times and order: {path: bytes of a file, or events of a run}."""
    logdir = Path(logdir)
    found = {
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


def points(logdir):
    """Return {tag: [(step, value), ...]} of the simple values of a run, in the order of the files."""
    found = defaultdict(list)
    for event in run_events(logdir):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found[value.tag].append((event.step, value.simple_value))
    return dict(found)


def accumulator(logdir):
    """Return TensorBoard's event accumulator of a run, which decodes every kind, loaded whole."""
    kinds = ("scalars", "tensors", "images", "histograms", "compressedHistograms", "audio")
    loaded = EventAccumulator(str(logdir), size_guidance=dict.fromkeys(kinds, 0))
    loaded.Reload()
    return loaded


@contextlib.contextmanager
def rust_server(logdir):
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
        ingester._stdin_handle.close()  # the server ends with its standard input


def rust_points(logdir, expected):
    """Return {run: {tag: [(step, value), ...]}} as the Rust server gives it, once it is as expected.

    The server answers while it still loads, and does not say when it is done: what it gives is
    asked for until it equals `expected`, for ten seconds at most.
    """
    deadline = time.monotonic() + 10
    with rust_server(logdir) as data:
        while True:
            found = _read_scalars(data)
            if found == expected or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


def _read_scalars(data):
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


def hparams(logdir):
    """Return what TensorBoard's table of hyperparameters knows of a run: ({name: value}, [tag of a metric])."""
    found = accumulator(logdir).PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(found["_hparams_/session_start_info"]).session_start_info
    experiment = HParamsPluginData.FromString(found["_hparams_/experiment"]).experiment
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    return values, [info.name.tag for info in experiment.metric_infos]
