"""What `SummaryWriter` promises apart from the summaries: lifecycle, attributes, positions, new calls."""

from __future__ import annotations

import copy
import enum
import functools
import json
import pickle
import re
import time
from pathlib import Path

import numpy as np
import pytest
import tensorboardX
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from tblog import FileWriter, SummaryWriter, WriterOptions, records
from tests.processes import run_program
from tests.reading import event_files, events, points, run_events

X = WriterOptions(flavor="tensorboardX")


def test_importing_tblog_and_logging_scalars_loads_neither_torch_nor_tensorboardx(tmp_path):
    """A program that logs only scalars stays small."""
    code = (
        "import sys, tblog; early = set(sys.modules)\n"
        "with tblog.SummaryWriter(sys.argv[1]) as writer: writer.add_scalar('x', 1.0, 1)\n"
        "print([name for name in ('numpy',) if name in early], "
        "[name for name in ('torch', 'tensorboardX', 'google.protobuf', 'tensorboard') if name in sys.modules])"
    )
    assert run_program(code, None, tmp_path) == "[] []\n"
    assert points(tmp_path) == {"x": [(1, 1.0)]}


class Name(str, enum.Enum):  # noqa: UP042 - a StrEnum shows its value; this one does not
    """Strings whose `str()` shows another text."""

    SEVEN = "7"


@pytest.mark.parametrize("comment", [7, "7", Name.SEVEN], ids=["number", "string", "member"])
def test_the_default_directory_is_named_as_the_originals_name_it(tmp_path, monkeypatch, comment):
    """`runs/<date>_<host><comment>`, whatever the comment's type; the file name ends likewise."""
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment=comment, filename_suffix=Name.SEVEN) as writer:
        assert re.fullmatch(r"runs/[A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d_.+[^.A-Z]7", writer.log_dir)
    (file,) = event_files(tmp_path / writer.log_dir)
    assert re.search(r"\d7$", file.name)


@pytest.mark.parametrize(
    "make",
    [
        SummaryWriter,
        lambda path: SummaryWriter(str(path)),
        lambda path: SummaryWriter(log_dir=path),
        lambda path: SummaryWriter(logdir=str(path)),
        lambda path: SummaryWriter(str(path), "", None, 10, 120, ".suffix"),
        lambda path: SummaryWriter(str(path), "", None, 10, 120, ".suffix", True, None, {"disabled": True}),
        lambda path: SummaryWriter(str(path), max_queue=1, flush_secs=10**12),
    ],
)
def test_every_way_to_construct_a_writer_works(tmp_path, make):
    """By position and by keyword, as either original takes its arguments."""
    with make(tmp_path / "run") as writer:
        writer.add_scalar("x", 1.0, 1)
        assert writer.log_dir == writer.logdir == writer.get_logdir() == str(tmp_path / "run")
    (path,) = event_files(tmp_path / "run")
    assert path.name.endswith(writer.filename_suffix)
    assert points(tmp_path / "run") == {"x": [(1, 1.0)]}


