"""The compiled module gives the same bytes and counts as Python and numpy."""

from __future__ import annotations

import inspect
import os
import pickle
import shutil
import subprocess
import sys
import threading
import tracemalloc
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tblog import SummaryWriter, _native
from tblog._delivery.entries import records_in
from tblog._delivery.queue import NUMBERS_AN_ENTRY, RecordQueue
from tblog._fast_path import in_c
from tblog._wire import framing
from tblog._wire.event_heads import event_head, event_tags
from tblog._wire.scalar_columns import ScalarEncoder
from tblog.summaries import _bins, _counting
from tests.processes import run_python
from tests.reading import points, run_events

compiled = _native.compiled
needs_compiled = pytest.mark.skipif(
    compiled is None, reason="the compiled module was not built, or is not wanted"
)

LARGEST = np.finfo("f8").max
TYPES = {
    name: arrays.from_dtype(np.dtype(name))
    for name in ("b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">f4")
}


def test_what_is_used_is_told():
    """`python -m tblog.check` says whether only Python is used, as TBLOG_PURE asks."""
    for pure, kind in (("1", "pure"), ("0", "native" if compiled else "")):
        command = [sys.executable, "-m", "tblog.check", "--version"]
        done = subprocess.run(
            command,
            env={**os.environ, "TBLOG_PURE": pure},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.rstrip().endswith(kind)


def test_the_counters_name_the_lane(tmp_path):
    """`stats` names the lane, also after adding the counts of two files."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0, 1)
        assert writer.stats.lane == _native.kind()
    writer.add_scalar("a", 2.0, 2)
    writer.close()
    assert (writer.stats.lane, writer.stats.written) == (_native.kind(), 2)


@needs_compiled
@pytest.mark.parametrize("name", ["lane.c", "native.h"])
def test_a_checkout_whose_source_is_newer_does_without_the_module(tmp_path, name):
    """After a `git pull`, calls and module may not match; a warning says so, and how to build it."""
    folder = tmp_path / "_native"
    shutil.copytree(Path(_native.__file__).parent, folder)
    code = """
        import sys, importlib.util
        spec = importlib.util.spec_from_file_location("tblog._native", sys.argv[1] + "/__init__.py",
                                                      submodule_search_locations=[sys.argv[1]])
        sys.modules["tblog._native"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        print(module.kind())
    """
    built = next(folder.glob("_compiled*.so"))
    for secs, kind in ((-1, "native"), (1, "pure")):
        os.utime(folder / name, (0, built.stat().st_mtime + secs))
        done = run_python(code, folder, timeout=60)
        assert done.stdout == f"{kind}\n"
        assert ("pip install --editable" in done.stderr) == (kind == "pure")


@needs_compiled
@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 2**32 - 1))
def test_checksums_are_those_of_the_package(data, before):
    """For any bytes after any others, the CRC-32C equals that of the package crc32c."""
    assert compiled.crc32c(data, before) == crc32c(data, before)
    assert compiled.crc32c(memoryview(data)[1:]) == crc32c(data[1:])


@needs_compiled
def test_large_data_has_its_checksum():
    """So has data for which the interpreter lock is released."""
    data = np.arange(1_000_003, dtype=np.uint8).tobytes()
    assert compiled.crc32c(data) == crc32c(data)


@needs_compiled
@pytest.mark.parametrize("name", TYPES)
def test_counts_are_those_of_python(name, monkeypatch):
    """For values of any type, finite or not, the counts and moments equal numpy's.

    Sums near the largest float are not compared: whether they overflow depends on the order of additions.
    """

    @settings(max_examples=150, deadline=None)
    @given(arrays.arrays(name, st.integers(0, 40) | st.just(1030), elements=TYPES[name]))
    def counts_agree(values):
        ours, _, moments = _counting.count(values, "tensorflow")
        with monkeypatch.context() as patch:
            patch.setattr(_bins, "compiled", None)
            theirs, _, expected = _counting.count(values, "tensorflow")
        assert ours.tolist() == theirs.tolist()
        assert (moments.num, moments.min, moments.max) == (expected.num, expected.min, expected.max)
        magnitudes = np.abs(values[np.isfinite(values)].astype("f8"))
        if magnitudes.sum() < LARGEST / 2:
            error = 1e-12 * magnitudes.sum()
            assert moments.sum == pytest.approx(expected.sum, rel=1e-12, abs=error, nan_ok=True)
        if np.square(magnitudes).sum() < LARGEST / 2:
            assert moments.sum_squares == pytest.approx(expected.sum_squares, rel=1e-12, nan_ok=True)

    with np.errstate(over="ignore", invalid="ignore"):
        counts_agree()


@needs_compiled
@pytest.mark.parametrize("name", ["f2", "i1", "u2"])
def test_all_patterns_are_counted_as_by_python(name, monkeypatch):
    """For all values of 8 and 16 bits, the counts and extremes equal numpy's."""
    values = np.resize(np.arange(1 << 16).astype(np.uint16), 200_000).view(name)
    ours, _, moments = _counting.count(values, "tensorflow")
    monkeypatch.setattr(_bins, "compiled", None)
    theirs, _, expected = _counting.count(values, "tensorflow")
    assert ours.tolist() == theirs.tolist()
    assert (moments.num, moments.min, moments.max) == (expected.num, expected.min, expected.max)
    assert moments.sum_squares == pytest.approx(expected.sum_squares, rel=1e-12)


@needs_compiled
def test_bfloat16_is_counted_from_its_bytes():
    """All its values have the counts and moments of the same numbers in float32."""
    halves = np.arange(1 << 16).astype(np.uint16)
    ours, moments = _bins.count_compiled(halves, "bf2")
    theirs, expected = _bins.count_compiled((halves.astype(np.uint32) << 16).view(np.float32), "f4")
    assert (ours.tolist(), moments) == (theirs.tolist(), expected)


@needs_compiled
def test_float16_is_exact_where_a_thread_flushes_small_numbers_to_zero():
    """Its subnormal numbers are normal in float32, so torch.set_flush_denormal changes nothing."""
    values = np.arange(1 << 10, dtype=np.uint16).view(np.float16)
    expected = _bins.count_compiled(values, "f2")
    changed = torch.set_flush_denormal(True)
    try:
        ours = _bins.count_compiled(values, "f2")
    finally:
        torch.set_flush_denormal(False)
    assert changed
    assert (ours[0].tolist(), ours[1]) == (expected[0].tolist(), expected[1])


@needs_compiled
def test_values_that_stand_at_no_multiple_of_their_width_are_counted():
    """A view into bytes has the counts of a copy."""
    for dtype in ("f4", "f8"):
        apart = np.frombuffer(b"." + np.linspace(-3, 9, 5000).astype(dtype).tobytes(), dtype, offset=1)
        assert (
            _counting.count(apart, "tensorflow")[0].tolist()
            == np.histogram(apart, _bins.tensorflow_edges())[0].tolist()
        )


def test_a_view_of_bytes_as_bools_counts_as_numpy_takes_it():
    """A bool whose byte is neither 0 nor 1 is 1, as for all of numpy's operations."""
    bools = np.arange(256, dtype=np.uint8).view(np.bool_)
    counts, _, moments = _counting.count(bools, "tensorflow")
    assert counts.tolist() == np.histogram(bools.astype("f8"), _bins.tensorflow_edges())[0].tolist()
    assert (moments.num, moments.max, moments.sum, moments.sum_squares) == (256, 1.0, 255.0, 255.0)


@needs_compiled
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_counts_and_moments_are_of_the_same_values_whoever_changes_them(dtype):
    """An array that another thread changes during the call gives a histogram of values that it had."""
    values, ended = np.full(1_000_000, 2.0, dtype), threading.Event()
    some = values[::1024]

    def change():
        while not ended.is_set():
            some[:] = np.inf
            some[:] = 2.0

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(150):
            counts, (num, low, high, total, squares) = _bins.count_compiled(values, dtype)
            assert counts.sum() == num
            assert (low, high, total, squares) == (2.0, 2.0, 2.0 * num, 4.0 * num)
    finally:
        ended.set()
        thread.join(60)


@needs_compiled
def test_buffers_of_a_wrong_size_are_refused():
    """Nothing is written beyond a buffer."""
    offsets, counts = np.zeros(1 << 16, np.int32), np.zeros(4 * 4112, np.int64)
    values = np.ones(4, np.float32)
    for wrong in (
        (values, "f4", offsets[1:], counts),
        (values, "f8", offsets, counts),
        (values, "f4", offsets, counts[1:]),
        (values, "f4", offsets, np.zeros(counts.nbytes + 1, np.int8)[1:]),
        (values, "f16", offsets, counts),
    ):
        with pytest.raises(ValueError, match="cannot"):
            compiled.count(*wrong)
    with pytest.raises((BufferError, TypeError, ValueError)):
        compiled.count(values, "f4", offsets, bytes(counts.nbytes))


def lane_that_knows(*tags):
    """Return a compiled lane with room that knows some tags."""
    lane = compiled.Lane(deque())
    lane.room = 1 << 30
    for tag in tags:
        lane.learn(tag, tag)
    return lane


class Logger:
    """Has the two methods with fast paths, and keeps the calls that these leave to Python."""

    def __init__(self, lane):
        self._lane = lane
        self.left = []

    @in_c("tag", "scalar_value", "global_step")
    def add_scalar(self, *args, **kwargs):
        """Keep the call."""
        self.left.append((args, kwargs))

    @in_c("tag_scalar_dict", "global_step")
    def add_scalar_dict(self, *args, **kwargs):
        """Keep the call."""
        self.left.append((args, kwargs))


MANY = tuple(map(str, range(1_500)))
KNOWN = ["", "loss", "töst/\U0001f600", "x" * 900]
values = st.floats() | st.sampled_from([1e39, -1e39, float.fromhex("0x1.ffffffp127"), 5e-324])
steps = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 127, 128, -1])
entries = st.one_of(st.tuples(st.sampled_from([*KNOWN, "new"]), values, steps), st.integers())


@needs_compiled
@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([*KNOWN, "new"]) | st.text(max_size=300), values, steps), max_size=60)
)
def test_numbers_become_the_bytes_that_python_makes(calls):
    """Any number at any tag and step, logged by the compiled method, gives the same event, byte for byte."""
    lane = lane_that_knows(*KNOWN)
    lane.learns = True
    logger = Logger(lane)
    for call in calls:
        logger.add_scalar(*call)
    assert not logger.left
    assert len(lane) == len(calls)
    assert_written(lane, [(tag, value, step) for tag, value, step in calls], ScalarEncoder().encode)


