"""Which record is encoded how; what is checked where; and that TensorBoard reads one of each."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import pickle
import warnings
import weakref

import numpy as np
import pytest
from tensorboard.context import RequestContext
from tensorboardX.event_file_writer import EventFileWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary

from tblog import records, summaries
from tblog.errors import InvalidTypeError, InvalidValueError
from tests.encoded import Reports, encoded
from tests.processes import run_program
from tests.reading import accumulator, rust_server
from tests.waiting import wait_until

generator = np.random.default_rng(1)
PICTURE = generator.integers(0, 256, (3, 8, 9), dtype=np.uint8)
CURVE = np.linspace(0, 1, 5)

RECORDS = [
    records.ScalarRecord(tag="scalar", value=0.5),
    records.TensorScalarRecord(tag="tensor scalar", value=0.5),
    records.DescribedScalarRecord(tag="described scalar", value=0.5, display_name="A"),
    records.HistogramRecord(tag="histogram", values=generator.normal(size=100)),
    records.CountedHistogramRecord(
        tag="counted histogram",
        figures=np.concatenate([np.ones(1548), [1548, -2, 2, 3, 4]]),
        size=1548,
    ),
    records.RawHistogramRecord(
        tag="raw histogram",
        min=0,
        max=2,
        num=3,
        sum=4,
        sum_squares=6,
        bucket_limits=[1, 2],
        bucket_counts=[1, 2],
    ),
    records.ImageRecord(tag="image", image=PICTURE),
    records.VideoRecord(tag="video", frames=np.stack([PICTURE] * 3)[None]),
    records.AudioRecord(tag="audio", samples=generator.uniform(-1, 1, 100)),
    records.TextRecord(tag="text", text="a *text*"),
    records.TensorRecord(tag="tensor", tensor=PICTURE),
    records.PrCurveRecord(tag="curve", labels=CURVE > 0.5, predictions=CURVE),
    records.RawPrCurveRecord(
        tag="raw curve",
        true_positive_counts=CURVE,
        false_positive_counts=CURVE,
        true_negative_counts=CURVE,
        false_negative_counts=CURVE,
        precision=CURVE,
        recall=CURVE,
        num_thresholds=5,
    ),
    records.MeshRecord(tag="mesh", vertices=generator.normal(size=(1, 5, 3))),
    records.CustomScalarsRecord(layout={"a": {"b": ["Multiline", ["scalar"]]}}),
    records.HparamsRecord(hparams={"lr": 0.1, "bias": True}, metrics=["scalar"]),
]
NO_SUMMARIES = [
    records.EmbeddingRecord(tag="e", matrix=np.zeros((2, 2))),
    records.GraphRecord(graph_def=b""),
    records.SummaryRecord(summary=b""),
    records.EventRecord(event=b""),
]


class Late:
    """An array whose shape is unknown until it is made."""

    def __init__(self, array):
        self._array = array
        self.nbytes = array.nbytes
        self.made = 0

    def numpy(self):
        """Make the array, and count the calls."""
        self.made += 1
        return self._array


def late(record):
    """Return the record with each of its arrays deferred, and these arrays."""
    arrays = {
        field.name: Late(getattr(record, field.name))
        for field in dataclasses.fields(record)
        if isinstance(getattr(record, field.name), np.ndarray)
    }
    return dataclasses.replace(record, **arrays), list(arrays.values())


def kind(record):
    """Return the name of a record's kind."""
    return type(record).__name__


def test_every_kind_of_record_is_known():
    """This file's lists name each kind in records.py."""
    kinds = {
        each for each in vars(records).values() if isinstance(each, type) and issubclass(each, records.Record)
    }
    assert kinds - {records.Record} == {type(record) for record in RECORDS + NO_SUMMARIES}


@pytest.mark.parametrize("record", RECORDS + NO_SUMMARIES, ids=kind)
def test_good_records_pass_the_check(record):
    """The check of a record that can be logged says nothing."""
    summaries.check(record)
    summaries.check(late(record)[0])


@pytest.mark.parametrize("record", RECORDS + NO_SUMMARIES, ids=kind)
def test_a_record_cannot_be_changed(record):
    """What was checked is what is encoded. A copy with another tag is a record of its own."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.tag = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del record.tag
    renamed = dataclasses.replace(record, tag="other")
    assert (type(renamed), renamed.tag, repr(copy.copy(record))) == (type(record), "other", repr(record))
    assert repr(pickle.loads(pickle.dumps(record))) == repr(record)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss(records.ScalarRecord):
    """A user's record type, with a default for a field of ours and a field of its own."""

    tag: str = "loss"
    unit: str = "nats"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SlottedLoss(Loss):
    """The same without a `__dict__`."""

    split: str = "train"


