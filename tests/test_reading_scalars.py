"""Scalars read by tblog.read equal those of TensorBoard's reader; filters, thinning, smoothing and exports."""

from __future__ import annotations

import os
import re
import struct
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tblog
from tests.foreign import write_events
from tests.needs import need_package
from tests.processes import run_program
from tests.reading import accumulator, rust_points

pandas = pytest.importorskip("pandas")


def scalar_event(step, wall_time=0.0, **scalars):
    """Return an Event with simple values."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
    return Event(step=step, wall_time=wall_time or 1e9 + step / 7, summary=Summary(value=values))


def start_event(step):
    """Return the Event of a restart at a step."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    return Event(step=step, wall_time=2e9, session_log=SessionLog(status=SessionLog.START))


def points(scalars):
    """Return {tag: [(wall time, step, value), ...]} of one run."""
    return {s.tag: list(zip(s.wall_time, s.step, s.value, strict=True)) for s in scalars.series()}


def accumulated(logdir):
    """Return the same, read by EventAccumulator."""
    events = accumulator(logdir)
    return {
        tag: [(e.wall_time, e.step, e.value) for e in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if events.Scalars(tag)
    }


@pytest.fixture
def two_runs(tmp_path):
    """Two runs of two tags, 200 steps each."""
    for run in ("lr0.1/seed1", "lr0.2/seed1"):
        write_events(tmp_path / run, [scalar_event(i, loss=i / 3, **{"val/acc": -i}) for i in range(200)])
    return tmp_path


def test_five_columns_in_pandas(two_runs):
    """The table has run, tag, step, wall_time and value, and a row for each scalar."""
    frame = tblog.read(two_runs).scalars.to_pandas()
    assert list(frame.columns) == ["run", "tag", "step", "wall_time", "value"]
    assert len(frame) == 800
    assert frame[["step", "wall_time", "value"]].dtypes.astype(str).tolist() == [
        "int64",
        "float64",
        "float64",
    ]
    loss = frame[(frame.run == "lr0.2/seed1") & (frame.tag == "loss")]
    assert loss.step.tolist() == list(range(200))
    assert loss.value.tolist() == [float(np.float32(i / 3)) for i in range(200)]


STEPS = [0, 1, 127, 128, 16_384, 2**31, 2**62, -1, -(2**40)]


def test_every_form_of_a_scalar_event_is_read_as_event_accumulator_reads_it(tmp_path):
    """Steps of one to ten bytes, tags of many lengths, and several values in an event, each form frequent or rare."""
    events = [scalar_event(step, **{f"tag{step}": 0.1}) for step in STEPS for _ in range(30)]
    events += [scalar_event(i, a=i / 3, **{"b" * (1 + i % 40): -1.5, "ü": float("inf")}) for i in range(500)]
    events += [scalar_event(i, **{f"t{i % 50:02}": float(i)}) for i in range(2000)]
    events += [scalar_event(i, **{"long/" + "x" * 1300: float(i)}) for i in range(40)]
    events += [scalar_event(i, **{"": float(i)}) for i in range(40)]
    write_events(tmp_path, events)
    run = tblog.read(tmp_path)["."]
    assert points(run.scalars) == accumulated(tmp_path)
    assert not run.damage
    assert run.records == len(events) + 1


@pytest.mark.parametrize("count", [3, 60, 700])
def test_events_of_many_values_are_read_in_columns_as_event_accumulator_reads_them(
    tmp_path, monkeypatch, count
):
    """Dictionaries of any size, with changing tags and damaged events in between."""
    from tblog.reading import _events

    tags = [f"metrics/value_{i:03}" for i in range(count)]
    rows = [
        (step, [f"{tag}x" if i % 7 == step % 7 else tag for i, tag in enumerate(tags)]) for step in range(150)
    ]
    events = [scalar_event(step, **{tag: step + i / 9 for i, tag in enumerate(of)}) for step, of in rows]
    events += [scalar_event(step, **dict.fromkeys(tags, float(step))) for step in range(150, 300)]
    path = write_events(tmp_path, events)
    parsed = []
    monkeypatch.setattr(_events, "parse", lambda data, parse=_events.parse: parsed.append(0) or parse(data))
    assert points(tblog.read(tmp_path)["."].scalars) == accumulated(tmp_path)
    assert len(parsed) < 30
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<d", events[170].wall_time), struct.pack("<d", 1e9)))
    run = tblog.read(tmp_path)["."]
    assert [damage.reason for damage in run.damage] == ["the record's checksum is wrong"]
    assert len(run.scalars) == count * 299


def test_tensors_of_many_dtypes_in_one_event_are_read_to_the_last_bit(tmp_path):
    """Whatever other values the event has."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.util.tensor_util import make_tensor_proto

    events = []
    for step in range(60):
        event = Event(step=step, wall_time=1e9 + step)
        for i in range(90):
            value = event.summary.value.add(tag=f"tag{i}")
            value.metadata.plugin_data.plugin_name = "scalars"
            dtype = ["float32", "float64", "int64", "float16"][i % 4]
            value.tensor.CopyFrom(make_tensor_proto(np.array(step * 100 + i + (i % 4 < 2) / 3, dtype)))
        if step == 40:
            event.summary.value.add(tag="old", simple_value=0.5)
        events.append(event)
    write_events(tmp_path, events)
    scalars = tblog.read(tmp_path).scalars
    for i in range(90):
        dtype = ["float32", "float64", "int64", "float16"][i % 4]
        wanted = [float(np.array(step * 100 + i + (i % 4 < 2) / 3, dtype)) for step in range(60)]
        assert scalars.filter(tag=f"tag{i}").value.tolist() == wanted
    assert scalars.filter(tag="old").step.tolist() == [40]


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.lists(st.tuples(st.sampled_from(["a", "b", "loss/x", "ß"]), st.floats(width=32)), max_size=3),
        ),
        max_size=60,
    )
)
@settings(max_examples=40, deadline=None)
def test_whatever_scalars_are_logged_all_come_back_in_their_order(tmp_path_factory, rows):
    """With restarts="keep" the columns are the file's values in order."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    logdir = tmp_path_factory.mktemp("any")
    events = [
        Event(
            step=step,
            wall_time=i,
            summary=Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in values]),
        )
        for i, (step, values) in enumerate(rows)
    ]
    write_events(logdir, events * 20)
    columns = tblog.read(logdir, restarts="keep").scalars.to_numpy()
    wanted = [(t, s, i, v) for i, (s, values) in enumerate(rows) for t, v in values] * 20
    assert columns["tag"].tolist() == [one[0] for one in wanted]
    assert columns["step"].tolist() == [one[1] for one in wanted]
    assert columns["wall_time"].tolist() == [one[2] for one in wanted]
    np.testing.assert_array_equal(columns["value"], [one[3] for one in wanted])