def assert_written(lane, rows, encode):
    """Check that the waiting numbers give Python's bytes for the same rows, with the times of the lane."""
    frames = bytes(compiled.encode(*lane.pieces))
    logged = [event_head(data).wall_time for data in walk(frames)]
    assert frames == encode([(*row, time) for row, time in zip(rows, logged, strict=True)])


@needs_compiled
def test_numbers_of_python_join_those_of_the_fast_path():
    """A number with a time of its own, or without a step, ends no block, so few blocks must be encoded."""
    lane = lane_that_knows(*KNOWN)
    rows = [(tag, 0.1, step, 1.5) for step in (-(2**63), -1, 0, 1, 2**63 - 1) for tag in KNOWN]
    for tag, value, step, _ in rows:
        Logger(lane).add_scalar(tag, value, step)
        lane.append((tag, value, step, 1.5))
    (piece,) = lane.pieces
    assert len(lane) == len(piece) == 2 * len(rows)
    frames = [framing.frame(data) for data in walk(bytes(compiled.encode(piece)))]
    assert b"".join(frames[1::2]) == ScalarEncoder().encode(rows)


@needs_compiled
def test_other_tuples_wait_as_they_are():
    """What is no plain number of a known tag waits as itself, between the numbers before and behind it."""
    lane = lane_that_knows("a")
    unusual = [
        ("new", 1.0, 1, 1.0),
        ("a", np.float64(1), 1, 1.0),
        ("a", 1, 1, 1.0),
        ("a", 1.0, True, 1.0),
        ("a", 1.0, 2**63, 1.0),
        ("a", 1.0, 1, 0.0),
        ("a", 1.0, 1, -1.0),
        ("a", 1.0, 1, float("nan")),
        ("a", 1.0, 1),
        ((), 1.0, 1, 1.0),
    ]
    for each in unusual:
        lane.append(("a", 1.0, 1, 1.0))
        lane.append(each)
    assert list(lane.pieces)[1::2] == unusual
    assert len(lane) == len(lane.pieces) == 2 * len(unusual)


