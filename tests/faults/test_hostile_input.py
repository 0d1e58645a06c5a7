"""Hostile values in every call: an error at the call or a valid file; no later failure, and no file outside."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tblog import SummaryWriter, WriterOptions
from tblog.check import check
from tblog.errors import InvalidTypeError, InvalidValueError, NotAScalarError, UnsupportedTypeError
from tblog.graph import GraphError
from tests.reading import events
from tests.slow import slow_but

# The quick form always draws the same values; with more examples, each run draws others.
QUICK = 25
EXAMPLES = int(os.environ.get("TBLOG_FUZZ_EXAMPLES", QUICK))

# tblog's errors have types that callers of the originals know and catch.
ERRORS = (UnsupportedTypeError, NotAScalarError, InvalidValueError, InvalidTypeError, GraphError)
assert all(
    issubclass(error, (TypeError, ValueError, NotImplementedError, AssertionError, RuntimeError))
    for error in ERRORS
)

PATHS = [
    "..", ".", "/", "../x", "../../x", "/etc/x", "a/../../x", "a/..", "x/../..", "..\\x", "~/x", "a//b", "a/", "./x",
    "\0", "a\0b", "\ud800", "a\udfffb", "%2e%2e/x", "tfevents", "\n", "😀" * 100, "x" * 300, "x/" * 3000, "",
    " ", "con", "a:b", "s3:", "*", "-", "x" * 100_000,
]  # fmt: skip
tags = st.one_of(
    st.sampled_from(PATHS), st.text(max_size=20), st.none(), st.integers(), st.binary(max_size=4)
)
odd = st.sampled_from(
    [
        None, True, "text", "1.5", b"1", object(), [], {}, (), set(), [1, "a"], [[1], [2, 3]], 10**400, -(10**400),
        float("nan"), float("inf"), -float("inf"), 1e308, 5e-324, 1 << 63, -(1 << 63) - 1, 1j, slice(3), lambda: 1,
        range(3), np.array([]), np.array(None), np.array("a"), np.array([object()]), np.zeros((0, 3)),
        np.full((3, 4, 4), np.nan), np.full((1, 1, 1), np.inf), np.array([True, False]), np.zeros((2, 3, 4, 5, 6)),
        np.array([1 << 63], np.uint64), np.array(["2020-01-01"], "datetime64[D]"), np.zeros(3, "i4,f4"),
        np.ma.masked_array([1, 2], [0, 1]), np.float16(1), np.longdouble("1e4000"), np.zeros((3, 2), order="F")[::-1],
        np.broadcast_to(np.float32(1), (3, 50, 50)), np.zeros(5, ">f8"), memoryview(b"abc"), bytearray(5), Path("x"),
    ]
)  # fmt: skip
arrays = st.builds(
    lambda shape, dtype, fill: np.full(shape, fill).astype(dtype),
    st.lists(st.integers(0, 5), max_size=5).map(tuple),
    st.sampled_from(["f4", "f8", "f2", "i8", "u1", "i1", "?", "c8", "u8", ">i4"]),
    st.sampled_from([0, 1, 255, 100]),
)
values = st.one_of(odd, arrays, st.floats(), st.integers())
steps = st.one_of(st.none(), st.integers(-(1 << 64), 1 << 64), odd)
keys = st.one_of(st.sampled_from(PATHS), st.text(max_size=10))
dicts = st.one_of(st.dictionaries(keys, values, max_size=4), odd)
charts = st.tuples(st.sampled_from(["Multiline", "Margin", ""]), st.lists(st.one_of(keys, odd), max_size=3))
layouts = st.dictionaries(keys, st.one_of(st.dictionaries(keys, charts, max_size=2), odd), max_size=2)

CALLS = {
    "add_scalar": (tags, values, steps, odd, odd, odd),
    "add_scalars": (keys, dicts, steps),
    "add_scalar_dict": (dicts, steps),
    "add_histogram": (tags, values, steps, odd),
    "add_histogram_raw": (tags, values, values, values, values, values, values, values),
    "add_image": (tags, values, steps, odd),
    "add_images": (tags, values, steps, odd),
    "add_image_with_boxes": (tags, values, values, steps, odd, odd),
    "add_video": (tags, values, steps, st.one_of(st.just(4), odd)),
    "add_audio": (tags, values, steps, st.one_of(st.just(8000), odd)),
    "add_text": (tags, st.one_of(st.text(), odd), steps),
    "add_tensor": (tags, values, steps),
    "add_pr_curve": (tags, values, values, steps, st.one_of(st.just(127), odd), values),
    "add_pr_curve_raw": (tags, values, values, values, values, values, values, steps, st.one_of(st.just(5), odd)),
    "add_mesh": (tags, values, values, values, odd),
    "add_embedding": (values, odd, values, steps, tags, odd),
    "add_custom_scalars": (st.one_of(layouts, dicts),),
    "add_hparams": (dicts, dicts, odd, keys, steps),
    "log_hparams": (dicts, odd),
    "add_figure": (tags, odd, steps, odd),
    "add_graph": (odd, odd),
    "add_record": (odd,),
}  # fmt: skip


def failures(caplog):
    """Return the worker's messages."""
    return [record.getMessage() for record in caplog.records if "could not" in record.getMessage()]


