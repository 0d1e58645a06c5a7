"""Resuming a run: both of TensorBoard's loaders show one clean curve, and nothing kept is damaged."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tblog import SummaryWriter
from tblog._files.kept import stamp
from tblog._files.resume import cut_from, event_paths, last_step
from tblog._files.walk import walk
from tblog._wire.event_heads import event_head
from tblog._wire.events import first_event
from tblog._wire.framing import frame
from tests.processes import run_program, run_python
from tests.reading import accumulator, event_files, points, rust_points


def log_curve(logdir, steps, value, **options):
    """Log one curve, and one of a run below, and close the writer."""
    with SummaryWriter(logdir, **options) as writer:
        for step in steps:
            writer.add_scalar("loss", value, step)
            writer.add_scalars("pair", {"a": value}, step)
        return writer.next_step


@pytest.mark.parametrize("how", [{"resume": 60}, {"purge_step": 60}], ids=["resume", "purge_step"])
def test_a_run_resumed_at_a_step_shows_one_curve_in_both_loaders(tmp_path, how):
    """The points from the step on are those of the second part, in this run and in the one below."""
    log_curve(tmp_path, range(100), 1.0)
    assert log_curve(tmp_path, range(60, 80), 2.0, **how) == 60
    curve = [(step, 1.0) for step in range(60)] + [(step, 2.0) for step in range(60, 80)]
    assert points(tmp_path) == {"loss": curve}
    expected = {".": {"loss": curve}, "pair_a": {"pair": curve}}
    assert rust_points(tmp_path, expected) == expected


def test_a_tag_that_is_not_logged_again_ends_at_the_step(tmp_path):
    """If the old file kept its old points, the Rust loader would show them forever."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(10):
            writer.add_scalar("only before", 1.0, step)
    with SummaryWriter(tmp_path, purge_step=4) as writer:
        writer.add_scalar("after", 1.0, 4)
    expected = {".": {"only before": [(step, 1.0) for step in range(4)], "after": [(4, 1.0)]}}
    assert rust_points(tmp_path, expected) == expected


def test_resuming_without_a_step_keeps_everything_and_tells_the_next_step(tmp_path):
    """`next_step` follows the largest step on disk."""
    log_curve(tmp_path, range(10), 1.0)
    assert log_curve(tmp_path, range(10, 12), 2.0, resume=True) == 10
    assert points(tmp_path)["loss"] == [(step, 1.0 if step < 10 else 2.0) for step in range(12)]
    assert log_curve(tmp_path / "new", range(2), 1.0, resume=True) == 0


def test_a_loader_that_has_read_the_runs_forgets_what_was_cut_off(tmp_path):
    """TensorBoard's Python loader keeps reading the run and the one below; points cut off do not count as logged."""
    log_curve(tmp_path, range(10), 1.0)
    loaders = {"loss": accumulator(tmp_path), "pair": accumulator(tmp_path / "pair_a")}
    writer = SummaryWriter(tmp_path, resume=6)
    writer.flush()
    assert repr(writer).endswith(": 0 logged, 0 written>")
    writer.close()
    log_curve(tmp_path, range(6, 8), 2.0, resume=6)
    for tag, loader in loaders.items():
        loader.Reload()
        assert [event.step for event in loader.Scalars(tag)] == [*range(8)]


def test_a_negative_step_to_resume_from_is_refused(tmp_path):
    """`True` finds the last step; nothing is cut off. `purge_step` may be negative, as in the originals."""
    log_curve(tmp_path, range(10), 1.0)
    with pytest.raises(ValueError, match=r"resume was -1, .+ give True, False, or the step to go on with"):
        SummaryWriter(tmp_path, resume=-1)
    assert len(points(tmp_path)["loss"]) == 10
    SummaryWriter(tmp_path, purge_step=-1).close()
    assert points(tmp_path) == {}


def test_an_empty_event_file_is_no_trouble(tmp_path, caplog):
    """Its writer ended before it wrote anything: no message."""
    log_curve(tmp_path, range(10), 1.0)
    (tmp_path / "events.out.tfevents.1").touch()
    for how in (True, 5):
        log_curve(tmp_path, [], 1.0, resume=how)
    assert "leaves" not in caplog.text


def test_a_torn_tail_is_cut_back_and_nothing_else(tmp_path):
    """A killed process's partial last record goes, and every whole record stays."""
    log_curve(tmp_path, range(10), 1.0)
    (path,) = event_files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + frame(b"x" * 50)[:30])
    log_curve(tmp_path, range(10, 12), 2.0, resume=True)
    assert path.read_bytes() == whole


def test_a_file_that_a_living_writer_has_open_is_left_alone(tmp_path, caplog):
    """A resume beside an active writer does not touch its file."""
    with SummaryWriter(tmp_path) as living:
        for step in range(10):
            living.add_scalar("loss", 1.0, step)
        living.flush()
        path = living.file_writer.event_writer._file_name
        before = Path(path).read_bytes()
        SummaryWriter(tmp_path, resume=5).close()
        assert Path(path).read_bytes() == before
        assert "a writer has it open" in caplog.text
        living.add_scalar("loss", 1.0, 10)
    assert len(points(tmp_path)["loss"]) == 11