plain_values = st.one_of(values, st.booleans(), st.integers(-(2**70), 2**70), values.map(np.float64))
dicts = st.dictionaries(st.sampled_from([*KNOWN, *"abcdefgh"]), plain_values, min_size=1)


@needs_compiled
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(dicts, steps), max_size=30))
def test_dicts_become_the_bytes_that_python_makes(calls):
    """Any dict of numbers, logged by the compiled method, gives the same event, byte for byte; later changes do not matter."""
    lane = lane_that_knows(*KNOWN, *"abcdefgh")
    logger = Logger(lane)
    rows = [(tuple(numbers), tuple(map(float, numbers.values())), step) for numbers, step in calls]
    for numbers, step in calls:
        logger.add_scalar_dict(numbers, step)
        numbers.clear()
    assert not logger.left
    assert len(lane) == len(calls)
    assert_written(lane, rows, ScalarEncoder().encode_dicts)


@needs_compiled
def test_what_is_unusual_in_a_dict_is_left_to_python():
    """The compiled method logs nothing in such calls, and passes them on to the Python function."""

    class Tag(str):
        __slots__ = ()

    class Numbers(dict):
        pass

    logger = Logger(lane_that_knows("a", "b"))
    large = {f"t{i}": 0.5 for i in range(5_000)}
    unusual = [
        ({"a": 1.0, "new": 2.0}, 1),
        ({"a": 1.0, "b": "2"}, 1),
        ({"a": 1.0, Tag("b"): 2.0}, 1),
        ({"a": 1.0, "b": 10**400}, 1),
        ({"a": 1.0, "b": torch.tensor(2.0)}, 1),
        (Numbers(a=1.0), 1),
        (large, 1),
        ({}, 1),
        ({"a": 1.0}, 2**63),
        ({"a": 1.0}, None),
        ({"a": 1.0}, 1.0),
        ({"a": 1.0}, 1, None),
    ]
    for arguments in unusual:
        logger.add_scalar_dict(*arguments)
    assert logger.left == [((arguments), {}) for arguments in unusual]
    logger.add_scalar_dict(tag_scalar_dict={"b": 1, "a": 2.0}, global_step=1)
    assert len(logger._lane) == 1