def outside(folder, inside):
    """Return the contents of a folder, except for one of its directories."""
    return {path for path in folder.rglob("*") if path != inside and inside not in path.parents}


@pytest.mark.parametrize("flavor", slow_but(["torch"], ["torch", "tensorboardX"]))
@pytest.mark.parametrize("method", CALLS)
def test_hostile_values_are_an_error_at_the_call_or_lead_to_a_valid_file(method, flavor, caplog):
    """Errors have tblog's types, the worker never fails, and every file is readable and in the log directory."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=QUICK == EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.tuples(*CALLS[method]), min_size=1, max_size=4))
    def fuzz(calls):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            logdir = folder / "deep" / "run"
            # A model that cannot be read is counted as failed, and raises if the options are strict.
            options = WriterOptions(flavor=flavor, strict=method == "add_graph")
            writer = SummaryWriter(logdir, options=options)
            for arguments in calls:
                with contextlib.suppress(*ERRORS):
                    getattr(writer, method)(*arguments)
            writer.add_scalar("after", 1.0, 0)
            writer.close()
            assert outside(folder, logdir) == {folder / "deep"}
            reports = list(check(str(logdir)))
            assert not any(report.needs_repair for report in reports)
            for report in reports:
                events(report.path)
            assert writer.stats.failed == 0, failures(caplog)

    fuzz()


def test_a_tag_of_ten_megabytes_is_a_tag(tmp_path):
    """A tag too long for a directory name is refused only where it would become one."""
    tag = "x" * 10_000_000
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar(tag, 1.0, 0)
        writer.add_text(tag, "text", 0)
        with pytest.raises(ValueError, match="does not name a directory"):
            writer.add_scalars(tag, {"a": 1.0}, 0)
        with pytest.raises(ValueError, match="does not name a directory"):
            writer.add_scalars("a", {tag: 1.0}, 0)
        with pytest.raises(ValueError, match="does not name a directory"):
            writer.add_hparams({"a": 1}, {"m": 1.0}, run_name=tag)
        with pytest.raises(ValueError, match="it names a folder"):
            writer.add_embedding(np.zeros((2, 2)), tag=tag)
        writer.add_scalar("after", 1.0, 0)
    assert writer.stats.failed == 0
    (path,) = (path for path in tmp_path.iterdir() if "tfevents" in path.name)
    tags = [value.tag for event in events(path) for value in event.summary.value]
    assert sorted(tags, key=len) == ["after", tag, f"{tag}/text_summary"]