def test_a_writer_purges_once_and_not_again_after_close_or_in_a_copy(tmp_path):
    """Records after the purge stay when the writer opens its next file."""
    import pickle

    writer = SummaryWriter(tmp_path, purge_step=0)
    writer.add_scalar("loss", 1.0, 0)
    writer.close()
    writer.add_scalar("loss", 2.0, 1)
    writer.close()
    with pickle.loads(pickle.dumps(writer)) as copy:
        copy.add_scalar("loss", 3.0, 2)
    assert points(tmp_path)["loss"] == [(0, 1.0), (1, 2.0), (2, 3.0)]


def test_a_kill_in_the_middle_of_a_cut_leaves_the_old_file_whole(tmp_path):
    """The new file replaces the old one only when it is complete; until then no loader reads its name."""
    log_curve(tmp_path, range(50), 1.0)
    (path,) = event_files(tmp_path)
    before = path.read_bytes()
    code = """
        import os, signal, sys
        from tblog import SummaryWriter
        os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
        SummaryWriter(sys.argv[1], resume=10)
    """
    assert run_python(code, tmp_path).returncode == -signal.SIGKILL
    assert event_files(tmp_path) == [path]
    assert path.read_bytes() == before
    log_curve(tmp_path, [], 1.0, resume=10)
    assert points(tmp_path)["loss"] == [(step, 1.0) for step in range(10)]


def event_file(path, steps):
    """Write an event file by hand, and return the ends of its records."""
    frames = [first_event(1.0)]
    frames += [frame(b"\x10" + bytes([step]) + b"\x2a\x00") for step in steps]
    path.write_bytes(b"".join(frames))
    ends = [0]
    for one in frames:
        ends.append(ends[-1] + len(one))
    return ends[1:]


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.integers(1, 127), max_size=8),
    damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 400),
    tail=st.binary(max_size=60),
)
def test_whatever_is_in_a_file_a_walk_ends_and_covers_it(new_folder, steps, damage, cut, tail):
    """Pieces follow each other without gaps, each record is whole, and a cut leaves a clean file, or no event file."""
    logdir = new_folder()
    path = logdir / "events.out.tfevents.1"
    event_file(path, steps)
    data = bytearray(path.read_bytes())
    for position, byte in damage:
        if position < len(data):
            data[position] = byte
    data = bytes(data[: max(1, len(data) - cut)] + tail)
    path.write_bytes(data)
    os.utime(path, (0, 0))  # an old file: nobody waits to see whether it still grows
    with open(path, "rb") as file:
        pieces = list(walk(file))
    assert [piece.start for piece in pieces] == [0, *[piece.end for piece in pieces[:-1]]][: len(pieces)]
    assert pieces[-1].end == len(data)
    readable = [piece.data for piece in pieces if piece.data is not None]
    assert b"".join(data[piece.start + 12 : piece.end - 4] for piece in pieces if piece.data) == b"".join(
        readable
    )
    last_step(str(logdir))
    cut_from(str(logdir), 64, stamp())
    if pieces[0].data is None:
        assert path.read_bytes() == data
        return
    with open(path, "rb") as file:
        kept = [piece.data for piece in walk(file)]
    assert kept == [one for one in readable if not event_head(one).has_summary or event_head(one).step < 64]


@given(st.binary(max_size=200))
def test_reading_the_head_of_arbitrary_bytes_ends_without_an_error(data):
    """Even a record with a valid checksum may hold anything."""
    event_head(data)


@settings(max_examples=60)
@given(
    steps=st.lists(st.integers(1, 127), min_size=1, max_size=8),
    position=st.integers(0, 10_000),
    byte=st.integers(1, 255),
)
def test_one_damaged_byte_costs_one_record_at_most(new_folder, steps, position, byte):
    """The walk finds its way back to the next whole record."""
    path = new_folder() / "events.out.tfevents.1"
    event_file(path, steps)
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= byte
    path.write_bytes(data)
    with open(path, "rb") as file:
        whole = [piece for piece in walk(file) if piece.data is not None]
    assert len(whole) == len(steps)
    assert event_paths(str(path.parent)) == [str(path)]


def test_a_resume_loads_neither_torch_nor_tensorboardx(tmp_path):
    """To cut off points and torn records, to keep them, and to give the points of runs below as JSON."""
    log_curve(tmp_path, range(20), 1.0)
    for path in event_paths(str(tmp_path)):
        Path(path).write_bytes(Path(path).read_bytes()[:-2])
    run_program(
        """
        import sys
        from tblog import SummaryWriter
        logdir, exported = sys.argv[1:]
        with SummaryWriter(logdir, resume=10) as writer:
            writer.add_scalars("pair", {"a": 2.0}, 10)
            writer.export_scalars_to_json(exported)
        heavy = {"torch", "tensorboardX", "tensorboard", "google.protobuf"} & set(sys.modules)
        assert not heavy, heavy
        """,
        None,
        tmp_path,
        tmp_path / "exported.json",
    )
    (series,) = json.loads((tmp_path / "exported.json").read_text()).values()
    assert [point[1:] for point in series] == [[10, 2.0]]