ONE = records.HistogramRecord(tag="h", values=np.zeros(10_000))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"flush_sec": 3}, TypeError, "no argument 'flush_sec'; did you mean 'flush_secs'?"),
        ({"flushsecs": 3}, TypeError, "no argument 'flushsecs'; did you mean 'flush_secs'?"),
        ({"color": "red"}, TypeError, "no argument 'color'; it has logdir, comment, "),
        ({"options": {"strict": True}}, TypeError, "options was .*; give tblog.WriterOptions(strict=True)"),
        ({"options": "strict"}, TypeError, "options was 'strict' of type str; give tblog.WriterOptions("),
        ({"resume": "yes"}, ValueError, "resume was 'yes'; give True, False, or the step to go on with"),
        ({"purge_step": "all"}, ValueError, "purge_step was 'all'; give an int"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_a_wrong_argument_is_an_error_that_names_it_and_what_to_give(tmp_path, arguments, error, message):
    """A misspelt argument is not ignored, and the error for a wrong type names its argument."""
    wanted = re.escape(message).replace(re.escape(".*"), ".*")
    with pytest.raises(error, match=wanted):
        SummaryWriter(tmp_path, **arguments)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_queue_records": "3"}, "max_queue_records was '3' of type str; give 1 or more"),
        ({"png_compress_level": 10}, "png_compress_level was 10; give 0 to 9"),
        ({"overflow": "throw"}, 'overflow was \'throw\'; give "wait" or "drop"'),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_a_wrong_option_is_an_error_that_names_it_and_what_to_give(arguments, message):
    """This includes a wrong type."""
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        WriterOptions(**arguments)


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("add_record", [ONE] * 50, "of type list; give a record of tblog.records, or several to add_records"),
        ("add_record", 3, "add_record got 3 of type int; give a record of tblog.records"),
        (
            "add_records",
            ONE,
            "of type HistogramRecord; give an iterable of records, or one record to add_record",
        ),
        ("add_records", None, "add_records got None of type NoneType; give an iterable of records"),
    ],
)
def test_an_error_for_several_records_names_the_method_for_them(tmp_path, method, given, message):
    """The message has a few lines, however many arrays the records hold."""
    with SummaryWriter(tmp_path) as writer, pytest.raises(TypeError, match=re.escape(message)) as raised:
        getattr(writer, method)(given)
    assert len(str(raised.value)) < 400


def test_a_step_that_loses_its_fraction_is_reported_once(tmp_path, caplog):
    """Both originals truncate it silently; a whole number of any type gives no warning."""
    with SummaryWriter(tmp_path) as writer:
        for step in (3.0, np.float32(4), torch.tensor(5.0), "6", 2**53 + 1, np.int64(2**62), None):
            writer.add_scalar("whole", 1.0, step)
        assert not caplog.records
        for step in (3.7, np.float32(4.5), torch.tensor(5.5)):
            writer.add_scalar("cut", 1.0, step)
    assert [step for step, _ in points(tmp_path)["cut"]] == [3, 4, 5]
    (told,) = caplog.records
    assert "'cut': global_step was 3.7, and is logged as 3" in told.getMessage()


def test_a_directory_that_cannot_be_made_is_an_error_at_the_call(tmp_path):
    """It is not a later warning."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        SummaryWriter(tmp_path / "file" / "run")


def test_the_attributes_that_others_read_are_there(tmp_path):
    """Frameworks read these by name."""
    writer = SummaryWriter(tmp_path, purge_step=3, max_queue=5, flush_secs=7, filename_suffix=".s")
    assert (writer.purge_step, writer.max_queue, writer.flush_secs, writer.filename_suffix) == (3, 5, 7, ".s")
    assert len(writer.default_bins) == 1549
    assert (
        writer.default_bins
        == tensorboardX.SummaryWriter(str(tmp_path / "x"), write_to_disk=False).default_bins
    )
    assert writer.kwargs == {}
    assert writer.scalar_dict == {}
    assert writer
    own = writer._get_file_writer()
    assert own is writer.file_writer
    assert writer.all_writers == {str(tmp_path): own}
    assert own.get_logdir() == str(tmp_path)
    (path,) = event_files(tmp_path)
    assert own.event_writer._file_name == str(path)
    assert own.event_writer._ev_writer._file_name == str(path)
    writer.close()
    assert writer.file_writer is None
    assert writer.all_writers is None


class Failing(torch.nn.Module):
    """A model that fails on any input."""

    def forward(self, x):
        raise ValueError(f"no such input: {x.shape}")


def test_a_graph_that_cannot_be_read_is_counted_and_reported_once(tmp_path, caplog):
    """Training goes on, the count shows that something is missing, and one line gives the model's error."""
    for on_disk in (True, False):
        caplog.clear()
        with SummaryWriter(tmp_path, write_to_disk=on_disk) as writer:
            for _ in range(2):
                writer.add_graph(Failing(), torch.ones(1))
            writer.add_scalar("after", 1.0, 1)
        assert writer.stats.failed == (2 if on_disk else 0)
        (told,) = (record for record in caplog.records if record.name == "tblog")
        assert told.getMessage().count("no such input") == 1
    assert points(tmp_path)["after"] == [(1, 1.0)]


