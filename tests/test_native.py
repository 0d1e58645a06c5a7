"""The compiled module against Python's and numpy's own: the same bytes, the same counts."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tblog import SummaryWriter, _native
from tblog._wire import events
from tblog._wire.scalar_columns import ScalarEncoder
from tblog.summaries import _bins, _counting
from tests.reading import points

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
    """The command that checks files says whether Python alone is at work, as TBLOG_PURE asks for."""
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


@needs_compiled
@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 2**32 - 1))
def test_checksums_are_those_of_the_package(data, before):
    """Any bytes after any others have the CRC-32C that the package crc32c gives."""
    assert compiled.crc32c(data, before) == crc32c(data, before)
    assert compiled.crc32c(memoryview(data)[1:]) == crc32c(data[1:])


@needs_compiled
def test_large_data_has_its_checksum():
    """Data for which the interpreter lock is let go has it, too."""
    data = np.arange(1_000_003, dtype=np.uint8).tobytes()
    assert compiled.crc32c(data) == crc32c(data)


@needs_compiled
@pytest.mark.parametrize("name", TYPES)
def test_counts_are_those_of_python(name, monkeypatch):
    """Values of any type, not finite ones among them, have the counts and moments that numpy's pieces give.

    But for sums near the largest float: there the order of the additions decides whether one overflows.
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
    """Values of 8 or 16 bits, all that there are, have the counts and extremes that numpy's pieces give."""
    values = np.resize(np.arange(1 << 16).astype(np.uint16), 200_000).view(name)
    ours, _, moments = _counting.count(values, "tensorflow")
    monkeypatch.setattr(_bins, "compiled", None)
    theirs, _, expected = _counting.count(values, "tensorflow")
    assert ours.tolist() == theirs.tolist()
    assert (moments.num, moments.min, moments.max) == (expected.num, expected.min, expected.max)
    assert moments.sum_squares == pytest.approx(expected.sum_squares, rel=1e-12)


@needs_compiled
def test_bfloat16_is_counted_from_its_bytes():
    """All its patterns have the counts and moments of the same numbers as float32."""
    halves = np.arange(1 << 16).astype(np.uint16)
    ours, moments = _bins.count_compiled(halves, "bf2")
    theirs, expected = _bins.count_compiled((halves.astype(np.uint32) << 16).view(np.float32), "f4")
    assert (ours.tolist(), moments) == (theirs.tolist(), expected)


@needs_compiled
def test_float16_is_exact_where_a_thread_flushes_small_numbers_to_zero():
    """Its smallest numbers are no small ones of float32, so torch.set_flush_denormal changes nothing."""
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


@needs_compiled
def test_buffers_of_a_wrong_size_are_refused():
    """Nothing is written where there is no room for it."""
    offsets, counts = np.zeros(1 << 16, np.int32), np.zeros(4096, np.int64)
    values = np.ones(4, np.float32)
    for wrong in (
        (values, "f4", offsets[1:], counts),
        (values, "f8", offsets, counts),
        (values, "f4", offsets, counts[1:]),
        (values, "f4", offsets, np.zeros(4096 * 8 + 1, np.int8)[1:]),
        (values, "f16", offsets, counts),
    ):
        with pytest.raises(ValueError, match="cannot"):
            compiled.count(*wrong)
    with pytest.raises((BufferError, TypeError, ValueError)):
        compiled.count(values, "f4", offsets, bytes(8 * 4096))


def lane_that_knows(*tags):
    """Return a compiled lane with room, and the prefixes of some tags."""
    lane = compiled.Lane()
    lane.room = 1 << 30
    for tag in tags:
        summary = events.summary([events.value(tag)])
        lane.tags[tag] = compiled.Prefix(tag, summary[: -events.VALUE_BYTES])
    return lane


KNOWN = ["", "loss", "töst/\U0001f600", "x" * 900]
entries = st.one_of(
    st.tuples(
        st.sampled_from([*KNOWN, "new"]),
        st.floats() | st.sampled_from([1e39, -1e39, float.fromhex("0x1.ffffffp127"), 5e-324]),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False) | st.just(-0.0),
    ),
    st.integers(),
)


@needs_compiled
@settings(max_examples=200, deadline=None)
@given(st.lists(entries, max_size=60))
def test_numbers_become_the_bytes_that_python_makes(given_entries):
    """Any number under any tag, step and time, taken from the compiled lane, has the same event, byte for byte."""
    numbers = [entry for entry in given_entries if isinstance(entry, tuple)]
    lane = lane_that_knows(*KNOWN)
    for entry in numbers:
        lane.append(entry)
    taken = lane.take(1_000, 1_000)
    frames = [
        each.encode() if type(each) is compiled.Numbers else ScalarEncoder().encode([each]) for each in taken
    ]
    assert b"".join(frames) == ScalarEncoder().encode(numbers)


@needs_compiled
@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(entries, st.tuples(st.just("take"), st.integers(0, 40), st.booleans()), st.just("remove")),
        max_size=400,
    )
)
def test_a_lane_is_first_in_first_out_whatever_is_put_back(steps):
    """Entries come out as from a list, through growing, taking, putting back and removing."""
    lane, model = lane_that_knows(*KNOWN), []
    for step in steps:
        if step == "remove":
            plain = [entry for entry in model if isinstance(entry, int)]
            if plain:
                lane.remove(plain[-1])
                model.remove(plain[-1])
        elif isinstance(step, tuple) and step[0] == "take":
            taken = lane.take(step[1], 2 * step[1])
            count = sum(len(each) if type(each) is compiled.Numbers else 1 for each in taken)
            if step[2]:
                lane.put_back(taken)
            else:
                del model[:count]
        else:
            lane.append(step)
            model.append(step)
        assert len(lane) == len(model)
    seen = [entry[0::2] if isinstance(entry, tuple) else entry for entry in lane]
    assert seen == [entry[0::2] if isinstance(entry, tuple) else entry for entry in model]


@needs_compiled
def test_the_method_shows_what_the_function_shows():
    """Signature, types, documentation and pickles are those of the Python function; an instance has a bound method."""
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
    """By position or by name, bound, through the class or a subclass: each logs its number."""

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


def test_threads_that_change_at_every_step_lose_and_mix_nothing(tmp_path):
    """Eight threads, a worker and a switch as often as Python can: each thread's numbers are there, in its order."""
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