def walk(frames):
    """Return the data of framed records, one after the other."""
    start, found = 0, []
    while start < len(frames):
        end = framing.record_end(frames, start)
        found.append(frames[start + framing.HEADER_BYTES : end - framing.FOOTER_BYTES])
        start = end
    return found


@needs_compiled
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            entries,
            st.tuples(st.just("take"), st.integers(0, 40), st.booleans()),
            st.tuples(st.just("dict"), st.integers(1, 1_500)),
            st.tuples(st.just("number"), steps),
        ),
        max_size=100,
    )
)
def test_a_lane_is_first_in_first_out_whatever_is_put_back(commands):
    """Entries come out as from a list, also across full blocks and after entries were put back."""
    queue = RecordQueue(1 << 30, 1 << 30, "wait")
    lane, model, taken = queue.pending, [], []
    for tag in [*KNOWN, *MANY, "new"]:
        lane.learn(tag, tag)
    queue.quick_room()
    logger = Logger(lane)
    for command in commands:
        if isinstance(command, tuple) and command[0] == "take":
            entries = queue.take(command[1])
            if command[2]:
                queue.put_back(entries)
            else:
                taken += entries
        elif isinstance(command, tuple) and command[0] == "dict":
            logger.add_scalar_dict(dict.fromkeys(MANY[: command[1]], 0.5), command[1])
            model.append((MANY[: command[1]], command[1]))
        elif isinstance(command, int):
            lane.append(command)
            model.append(command)
        elif isinstance(command, tuple) and command[0] == "number":
            lane.append(("loss", 1.0, command[1], 1.5))
            model.append((("loss",), command[1]))
        else:
            logger.add_scalar(*command)
            model.append(((command[0],), command[2]))
        assert len(lane) == len(model) - records_in(taken)
    found = []
    for piece in [*taken, *queue.take(1 << 20)]:
        if type(piece) is compiled.Numbers:
            data = walk(bytes(compiled.encode(piece)))
            found += [(tuple(event_tags(each)), event_head(each).step) for each in data]
        else:
            found.append(piece)
    assert found == model
    assert len(lane) == 0


@needs_compiled
def test_only_numbers_become_bytes():
    """Anything else is refused, and encoded numbers do not change any more."""
    with pytest.raises(TypeError, match="numbers"):
        compiled.encode(1)
    with pytest.raises(TypeError):
        compiled.Numbers()
    assert compiled.encode() == b""
    lane = lane_that_knows("a")
    Logger(lane).add_scalar("a", 1.0, 1)
    first = bytes(compiled.encode(lane.pieces[0]))
    Logger(lane).add_scalar("a", 1.0, 2)
    assert len(lane) == len(lane.pieces) == 2
    assert compiled.encode(lane.pieces[0]) == first


@needs_compiled
def test_numbers_between_other_entries_take_little_memory():
    """A stretch of one number takes no memory for a thousand, so a full queue keeps its bound."""
    lane = lane_that_knows("a")
    logger = Logger(lane)
    tracemalloc.start()
    try:
        for step in range(1_000):
            logger.add_scalar("a", 1.0, step)
            lane.append(step)
        waiting, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(lane.pieces) == 2_000
    assert 50_000 < waiting < 1_000_000


