"""Metadata that comes behind the values that it explains, as EventAccumulator takes it."""

from __future__ import annotations

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
from tensorboard.util.tensor_util import make_tensor_proto

import tblog
from tblog._wire.framing import frame
from tests.foreign import write_events
from tests.reading import accumulator

SECOND = "events.out.tfevents.2.host"
KINDS = {"scalars": 0.5, "text": "note"}
TABLES = {"scalars": "scalars", "text": "texts"}


def tensor_event(plugin, step, *, names=None):
    """Return an Event with a number or a text; `names` is the display name in its metadata, if it has any."""
    event = Event(wall_time=1e9 + step, step=step)
    value = event.summary.value.add(tag="x", tensor=make_tensor_proto(KINDS[plugin]))
    if names is not None:
        about = SummaryMetadata.PluginData(plugin_name=plugin)
        value.metadata.CopyFrom(
            SummaryMetadata(plugin_data=about, display_name=names, summary_description=names)
        )
    event.summary.value.add(tag="loss", simple_value=step)
    return event


def what(run, plugin):
    """Return the run's tags and the steps of `x`, which EventAccumulator has as tensors of a plugin."""
    table = getattr(run, TABLES[plugin]).filter(tag="x")
    steps = table.step.tolist() if plugin == "scalars" else [item.step for item in table]
    return run.tags, steps


def told(logdir, plugin):
    """Return the same by EventAccumulator."""
    theirs = accumulator(logdir)
    assert theirs.SummaryMetadata("x").plugin_data.plugin_name == plugin
    scalars = ["loss", "x"] if plugin == "scalars" else ["loss"]
    tags = {"scalars": scalars} | ({} if plugin == "scalars" else {TABLES[plugin]: ["x"]})
    return tags, [event.step for event in theirs.Tensors("x")]


@pytest.mark.parametrize("plugin", KINDS)
def test_metadata_in_a_later_event_or_file_explains_the_values_before_it(tmp_path, plugin):
    """The first metadata of a tag decides about all its values, wherever in the run it comes."""
    bare = [tensor_event(plugin, step) for step in range(3)]
    write_events(tmp_path / "files", bare)
    write_events(tmp_path / "files", [tensor_event(plugin, 3, names="x"), tensor_event(plugin, 4)], SECOND)
    write_events(tmp_path / "events", [*bare, tensor_event(plugin, 3, names="x"), tensor_event(plugin, 4)])
    for name, run in tblog.read(tmp_path).items():
        assert what(run, plugin) == told(tmp_path / name, plugin)
        assert run.scalars.filter(tag="loss").value.tolist() == [0, 1, 2, 3, 4]
        assert run.records == 6 + (name == "files")


@pytest.mark.parametrize("plugin", KINDS)
def test_metadata_that_is_appended_explains_what_was_read_before(tmp_path, plugin):
    """After a refresh, a run is what it is when it is read anew, also if one of its files is gone."""
    gone = write_events(tmp_path, [tensor_event(plugin, 0)])
    path = write_events(tmp_path, [tensor_event(plugin, 1)], SECOND)
    runs = tblog.read(tmp_path)
    assert runs.tags == {"scalars": ["loss"], "tensors": ["x"]}
    with path.open("ab") as file:
        file.write(frame(tensor_event(plugin, 2, names="x").SerializeToString()))
    assert what(runs.refresh()["."], plugin) == told(tmp_path, plugin)
    assert what(tblog.read(tmp_path)["."], plugin) == told(tmp_path, plugin)
    gone.unlink()
    assert what(runs.refresh()["."], plugin)[1] == [1, 2]


def test_the_first_of_several_metadata_counts(tmp_path):
    """A later display name, description or plugin changes nothing, as in EventAccumulator."""
    write_events(tmp_path, [tensor_event("text", 0), tensor_event("text", 1, names="first")])
    write_events(tmp_path, [tensor_event("text", 2, names="second")], SECOND)
    other = tensor_event("text", 3, names="third")
    other.summary.value[0].metadata.plugin_data.plugin_name = "scalars"
    write_events(tmp_path, [other], SECOND.replace("2", "3"))
    run = tblog.read(tmp_path)["."]
    assert what(run, "text") == told(tmp_path, "text")
    assert {item.description for item in run.texts} == {"first"}
    assert accumulator(tmp_path).SummaryMetadata("x").summary_description == "first"