@pytest.mark.parametrize("stated", ["always", "first"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32"])
@pytest.mark.parametrize("packed", [True, False])
def test_tensors_of_the_scalars_plugin_are_scalars_in_full_precision(tmp_path, stated, dtype, packed):
    """New-style scalars are scalars, float64 exactly, whether each event has metadata or only the first."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.util import tensor_util

    values = (np.arange(100) / 3).astype(dtype)
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    events = []
    for step, value in enumerate(values):
        tensor = tensor_util.make_tensor_proto(value)
        if packed:
            for field in ("float_val", "double_val", "int_val", "int64_val", "half_val"):
                tensor.ClearField(field)
            tensor.tensor_content = value.tobytes()
        told = {"metadata": metadata} if stated == "always" or step == 0 else {}
        events.append(
            Event(step=step, summary=Summary(value=[Summary.Value(tag="x", tensor=tensor, **told)]))
        )
    write_events(tmp_path, events)
    (series,) = tblog.read(tmp_path).scalars.series()
    assert series.value.tolist() == values.astype(float).tolist()
    assert tblog.read(tmp_path)["."].tags == {"scalars": ["x"]}


@pytest.mark.parametrize("writer", ["tblog", "torch", "tensorboardX"])
def test_scalars_of_each_writer_equal_event_accumulator(tmp_path, writer):
    """Numbers, dictionaries and new-style scalars of three writers, in their runs."""
    if writer == "torch":
        from torch.utils.tensorboard import SummaryWriter
    elif writer == "tensorboardX":
        from tensorboardX import SummaryWriter
    else:
        from tblog import SummaryWriter
    with SummaryWriter(str(tmp_path)) as log:
        for i in range(300):
            log.add_scalar("loss", i / 3, i)
            if i % 100 == 0:
                log.add_scalars("pair", {"a": i, "b": -i}, i)
                log.add_text("note", "x", i)
    runs = tblog.read(tmp_path)
    assert {name.replace("/", "_") for name in runs} == {".", "pair_a", "pair_b"}
    for name, run in runs.items():
        assert points(run.scalars) == accumulated(tmp_path / name)


def test_runs_are_found_wherever_they_are_given(two_runs, monkeypatch):
    """By a directory, a file, a glob, a list, a dict of names, or a relative path."""
    both = ["lr0.1/seed1", "lr0.2/seed1"]
    (file,) = (two_runs / both[0]).iterdir()
    assert list(tblog.read(str(two_runs))) == both
    assert list(tblog.read(file)) == ["."]
    assert list(tblog.read(two_runs / "*" / "seed1")) == both
    assert list(tblog.read([two_runs / run for run in both])) == both
    assert list(tblog.read({"old": two_runs / both[0], "new": two_runs})) == [
        "new/lr0.1/seed1",
        "new/lr0.2/seed1",
        "old",
    ]
    monkeypatch.chdir(two_runs.parent)
    assert list(tblog.read(two_runs.name)) == both
    monkeypatch.chdir(two_runs)
    assert list(tblog.read("lr0.1")) == ["seed1"]
    with pytest.raises(FileNotFoundError, match="log directory"):
        tblog.read(two_runs / "nothing")


def test_a_url_is_opened_by_fsspec(two_runs):
    """A URL is read like a directory."""
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    for path in two_runs.rglob("*tfevents*"):
        files.pipe(f"/logs/{path.relative_to(two_runs)}", path.read_bytes())
    remote = tblog.read("memory://logs")
    assert list(remote) == ["lr0.1/seed1", "lr0.2/seed1"]
    assert len(remote.scalars) == 800


def test_filters_choose_by_name_glob_pattern_and_steps(two_runs):
    """Filters of `read`, of runs and of the table choose the same rows; other files are not opened."""
    runs = tblog.read(two_runs)
    chosen = runs.scalars.filter(run="lr0.1/*", tag=re.compile("^val"), steps=(10, 20))
    assert chosen.runs == ("lr0.1/seed1",)
    assert chosen.tags == ("val/acc",)
    assert chosen.step.tolist() == list(range(10, 20))
    for same in (
        tblog.read(two_runs, run="lr0.1/*", tag=re.compile("^val"), steps=(10, 20)),
        runs.filter(run=["lr0.1/seed1"], tag="val/acc").filter(steps=slice(10, 20)),
    ):
        assert list(same) == ["lr0.1/seed1"]
        assert same.scalars.to_pandas().equals(chosen.to_pandas())
    assert runs.scalars.filter(steps=range(0, 200, 50)).filter(run="*2*", tag="loss").step.tolist() == [
        0,
        50,
        100,
        150,
    ]
    assert len(runs.scalars.filter(tag="no such tag")) == 0
    for path in (two_runs / "lr0.2").rglob("*tfevents*"):
        path.write_bytes(b"no event file")
    assert not tblog.read(two_runs).filter(run="lr0.1*").damage
    with pytest.raises(TypeError, match="glob"):
        tblog.read(two_runs, tag=3)
    with pytest.raises(TypeError, match="stop"):
        runs.scalars.filter(steps=3)


def test_what_a_program_changes_in_a_table_changes_no_other_one(two_runs):
    """Neither in arrays nor in a data frame, for one run as for several: what was read stays."""
    for runs in (tblog.read(two_runs / "lr0.1"), tblog.read(two_runs)):
        before = runs.scalars.to_numpy()
        before = {name: column.copy() for name, column in before.items()}
        frame = runs.scalars.to_pandas()
        frame.loc[0, ["step", "wall_time", "value"]] = [-1, -1.0, -1.0]
        scalars = runs.scalars
        for column in (scalars.step, scalars.wall_time, scalars.value, scalars.tag_index, scalars.run_index):
            column[1:5] = 0
        for name, column in runs.scalars.to_numpy().items():
            assert (column == before[name]).all()


def test_last_is_the_last_row_of_each_curve(two_runs):
    """It has one row for each tag of each run, the last one logged."""
    last = tblog.read(two_runs).scalars.last()
    assert last.step.tolist() == [199] * 4
    assert sorted(last.value.tolist()) == [
        -199.0,
        -199.0,
        float(np.float32(199 / 3)),
        float(np.float32(199 / 3)),
    ]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=300), st.integers(4, 40))
@settings(max_examples=60, deadline=None)
def test_thin_keeps_ends_and_extremes_and_no_more_rows_than_asked(values, n):
    """A curve keeps its first, last, smallest and largest values exactly, in order."""
    from tblog.reading._curves import thin

    array = np.array(values)
    kept = thin(array, n)
    assert len(kept) <= max(n, 4) or len(kept) == len(array)
    assert (np.diff(kept) > 0).all()
    assert {0, len(array) - 1} <= set(kept.tolist())
    if not np.isnan(array).all():
        assert np.nanmin(array[kept]) == np.nanmin(array)
        assert np.nanmax(array[kept]) == np.nanmax(array)


def test_thin_says_what_it_left_out(two_runs):
    """Thinned scalars have the original number of rows; short curves stay whole, without a note."""
    scalars = tblog.read(two_runs).scalars
    thinned = scalars.thin(50)
    assert thinned.thinned is not None
    assert thinned.thinned.of == 800
    assert thinned.thinned.kept == len(thinned) <= 4 * 50
    assert "thinned from 800" in repr(thinned)
    assert thinned.to_pandas().attrs["thinned"] == {"kept": len(thinned), "of": 800}
    assert scalars.thin(200).thinned is None
    with pytest.raises(ValueError, match="give 4 or more"):
        scalars.thin(3)


def test_smoothing_is_tensorboards_with_its_debiasing(tmp_path):
    """It gives the figures of TensorBoard's own test; constant curves and NaN do not change."""
    rows = [scalar_event(i, x=value, flat=2.0) for i, value in enumerate([1.0, 0.0, float("nan"), 0.5])]
    write_events(tmp_path, rows)
    smoothed = {s.tag: s.value for s in tblog.read(tmp_path).scalars.smooth(0.6).series()}
    last, expected = 0.0, []
    for count, value in enumerate([1.0, 0.0, 0.5], 1):
        last = last * 0.6 + 0.4 * value
        expected.append(last / (1 - 0.6**count))
    np.testing.assert_array_equal(smoothed["x"], [*expected[:2], np.nan, expected[2]])
    assert smoothed["flat"].tolist() == [2.0] * 4
    with pytest.raises(ValueError, match="0 to 1"):
        tblog.read(tmp_path).scalars.smooth(60)


def test_wide_form_has_a_column_for_each_tag(two_runs):
    """It has one row for each run and step, NaN if a tag has no value, and the last value if it has two."""
    write_events(
        two_runs / "lr0.1/seed1", [scalar_event(7, loss=9.0), scalar_event(500, loss=1.0)], "a.tfevents.9"
    )
    wide = tblog.read(two_runs).scalars.to_pandas(wide=True)
    assert wide.index.names == ["run", "step"]
    assert wide.loc[("lr0.2/seed1", 5)].to_dict() == {"loss": float(np.float32(5 / 3)), "val/acc": -5.0}
    assert np.isnan(wide.loc[("lr0.1/seed1", 500), "val/acc"])
    polars = pytest.importorskip("polars")
    same = tblog.read(two_runs).scalars.to_polars(wide=True)
    assert same.columns == ["run", "step", "loss", "val/acc"]
    assert same.filter((polars.col("run") == "lr0.2/seed1") & (polars.col("step") == 5))[
        "loss"
    ].to_list() == [float(np.float32(5 / 3))]


def test_polars_arrow_and_numpy_have_the_same_rows(two_runs):
    """They equal the rows of the pandas table."""
    pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    scalars = tblog.read(two_runs).scalars
    rows = list(scalars.to_pandas().itertuples(index=False, name=None))
    assert scalars.to_polars().rows() == rows
    arrow = scalars.to_arrow().to_pylist()
    assert [tuple(row.values()) for row in arrow] == rows
    columns = scalars.to_numpy()
    assert list(zip(*(column.tolist() for column in columns.values()), strict=True)) == rows


def test_wide_tables_are_the_same_in_every_form(two_runs):
    """Columns run, step, and one for each tag, whatever it is called; a missing value is NaN."""
    pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    scalars = tblog.read(two_runs).scalars
    arrow, polars = scalars.to_arrow(wide=True), scalars.to_polars(wide=True)
    assert arrow.column_names == polars.columns == ["run", "step", "loss", "val/acc"]
    frame = scalars.to_pandas(wide=True)
    assert list(zip(*(arrow[name].to_pylist() for name in ("run", "step")), strict=True)) == list(frame.index)
    for tag in ("loss", "val/acc"):
        np.testing.assert_array_equal(arrow[tag].to_numpy(), frame[tag])
        np.testing.assert_array_equal(polars[tag].to_numpy(), frame[tag])
    write_events(two_runs, [scalar_event(1, run=1.0)])
    scalars = tblog.read(two_runs).scalars
    assert "run" in scalars.to_pandas(wide=True).columns
    for export in (scalars.to_arrow, scalars.to_polars):
        with pytest.raises(ValueError, match="two columns 'run', because a tag is called so"):
            export(wide=True)


def test_runs_are_like_a_dict(two_runs):
    """Of runs by name, sorted; without runs as well, until there are any."""
    runs = tblog.read(two_runs)
    names = list(runs)
    assert names == sorted(names) == list(runs.keys()) == [run.name for run in runs.values()]
    assert [(name, run.name) for name, run in runs.items()] == [(name, name) for name in names]
    assert names[0] in runs
    assert runs.get("none") is None
    assert "none" not in runs
    (two_runs / "empty").mkdir()
    later = tblog.read(two_runs / "empty")
    assert (len(later), list(later), len(later.scalars), later.tags, later.damage) == (0, [], 0, {}, [])
    assert len(later.scalars.to_pandas(wide=True)) == len(later.scalars.last()) == len(later.hparams) == 0
    write_events(two_runs / "empty" / "new", [scalar_event(1, a=1.0)])
    assert list(later.refresh()) == ["new"]
    with pytest.raises(FileNotFoundError, match=r"there is nothing at .*none.*give a log directory"):
        tblog.read(two_runs / "none")


def test_an_extra_that_is_missing_is_named(two_runs, monkeypatch):
    """Without pandas, the error says what to install, and everything else works."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    scalars = tblog.read(two_runs).scalars
    assert len(scalars.to_numpy()["value"]) == 800
    with pytest.raises(ImportError, match=r"pip install tblog\[pandas\]"):
        scalars.to_pandas()


def test_reading_imports_no_framework_and_no_pandas(two_runs):
    """Scalars are read by numpy alone, without TensorBoard, torch, TensorFlow, tensorboardX, protobuf or pandas."""
    program = (
        f"import sys, tblog; assert len(tblog.read({str(two_runs)!r}).scalars) == 800; "
        "print({'tensorboard', 'torch', 'tensorflow', 'tensorboardX', 'google.protobuf', 'pandas', 'polars', 'pyarrow',"
        " 'fsspec', 'PIL'} & set(sys.modules))"
    )
    assert run_program(program).strip() == "set()"


@pytest.mark.parametrize("version", ["brain.Event:2", "brain.Event:1", None])
@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_restarts_are_event_accumulators_by_default(tmp_path_factory, caplog, version, data):
    """For any steps in any order, with START events and over several files, the rows equal EventAccumulator's."""
    caplog.set_level("CRITICAL", logger="tensorboard")
    logdir = tmp_path_factory.mktemp("restarts")
    step = st.integers(0, 6)
    event = st.one_of(
        st.builds(lambda s, v: scalar_event(s, a=v), step, st.floats(width=32, allow_nan=False)),
        st.builds(lambda s, v: scalar_event(s, a=v, b=-v), step, st.floats(width=32, allow_nan=False)),
        st.builds(start_event, step),
    )
    for number in range(2):
        events = data.draw(st.lists(event, max_size=12))
        write_events(logdir, events, f"events.out.tfevents.{number}", version)
    assert points(tblog.read(logdir).scalars) == accumulated(logdir)


def test_restarts_can_be_the_rust_loaders_or_none(tmp_path):
    """The Rust loader hides a step that is logged again, and the steps after it; "keep" hides nothing."""
    events = [scalar_event(s, a=float(s)) for s in (0, 1, 2, 3)]
    events += [start_event(2), *[scalar_event(s, a=10.0 + s) for s in (2, 3, 3, 4)]]
    write_events(tmp_path, events)
    assert tblog.read(tmp_path).scalars.value.tolist() == [0, 1, 12, 13, 13, 14]
    assert tblog.read(tmp_path, restarts="rust").scalars.value.tolist() == [0, 1, 12, 13, 14]
    assert tblog.read(tmp_path, restarts="keep").scalars.value.tolist() == [0, 1, 2, 3, 12, 13, 13, 14]
    with pytest.raises(ValueError, match="tensorboard, rust, keep"):
        tblog.read(tmp_path, restarts="drop")


def test_a_file_of_another_kind_is_refused_and_a_pattern_leaves_it_out(tmp_path):
    """An event file may have any name, and may still be empty."""
    path = write_events(tmp_path / "a", [scalar_event(1, a=1.0)])
    path.rename(tmp_path / "a" / "renamed")
    (tmp_path / "a" / "train.py").write_text("import tblog\n")
    (tmp_path / "a" / "empty").touch()
    with pytest.raises(OSError, match=r"train\.py is no event file"):
        tblog.read(tmp_path / "a" / "train.py")
    assert len(tblog.read(tmp_path / "a" / "renamed").scalars) == 1
    assert len(tblog.read(tmp_path / "a" / "empty").scalars) == 0
    assert [*tblog.read(tmp_path / "a" / "*")["."].files] == [
        str(tmp_path / "a" / "empty"),
        str(tmp_path / "a" / "renamed"),
    ]


def test_what_is_no_file_is_left_out_and_never_waited_for(two_runs):
    """A pipe, a socket or a dangling link may have an event file's name; opening a pipe would wait forever."""
    os.mkfifo(two_runs / "events.out.tfevents.1.pipe")
    (two_runs / "events.out.tfevents.1.link").symlink_to(two_runs / "nowhere")
    assert len(tblog.read(two_runs)) == 2
    assert len(tblog.read(two_runs / "**")) == 2
    with pytest.raises(OSError, match="is no event file"):
        tblog.read(two_runs / "events.out.tfevents.1.pipe")


@pytest.mark.parametrize(("place", "error"), [([], ValueError), (3, TypeError)])
def test_no_place_at_all_is_refused_in_words(place, error):
    """The message says what to give."""
    with pytest.raises(error, match="give a path, a list of paths, or a dict"):
        tblog.read(place)


def test_run_names_that_are_no_utf_8_reach_arrow_and_polars(tmp_path):
    """A directory's name may have any bytes, but both accept only UTF-8."""
    write_events(tmp_path / os.fsdecode(b"bad\xff"), [scalar_event(0, loss=1.0)])
    scalars = tblog.read(tmp_path).scalars
    assert scalars.to_arrow()["run"].to_pylist() == scalars.to_polars()["run"].to_list() == [r"bad\udcff"]
    assert scalars.to_polars(wide=True)["run"].to_list() == [r"bad\udcff"]


def test_restarts_as_the_rust_loader_has_them_are_its_own(tmp_path):
    """For restarts with and without START events, over several files."""
    need_package("tensorboard_data_server")
    first = [scalar_event(step, a=step, b=-step) for step in range(100)]
    second = [start_event(50), *(scalar_event(step, a=1000 + step) for step in [50, 60, 55, 70, 70, 40, 90])]
    write_events(tmp_path / "run", [*first, *second], "events.out.tfevents.1.host")
    third = [scalar_event(step, wall_time=3e9, b=2000 + step) for step in (20, 30, 25)]
    write_events(tmp_path / "run", third, "events.out.tfevents.2.host")
    found = {
        tag: [(step, value) for _, step, value in rows]
        for tag, rows in points(tblog.read(tmp_path, restarts="rust")["run"].scalars).items()
    }
    expected = {"run": found}
    assert rust_points(tmp_path, expected) == expected
    assert found["a"][-2:] == [(40, 1040.0), (90, 1090.0)]


def test_rows_of_several_files_are_in_the_order_of_their_names(tmp_path):
    """Files of a run are read in the order of their names, as TensorBoard does."""
    write_events(tmp_path, [scalar_event(1, a=2.0)], "events.out.tfevents.2")
    write_events(tmp_path, [scalar_event(5, a=1.0)], "events.out.tfevents.1")
    write_events(tmp_path, [scalar_event(7, a=9.0)], "events.out.tfevents.3.profile-empty")
    assert tblog.read(tmp_path, restarts="keep").scalars.value.tolist() == [1.0, 2.0]


def frame_at(data, number):
    """Return where the record of this number starts in the bytes of an event file."""
    at = 0
    for _ in range(number):
        at += 16 + struct.unpack_from("<Q", data, at)[0]
    return at


@pytest.mark.parametrize("place", [3, 9, 20, -2])
@pytest.mark.parametrize("record", [0, 1, 150, 200])
def test_a_damaged_record_is_skipped_and_reported_with_its_place(tmp_path, place, record):
    """A changed bit costs only its own record, wherever it is, and the report has its position."""
    path = write_events(tmp_path, [scalar_event(i, a=float(i)) for i in range(200)])
    data = bytearray(path.read_bytes())
    start, end = frame_at(data, record), frame_at(data, record + 1) if record < 200 else len(data)
    data[(start if place >= 0 else end) + place] ^= 1
    path.write_bytes(data)
    run = tblog.read(tmp_path, restarts="keep")["."]
    assert run.scalars.value.tolist() == [i for i in range(200) if i != record - 1]
    found = run.damage + run.unfinished
    assert [(damage.path, damage.start, damage.end) for damage in found] == [(str(path), start, end)]
    assert bool(run.unfinished) == (record == 200)  # it may still be completed
    assert run.records == 200


def test_a_record_that_was_torn_by_the_next_one_costs_itself_alone(tmp_path):
    """If a writer died inside a record and another one appended, only the torn record is lost."""
    path = write_events(tmp_path, [scalar_event(i, a=float(i)) for i in range(100)])
    data = path.read_bytes()
    at = frame_at(data, 51)
    path.write_bytes(data[: at - 9] + data[at:])
    run = tblog.read(tmp_path, restarts="keep")["."]
    assert run.scalars.value.tolist() == [i for i in range(100) if i != 49]
    assert [(d.start, d.end) for d in run.damage] == [(frame_at(data, 50), at - 9)]


def test_refresh_reads_what_was_appended_and_nothing_else(tmp_path, monkeypatch):
    """Torn ends are read once they are whole, new files and runs are found, and nothing is read twice."""
    from tblog.reading import _windows

    whole = write_events(tmp_path / "a", [scalar_event(i, a=float(i)) for i in range(1000)]).read_bytes()
    path = tmp_path / "a" / "events.out.tfevents.1.host"
    path.write_bytes(whole[: len(whole) // 2])
    runs = tblog.read(tmp_path)
    first = len(runs.scalars)
    assert 0 < first < 1000
    assert [(end.start < end.end == len(whole) // 2) for end in runs.unfinished] == [True]
    asked = []
    read_into = _windows._read_into
    monkeypatch.setattr(
        _windows, "_read_into", lambda file, room: asked.append(len(room)) or read_into(file, room)
    )
    path.write_bytes(whole)
    assert runs.refresh() is runs
    assert len(runs.scalars) == 1000
    assert sum(asked) <= len(whole) // 2 + 100
    asked.clear()
    runs.refresh()
    assert not asked
    assert not runs.unfinished
    write_events(tmp_path / "b", [scalar_event(0, a=1.0)])
    write_events(tmp_path / "a", [scalar_event(2000, a=1.0)], "events.out.tfevents.2.host")
    assert list(runs.refresh()) == ["a", "b"]
    assert len(runs.scalars) == 1002


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    """A file that is shorter, or another file of the same size, is read from its start."""
    write_events(tmp_path, [scalar_event(i, a=float(i)) for i in range(100)])
    runs = tblog.read(tmp_path)
    assert len(runs.scalars) == 100
    path = write_events(tmp_path, [scalar_event(i, a=-1.0) for i in range(30)])
    assert runs.refresh().scalars.value.tolist() == [-1.0] * 30
    path.write_bytes(write_events(tmp_path / "x", [scalar_event(i, b=-2.0) for i in range(60)]).read_bytes())
    assert runs.refresh().scalars.filter(run=".").value.tolist() == [-2.0] * 60
    path.unlink()
    assert list(runs.refresh()) == ["x"]