@needs_compiled
def test_a_step_takes_few_large_dicts():
    """A step is bounded in numbers, not in events, so large dicts do not make it large."""
    queue = RecordQueue(1 << 30, 1 << 30, "wait")
    lane = queue.pending
    for tag in MANY:
        lane.learn(tag, tag)
    queue.quick_room()
    logger = Logger(lane)
    for step in range(300):
        logger.add_scalar_dict(dict.fromkeys(MANY[:1_000], 0.5), step)
    limit = 100 * NUMBERS_AN_ENTRY // 1_000
    assert limit <= records_in(queue.take(100)) <= limit + 2


@needs_compiled
def test_more_tags_than_a_lane_keeps_change_nothing_of_what_waits():
    """A full lane forgets its tags; waiting numbers keep theirs."""
    lane = lane_that_knows("a")
    logger = Logger(lane)
    logger.add_scalar("a", 1.0, 1)
    for tag in map(str, range(100_000)):
        lane.learn(tag, tag)
    logger.add_scalar("99999", 1.0, 2)
    logger.add_scalar("a", 1.0, 3)
    assert logger.left == [(("a", 1.0, 3), {})]
    data = walk(bytes(compiled.encode(*lane.pieces)))
    assert [(event_tags(each), event_head(each).step) for each in data] == [(["a"], 1), (["99999"], 2)]


@needs_compiled
def test_the_method_shows_what_the_function_shows():
    """Signature, types, documentation and pickles are the Python function's; an instance has a bound method."""
    method = SummaryWriter.add_scalar
    assert inspect.isfunction(method)
    assert pickle.loads(pickle.dumps(method)) is method
    assert "walltime" in inspect.signature(method).parameters
    assert method.__doc__.startswith("Log one number")
    assert type(inspect.getattr_static(SummaryWriter, "add_scalar")) is compiled.FastMethod
    writer = SummaryWriter.__new__(SummaryWriter)
    assert inspect.ismethod(writer.add_scalar)
    assert (
        list(inspect.signature(writer.add_scalar).parameters)
        == list(inspect.signature(method).parameters)[1:]
    )


def test_every_form_of_a_call_logs_the_same(tmp_path):
    """Arguments by position or by name, bound, through the class or a subclass: each call logs its number."""

    class Derived(SummaryWriter):
        def add_scalar(self, *args, **kwargs):
            super().add_scalar(*args, **kwargs)

    for place, kind in (("plain", SummaryWriter), ("derived", Derived)):
        with kind(tmp_path / place) as writer:
            for _ in range(2):  # once to make the tag known
                writer.add_scalar("a", 1.0, 1)
                writer.add_scalar("a", 2, global_step=2)
                writer.add_scalar("a", scalar_value=np.float32(3), global_step=3)
                writer.add_scalar(global_step=4, scalar_value=True, tag="a")
                writer.add_scalar(*("a", torch.tensor(5.0)), global_step=5)
                bound = writer.add_scalar
                bound("a", 6, 6)
                SummaryWriter.add_scalar(writer, "a", np.float64(7), 7)
                writer.add_scalar("a", 8.0, np.int64(8))
        wanted = [(1, 1.0), (2, 2.0), (3, 3.0), (4, 1.0), (5, 5.0), (6, 6.0), (7, 7.0), (8, 8.0)]
        assert points(tmp_path / place)["a"] == 2 * wanted


def test_a_description_by_position_is_kept_whether_or_not_the_tag_is_known(tmp_path):
    """It is the sixth argument of tensorboardX's `add_scalar`, with or without a title before it."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0, 0)
        writer.add_scalar("a", 1.0, 1, None, None, "described")
        writer.add_scalar("a", 1.0, 2, None, "title", "described")
    values = [value for event in run_events(tmp_path) for value in event.summary.value]
    told = [(value.metadata.display_name, value.metadata.summary_description) for value in values]
    assert told == [("", ""), ("", "described"), ("title", "described")]


def test_threads_that_change_at_every_step_lose_and_mix_nothing(tmp_path):
    """With eight threads, a worker and the shortest switch interval, each thread's numbers are there, in order."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with SummaryWriter(tmp_path) as writer:

            def log(name):
                for step in range(3_000):
                    writer.add_scalar(name, float(step), step)

            threads = [threading.Thread(target=log, args=(f"tag{i}",)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
    finally:
        sys.setswitchinterval(before)
    logged = points(tmp_path)
    assert {name: len(series) for name, series in logged.items()} == {f"tag{i}": 3_000 for i in range(8)}
    assert all(series == [(step, float(step)) for step in range(3_000)] for series in logged.values())