def test_a_graph_that_cannot_be_read_is_raised_where_the_options_say_strict(tmp_path):
    """The call raises, and close does not raise again."""
    with (
        SummaryWriter(tmp_path, options=WriterOptions.STRICT) as writer,
        pytest.raises(RuntimeError, match="no such input"),
    ):
        writer.add_graph(Failing(), torch.ones(1))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "give a torch.nn.Module"),
        ((torch.nn.Linear(3, 2),), ValueError, "give them as input_to_model"),
        ((torch.nn.Linear(3, 2), torch.ones(1, 3), False, True, "guess"), ValueError, "give one of export"),
    ],
    ids=["no model", "no input", "no way"],
)
def test_arguments_of_add_graph_that_are_wrong_are_an_error_at_the_call(tmp_path, arguments, error, message):
    """They raise like those of any other call, and as in torch."""
    *positional, source = arguments if len(arguments) == 5 else (*arguments, None)
    with SummaryWriter(tmp_path) as writer, pytest.raises(error, match=message):
        writer.add_graph(*positional, source=source)
    assert writer.stats.failed == 0


@pytest.mark.parametrize("package", ["tensorboard.compat.proto", "tensorboardX.proto"])
def test_messages_of_either_package_are_taken(tmp_path, package):
    """`SerializeToString` decides; both originals refuse each other's messages."""
    import importlib

    event_module = importlib.import_module(f"{package}.event_pb2")
    summary_module = importlib.import_module(f"{package}.summary_pb2")
    graph_module = importlib.import_module(f"{package}.graph_pb2")
    summary = summary_module.Summary(value=[summary_module.Summary.Value(tag="s", simple_value=2.0)])
    with SummaryWriter(tmp_path) as writer:
        own = writer._get_file_writer()
        own.add_event(event_module.Event(summary=summary), 3, 4.5)
        own.add_summary(summary, np.int64(5), walltime=6.5)
        own.add_onnx_graph(graph_module.GraphDef(node=[]))
        own.event_writer.add_event(event_module.Event(wall_time=7.5, step=8, summary=summary))
        with pytest.raises(TypeError, match="give an Event message"):
            own.add_event("no message")
    found = [(event.wall_time, event.step) for event in run_events(tmp_path) if event.HasField("summary")]
    assert found == [(4.5, 3), (6.5, 5), (7.5, 8)]


def test_a_foreign_writer_in_all_writers_is_flushed_and_closed(tmp_path):
    """Others put their own writers into the dict."""
    calls = []

    class Foreign:
        def flush(self):
            calls.append("flush")

        def close(self):
            calls.append("close")

    writer = SummaryWriter(tmp_path)
    writer.all_writers["foreign"] = Foreign()
    writer.flush()
    writer.close()
    assert calls == ["flush", "flush", "close"]


def test_a_writer_can_be_subclassed_patched_and_carries_its_subclasss_state(tmp_path):
    """Assignment of a partial, a subclass with state, and a copy of it all work."""

    class Mine(SummaryWriter):
        def __init__(self, *args, **kwargs):
            self.mine = 3
            super().__init__(*args, **kwargs)

        def add_scalar(self, tag, *args, **kwargs):
            super().add_scalar("mine/" + tag, *args, **kwargs)

    with Mine(tmp_path) as writer:
        writer.add_scalar("x", 1.0, 1)
        assert copy.deepcopy(writer).mine == 3
    with SummaryWriter(tmp_path / "partial") as writer:
        writer.add_scalar = functools.partial(writer.add_scalar, new_style=True)
        writer.add_scalar("x", 1.0, 1)
    assert points(tmp_path) == {"mine/x": [(1, 1.0)]}
    (event,) = run_events(tmp_path / "partial")
    assert event.summary.value[0].metadata.plugin_data.plugin_name == "scalars"