class Timed(records.ScalarRecord):
    """A user's plain class with its own arguments and a cached property."""

    def __init__(self, secs):
        super().__init__(tag="secs", value=secs)

    @functools.cached_property
    def minutes(self):
        """The value in minutes."""
        return self.value / 60


@pytest.mark.parametrize("record", [Loss(value=1.0), SlottedLoss(value=1.0), Timed(60.0)], ids=kind)
def test_a_subclass_of_a_record_is_a_record(record):
    """A frozen dataclass with fields of its own, or a plain class: none of the fields can be changed."""
    summaries.check(record)
    assert encoded(record) == encoded(records.ScalarRecord(tag=record.tag, value=record.value))
    for name in ("tag", "value", *(["unit"] if isinstance(record, Loss) else [])):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, name, "other")
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(record, name)
    again = pickle.loads(pickle.dumps(record))
    assert (type(again), repr(again)) == (type(record), repr(record))
    assert repr(copy.deepcopy(record)) == repr(record)
    if isinstance(record, Timed):
        assert (record.minutes, weakref.ref(record)()) == (1.0, record)


def test_a_subclass_of_a_record_that_could_be_changed_is_refused():
    """Its records would be changed between the check and the encoding; type checkers say the same."""
    with pytest.raises(TypeError, match="non-frozen"):
        dataclasses.dataclass(type("Changing", (records.ScalarRecord,), {"__annotations__": {"unit": "str"}}))


@pytest.mark.parametrize("record", RECORDS + NO_SUMMARIES, ids=kind)
def test_a_record_takes_its_fields_by_keyword(record):
    """As the `__init__` of any dataclass does, with a default of its own for each record."""
    known = inspect.signature(type(record)).parameters
    assert list(known) == [field.name for field in dataclasses.fields(record)]
    assert {each.kind for each in known.values()} == {inspect.Parameter.KEYWORD_ONLY}
    given = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    assert repr(type(record)(**given)) == repr(record)
    with pytest.raises(TypeError, match="unexpected keyword"):
        type(record)(**given, other=1)
    with pytest.raises(TypeError, match="missing"):
        type(record)()
    assert (
        records.HparamsRecord(hparams={}, metrics=[]).domains
        is not records.HparamsRecord(hparams={}, metrics=[]).domains
    )


@pytest.mark.parametrize("record", RECORDS, ids=kind)
def test_a_deferred_array_is_made_once_and_gives_the_same(record):
    """A deferred array gives the same summary as a direct one."""
    deferred, arrays = late(record)
    assert encoded(deferred) == encoded(record)
    assert [array.made for array in arrays] == [1] * len(arrays)


def test_a_deferred_array_is_checked_when_it_is_made():
    """The worker checks a shape that was unknown at the call."""
    record = records.ImageRecord(tag="i", image=Late(np.zeros((3, 3))))
    summaries.check(record)
    with pytest.raises(InvalidValueError, match=r"\(3, 3\)"):
        encoded(record)


@pytest.mark.parametrize("record", NO_SUMMARIES, ids=kind)
def test_a_record_that_is_no_summary_is_refused(record):
    """The error names the kinds that can be encoded."""
    with pytest.raises(InvalidTypeError, match=f"{kind(record)}.*HistogramRecord"):
        encoded(record)


def test_a_derived_record_is_encoded_as_its_base():
    """Adapters may derive a record of their own."""

    class Derived(records.TextRecord):
        pass

    assert encoded(Derived(tag="t", text="a")) == encoded(records.TextRecord(tag="t", text="a"))


EXTREME = np.resize(np.array([1e300, -1e300, np.nan, np.inf, 1e-310, 0.5]), (1, 2, 3, 4, 4))