def test_a_pickled_writer_opens_a_file_of_its_own_when_it_is_first_used(tmp_path):
    """The copy has the configuration, and neither file nor queue."""
    writer = SummaryWriter(tmp_path, filename_suffix=".s", options=X)
    twin = pickle.loads(pickle.dumps(writer))
    assert len(event_files(tmp_path)) == 1
    twin.add_scalar("a b", 1.0, 1)
    twin.close()
    writer.close()
    assert len(event_files(tmp_path)) == 2
    assert points(tmp_path) == {"a_b": [(1, 1.0)]}


def test_writing_to_nowhere_checks_the_input_and_leaves_no_file(tmp_path):
    """`write_to_disk=False` still finds mistakes."""
    with SummaryWriter(tmp_path / "none", write_to_disk=False) as writer:
        writer.add_scalar("x", 1.0, 1)
        writer.add_scalars("x", {"a": 1.0}, 1)
        writer.add_image("i", np.zeros((3, 2, 2)), 1)
        writer.add_hparams({"a": 1}, {"b": 2.0})
        writer._get_file_writer().add_event(event_pb2.Event())
        with pytest.raises(NotImplementedError):
            writer.add_scalar("x", "high", 1)
        assert writer.get_logdir() == str(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_tags_are_cleaned_in_tensorboardxs_flavor_alone(tmp_path):
    """Torch writes tags as given."""
    for flavor in ("torch", "tensorboardX"):
        with SummaryWriter(tmp_path / flavor, options=WriterOptions(flavor=flavor)) as writer:
            writer.add_scalar("/a b#c", 1.0, 1)
            writer.add_scalar("/a b#c", 2.0, 2)
    assert list(points(tmp_path / "torch")) == ["/a b#c"]
    assert points(tmp_path / "tensorboardX") == {"a_b_c": [(1, 1.0), (2, 2.0)]}


def test_calls_without_a_step_are_step_0_or_are_counted_where_the_options_say_so(tmp_path):
    """Both originals write 0, and TensorBoard shows only the last value."""
    for auto_step in (False, True):
        with SummaryWriter(tmp_path / str(auto_step), options=WriterOptions(auto_step=auto_step)) as writer:
            for value in range(3):
                writer.add_scalar("x", float(value))
                writer.add_scalar_dict({"y": float(value)})
    assert points(tmp_path / "False")["x"] == [(0, 0.0), (0, 1.0), (0, 2.0)]
    assert points(tmp_path / "True") == {tag: [(0, 0.0), (1, 1.0), (2, 2.0)] for tag in "xy"}


def test_a_dict_of_scalars_is_one_event(tmp_path):
    """All values of a step share one event, and one bad value rejects the whole dict."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar_dict({"a": 1.0, "b": np.float32(2), "c": 3}, 5)
        with pytest.raises(NotImplementedError, match="'b'"):
            writer.add_scalar_dict({"a": 1.0, "b": "x"}, 6)
        with pytest.raises(TypeError, match="give a dict"):
            writer.add_scalar_dict([1.0], 6)
        writer.add_scalar_dict({}, 7)
    (event,) = run_events(tmp_path)
    assert event.step == 5
    assert [(value.tag, value.simple_value) for value in event.summary.value] == [
        ("a", 1.0),
        ("b", 2.0),
        ("c", 3.0),
    ]


def test_records_are_logged_at_one_step(tmp_path):
    """`add_records` accepts what adapters make, and refuses what is not a record."""
    batch = [records.ScalarRecord(tag="a", value=1.0), records.TextRecord(tag="t", text="hello")]
    with SummaryWriter(tmp_path) as writer:
        writer.add_records(batch, 4)
        with pytest.raises(TypeError, match=r"give a record of tblog\.records"):
            writer.add_record({"a": 1.0}, 4)
    assert [event.step for event in run_events(tmp_path)] == [4, 4]


def test_use_metadata_gives_step_and_time_to_calls_that_name_none(tmp_path):
    """As in tensorboardX: only inside the block, and never two of them at once."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 1.0, 1, 2.0)
        with writer.use_metadata(global_step=10, walltime=20.0):
            writer.add_scalar("x", 2.0)
            writer.add_scalar("x", 3.0, 11)
            with pytest.raises(AssertionError, match="already set"), writer.use_metadata(global_step=1):
                pass
        writer.add_scalar("x", 4.0, 12, 13.0)
        with pytest.raises(AssertionError, match="give global_step"), writer.use_metadata():
            pass
    assert [(event.step, event.wall_time) for event in run_events(tmp_path)] == [
        (1, 2),
        (10, 20),
        (11, 20),
        (12, 13),
    ]


def test_scalars_of_runs_below_are_exported_as_json(tmp_path):
    """`export_scalars_to_json` gives [time, step, value] for each run, without keeping them in memory."""
    with SummaryWriter(tmp_path / "run", options=X) as writer:
        before = time.time()
        for step in range(3):
            writer.add_scalars("m", {"a": step * 0.5, "b": 1.0}, step)
        writer.export_scalars_to_json(tmp_path / "scalars.json")
    exported = json.loads((tmp_path / "scalars.json").read_text())
    assert set(exported) == {str(tmp_path / "run" / "m" / key) for key in "ab"}
    series = exported[str(tmp_path / "run" / "m" / "a")]
    assert [point[1:] for point in series] == [[0, 0.0], [1, 0.5], [2, 1.0]]
    assert before <= series[0][0] <= time.time()


@pytest.mark.parametrize("key", ["../out", "/abs", "..", "a/../../b", "nul\0"])
def test_no_run_lies_outside_the_log_directory(tmp_path, key):
    """The call refuses a key that would lead outside it."""
    with SummaryWriter(tmp_path / "run", options=X) as writer:
        with pytest.raises(ValueError, match="does not name a directory below"):
            writer.add_scalars("..", {key: 1.0}, 1)
        with pytest.raises(ValueError, match="does not name a directory below"):
            writer.add_hparams({"a": 1}, {}, key)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def session_starts(logdir):
    """Return the hyperparameters in the runs' session start messages."""
    found = {}
    for event in run_events(logdir):
        for value in event.summary.value:
            if value.tag == "_hparams_/session_start_info":
                data = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
                found.update(data.session_start_info.hparams)
    return found


def test_log_hparams_puts_them_into_the_run_itself(tmp_path):
    """No directory is made below; booleans stay booleans; arrays of one element become numbers."""
    with SummaryWriter(tmp_path) as writer:
        writer.log_hparams({"lr": 0.1, "bn": True, "name": "adam", "n": np.int64(3), "none": None})
        with pytest.raises(ValueError, match="give a bool, a number, a str or None"):
            writer.log_hparams({"bad": object()})
    assert len(list(tmp_path.iterdir())) == 1
    hparams = session_starts(tmp_path)
    assert hparams["bn"].bool_value is True
    assert (hparams["lr"].number_value, hparams["name"].string_value, hparams["n"].number_value) == (
        0.1,
        "adam",
        3,
    )


def test_add_hparams_refuses_what_is_no_dict(tmp_path):
    """Type errors as both originals raise them."""
    with SummaryWriter(tmp_path) as writer, pytest.raises(TypeError, match="give two dicts"):
        writer.add_hparams([], {})


def test_stats_count_what_was_logged(tmp_path):
    """Queued, written, bytes and the worker's seconds, also after a close."""
    writer = SummaryWriter(tmp_path)
    for step in range(100):
        writer.add_scalar("x", 1.0, step)
    writer.flush()
    first = writer.stats
    assert (first.queued, first.written, first.dropped, first.failed) == (100, 100, 0, 0)
    assert first.bytes == event_files(tmp_path)[0].stat().st_size
    assert first.worker_secs > 0
    writer.close()
    writer.add_scalar("x", 1.0, 100)
    writer.close()
    assert writer.stats.written == 101


def test_values_that_a_summary_leaves_out_are_counted_and_reported_once_for_each_tag(tmp_path, caplog):
    """NaN among a histogram's values does not disappear silently."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_histogram("h", np.array([1.0, np.nan, np.inf]), step)
    assert writer.stats.values_left_out == 6
    assert writer.stats.written == 3
    assert len([record for record in caplog.records if "'h'" in record.getMessage()]) == 1


def test_a_file_writer_stands_alone(tmp_path):
    """`FileWriter` accepts messages, and opens a new file after a close."""
    summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="s", simple_value=2.0)])
    writer = FileWriter(str(tmp_path), 10, 120, ".s")
    writer.add_summary(summary, 1)
    writer.close()
    writer.flush()
    writer.reopen()
    writer.add_summary(summary, 2)
    writer.close()
    assert points(tmp_path) == {"s": [(1, 2.0), (2, 2.0)]}
    assert len(event_files(tmp_path)) == 2


def test_a_user_registered_file_factory_opens_the_files(tmp_path):
    """Prefixes with a factory registered in tensorboardX are opened by it."""
    from tensorboardX.record_writer import REGISTERED_FACTORIES, register_writer_factory

    class Factory:
        def open(self, path):
            return (tmp_path / Path(path).name).open("wb")

        def directory_check(self, path):
            """Nothing needs to be made."""

    register_writer_factory("memory", Factory())
    try:
        with SummaryWriter("memory://run") as writer:
            writer.add_scalar("x", 1.0, 1)
    finally:
        del REGISTERED_FACTORIES["memory"]
    assert points(tmp_path) == {"x": [(1, 1.0)]}


@settings(max_examples=60, deadline=None)
@given(
    tag=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    step=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    value=st.floats(width=32),
    wall_time=st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_tag_step_value_and_time_is_read_back(new_folder, tag, step, value, wall_time):
    """Negative steps, 0 and 2^63-1, NaN and infinity, any text."""
    logdir = new_folder()
    with SummaryWriter(logdir) as writer:
        writer.add_scalar(tag, value, step, wall_time)
        writer.add_scalar(tag, value, step, wall_time)
    logged = run_events(logdir)
    assert len(logged) == 2
    for event in logged:
        assert event.step == (step or 0)
        assert event.wall_time == wall_time
        np.testing.assert_array_equal(event.summary.value[0].simple_value, np.float32(value))
        assert event.summary.value[0].tag == tag


def test_the_first_event_is_the_file_version(tmp_path):
    """Loaders expect it there, with a time."""
    SummaryWriter(tmp_path).close()
    first, *rest = events(event_files(tmp_path)[0])
    assert first.file_version == "brain.Event:2"
    assert abs(first.wall_time - time.time()) < 600
    assert rest == []


def test_metadata_reaches_every_call_inside_whatever_was_logged_before(tmp_path):
    """This includes tags that the fast path knows from before the block, also after pictures fill the queue."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalar("x", 0.5, step)
        writer.add_text("remark", "text", 0)
        with writer.use_metadata(walltime=5.0):
            writer.add_scalar("y", 0.5, 0)
            writer.add_scalar("x", 0.5, 3)
        writer.add_scalar("x", 0.5, 4)
    times = [
        event.wall_time for event in run_events(tmp_path) for value in event.summary.value if value.tag == "x"
    ]
    assert [time == 5.0 for time in times] == [False, False, False, True, False]