@pytest.mark.parametrize(
    "record",
    [
        records.HistogramRecord(tag="h", values=EXTREME),
        records.HistogramRecord(tag="h", values=EXTREME, bins="auto"),
        records.ImageRecord(tag="i", image=EXTREME[0, 0]),
        records.VideoRecord(tag="v", frames=EXTREME),
        records.AudioRecord(tag="a", samples=EXTREME.ravel()),
        records.MeshRecord(tag="m", vertices=EXTREME.reshape(1, -1, 3)),
        records.TensorRecord(tag="t", tensor=EXTREME.astype(np.longdouble) * np.longdouble(10) ** 300),
        records.PrCurveRecord(tag="p", labels=EXTREME > 0, predictions=EXTREME),
        records.TensorScalarRecord(tag="s", value=1e300),
        records.DescribedScalarRecord(tag="s", value=1e300, display_name="A"),
    ],
    ids=kind,
)
def test_extreme_values_are_encoded_without_a_warning(record):
    """Values beyond float32 cause no warning on the worker, and no error where warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoded(record, Reports())


def test_checks_load_neither_tensorboardx_nor_torch():
    """What the caller's thread runs is light; so is the encoders' package until something is encoded."""
    program = """
import sys
import numpy as np
from tblog import records, summaries
summaries.check(records.HistogramRecord(tag="h", values=np.zeros(3)))
summaries.check(records.ImageRecord(tag="i", image=np.zeros((3, 4, 4))))
summaries.check(records.EmbeddingRecord(tag="e", matrix=np.zeros((3, 4)), images=np.zeros((3, 3, 4, 4))))
summaries.check(records.HparamsRecord(hparams={"lr": 0.1}))
print(sorted({"torch", "tensorboardX", "PIL", "google.protobuf"} & set(sys.modules)))
"""
    assert run_program(program) == "[]\n"


EDGE_CASES = [
    records.HistogramRecord(tag="nothing", values=np.zeros(0)),
    records.HistogramRecord(tag="outside all bins", values=np.full(3, 1e30)),
    records.HistogramRecord(tag="one value", values=np.zeros(1)),
]
# The last record is read only if TensorBoard refused none before it.
LAST = records.HistogramRecord(tag="the last", values=np.arange(5.0))
TENSORS = {
    "scalars": {"tensor scalar"},
    "text": {"text/text_summary"},
    "pr_curves": {"curve", "raw curve"},
    "mesh": {"mesh_VERTEX"},
    "custom_scalars": {"custom_scalars__config__"},
    "hparams": {f"_hparams_/{name}" for name in ("experiment", "session_start_info", "session_end_info")},
}
HISTOGRAMS = {
    "histogram",
    "counted histogram",
    "raw histogram",
    "nothing",
    "outside all bins",
    "one value",
    "the last",
}
BLOBS = {"images": {"image", "video"}, "audio": {"audio"}}
SCALARS = {"scalar", "described scalar"}


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    """Return a directory with one event file that holds one of each kind."""
    directory = tmp_path_factory.mktemp("one of each")
    writer = EventFileWriter(str(directory))
    for record in [*RECORDS, *EDGE_CASES, LAST]:
        for made in summaries.encode(record, summaries.EncodeContext()):
            summary = Summary.FromString(made) if isinstance(made, bytes) else made
            writer.add_event(Event(wall_time=1.0, step=1, summary=summary))
    writer.close()
    return directory


def test_tensorboards_accumulator_reads_one_of_each(logdir):
    """Each kind, written to an event file, is found by TensorBoard under its tag and plugin."""
    found = accumulator(logdir)
    tags = found.Tags()
    assert set(tags["scalars"]) == SCALARS
    assert set(tags["histograms"]) == HISTOGRAMS
    assert {kind: set(tags[kind]) for kind in BLOBS} == BLOBS
    plugins = {plugin: set(found.PluginTagToContent(plugin)) for plugin in TENSORS}
    assert plugins == TENSORS
    assert set(found.PluginTagToContent("tensor")) == {"tensor"}


def test_tensorboards_rust_server_reads_one_of_each(logdir):
    """The data server lists each kind that has a dashboard; it is asked until it has read the whole file."""
    context = RequestContext()
    with rust_server(logdir) as data:

        def listed(what, plugin):
            return set(
                getattr(data, f"list_{what}")(context, experiment_id="", plugin_name=plugin).get(".", ())
            )

        wait_until(lambda: "the last" in listed("tensors", "histograms"))
        assert listed("tensors", "histograms") == HISTOGRAMS
        assert listed("scalars", "scalars") == SCALARS | TENSORS["scalars"]
        assert {plugin: listed("blob_sequences", plugin) for plugin in BLOBS} == BLOBS
        others = {plugin: tags for plugin, tags in TENSORS.items() if plugin != "scalars"}
        assert {plugin: listed("tensors", plugin) for plugin in others} == others
