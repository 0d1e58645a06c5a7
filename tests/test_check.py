"""The check of event files: it finds what TensorBoard's loaders cannot read, and repairs it without loss."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from tblog import SummaryWriter, read
from tblog._files.walk import walk
from tblog._wire.events import first_event
from tblog._wire.fields import sized
from tblog._wire.framing import frame
from tblog.check import check, main
from tests.processes import run_program
from tests.reading import event_files, points, rust_points
from tests.rights import enter, no_rights

NAN = float("nan")


def event(step, value=1.0, tag="x", wall_time=1.0):
    """Return the data of an event with one number, made with tensorboard's messages."""
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    return Event(wall_time=wall_time, step=step, summary=summary).SerializeToString()


def write(folder, *records, tail=b"", first=True):
    """Write an event file with these records by hand."""
    path = folder / "events.out.tfevents.1"
    path.write_bytes((first_event(1.0) if first else b"") + b"".join(map(frame, records)) + tail)
    return path


def found(folder):
    """Return the texts of the check's findings in a folder."""
    return [finding.text for report in check(str(folder)) for finding in report.findings]


def test_nothing_is_found_in_what_tblog_writes(tmp_path, capsys):
    """All kinds, in several runs."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(100):
            writer.add_scalar("x", step, step)
            writer.add_scalars("pair", {"a": 1.0, "b": 2.0}, step)
        writer.add_histogram("h", np.arange(10.0), 0)
        writer.add_text("t", "text", 0)
        writer.add_image("i", np.zeros((3, 4, 4), np.uint8), 0)
        writer.add_hparams({"a": 1}, {"m": 1.0})
        writer.add_scalar("new style", 1.0, 0, new_style=True)
    assert main([str(tmp_path)]) == 0
    assert "4 files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda path: write(path, event(0), tail=frame(event(1))[:20]),
            "a torn record of 20 bytes at the end",
        ),
        (lambda path: write(path, event(0), tail=bytes(100)), "zeros of 100 bytes at the end"),
        (lambda path: write(path, event(0), first=False), "the first record is no file version"),
        (
            lambda path: write(path, event(0), event(1, wall_time=NAN)),
            "1 record with a wall time that is no number",
        ),
        (lambda path: write(path, event(0), b"\xff"), "1 record that hold no event"),
        (lambda path: path.joinpath("a.tfevents").write_bytes(b""), "the file is empty"),
        (
            lambda path: write(path, *map(event, [0, 1, 2, 5, 3, 4])),
            "1 point of 1 tag not shown by the default loader",
        ),
        (lambda path: write(path, *map(event, [0, 0, 0])), "2 points of 1 tag not shown"),
    ],
)
def test_each_thing_that_loaders_stumble_over_is_found(tmp_path, make, text):
    """Each finding has words, a number and a place."""
    make(tmp_path)
    (finding,) = found(tmp_path)
    assert text in finding
    assert main([str(tmp_path)]) == 1


def test_the_number_of_points_not_shown_is_that_of_the_rust_server(tmp_path):
    """The check counts the points that TensorBoard's default loader leaves out."""
    steps = [0, 1, 2, 5, 3, 4, 4, 10, 7, 8]
    write(tmp_path, *map(event, steps))
    kept = [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (7, 1.0), (8, 1.0)]
    assert rust_points(tmp_path, {".": {"x": kept}}) == {".": {"x": kept}}
    (finding,) = found(tmp_path)
    assert finding.startswith(f"{len(steps) - len(kept)} points of 1 tag")


def test_a_histogram_of_more_limits_than_counts_is_found_and_repaired(tmp_path):
    """All its counts remain, and the default loader can read what follows."""
    histogram = HistogramProto(bucket_limit=[1.0, 2.0, 3.0], bucket=[5.0])
    broken = Event(wall_time=1.0, summary=Summary(value=[Summary.Value(tag="h", histo=histogram)]))
    write(tmp_path, broken.SerializeToString(), event(0), event(1))
    (finding,) = found(tmp_path)
    assert "1 record with a histogram of more limits than counts" in finding
    assert main([str(tmp_path), "--repair"]) == 0
    assert found(tmp_path) == []
    expected = {".": {"x": [(0, 1.0), (1, 1.0)]}}
    assert rust_points(tmp_path, expected) == expected


def test_an_event_with_fields_that_nobody_knows_is_as_good_as_any(tmp_path):
    """Also with a group, as protobuf had them once: all loaders pass over it, and so do the check and the reader."""
    unknown = (
        b"\xa3\x06" + b"\x08\x01" + b"\xa4\x06" + b"\xa8\x06\x01"
    )  # 100: a group of one number, 101: a number
    write(tmp_path, event(0) + unknown, event(1))
    assert found(tmp_path) == []
    expected = {".": {"x": [(0, 1.0), (1, 1.0)]}}
    assert rust_points(tmp_path, expected) == expected
    assert points(tmp_path)["x"] == expected["."]["x"]
    runs = read(tmp_path)
    assert (runs.damage, runs.scalars.step.tolist()) == ([], [0, 1])


@pytest.mark.parametrize(
    ("counts", "more_limits", "more_counts"), [([5.0], [], [0.0, 0.0]), ([5.0, 6.0, 7.0], [2.0, 2.0], [])]
)
def test_a_repair_changes_what_it_corrects_and_no_other_byte(tmp_path, counts, more_limits, more_counts):
    """Fields that nobody knows stay, and both parts of a histogram that came in parts."""
    part = HistogramProto(bucket_limit=[1.0, 2.0], bucket=counts).SerializeToString()
    value = sized(1, b"h") + sized(5, part) + b"\xa8\x06\x01" + sized(5, part) + b"\xb0\x06\x02"
    broken = b"\x09" + struct.pack("<d", NAN) + b"\x10\x07" + sized(5, sized(1, value)) + b"\xa8\x06\x03"
    path = write(tmp_path, event(0, wall_time=5.0), broken)
    assert main([str(tmp_path), "--repair"]) == 0
    with open(path, "rb") as file:
        *_, repaired = (piece.data for piece in walk(file))
    wanted, read_back = Event.FromString(broken), Event.FromString(repaired)
    wanted.wall_time = 5.0
    wanted.summary.value[0].histo.bucket_limit.extend(more_limits)
    wanted.summary.value[0].histo.bucket.extend(more_counts)
    assert read_back == wanted
    assert all(one in repaired for one in (b"\xa8\x06\x01", b"\xb0\x06\x02", b"\xa8\x06\x03"))


def test_a_repair_keeps_every_readable_record_and_the_old_file(tmp_path):
    """With damage in the middle and at the end, the old file remains under a name that no loader reads."""
    path = write(tmp_path, *map(event, range(20)), tail=b"\x01\x02")
    data = bytearray(path.read_bytes())
    data[400] ^= 0xFF
    path.write_bytes(data)
    assert len(found(tmp_path)) == 2
    assert main([str(tmp_path), "--repair"]) == 0
    assert found(tmp_path) == []
    kept = points(tmp_path)["x"]
    assert len(kept) == 19
    assert rust_points(tmp_path, {".": {"x": kept}}) == {".": {"x": kept}}
    (aside,) = (other for other in tmp_path.iterdir() if other != path)
    assert "tfevents" not in aside.name
    assert aside.read_bytes() == bytes(data)
    assert event_files(tmp_path) == [path]


def test_a_file_that_a_writer_has_open_is_reported_and_left_alone(tmp_path, capsys):
    """Its torn end is a record that is being written."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 1.0, 0)
        writer.flush()
        (path,) = event_files(tmp_path)
        with open(path, "ab") as file:
            file.write(b"\x01")
        assert main([str(tmp_path)]) == 0
        assert "a writer has it open" in capsys.readouterr().out
        with open(path, "ab") as file:
            file.write(frame(b"\xff"))
        before = path.read_bytes()
        assert main([str(tmp_path), "--repair"]) == 1
        assert path.read_bytes() == before


def test_a_directory_that_is_none_is_an_error_of_use(tmp_path, capsys):
    """The message says what was given and what to give."""
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "none")])
    assert ended.value.code == 2
    assert "is not a directory; give one" in capsys.readouterr().err


@pytest.mark.parametrize("option", [[], ["--repair"], ["--list-kept"]])
def test_the_command_runs_without_tensorboard_torch_and_tensorboardx(tmp_path, option):
    """Nor is protobuf imported: a check starts as quickly as other commands."""
    histogram = HistogramProto(bucket_limit=[1.0, 2.0], bucket=[5.0])
    broken = Event(wall_time=NAN, summary=Summary(value=[Summary.Value(tag="h", histo=histogram)]))
    write(tmp_path, event(0), broken.SerializeToString(), tail=b"\x01")
    for module in ("tblog", "tblog.check"):
        arguments = [module, *(["check"] if module == "tblog" else []), str(tmp_path), *option]
        run_program(
            "import sys, runpy\n"
            f"sys.argv = {arguments!r}\n"
            f"try: runpy.run_module({module!r}, run_name='__main__')\n"
            "except SystemExit as ended: assert ended.code in (0, 1), ended.code\n"
            "heavy = {'tensorboard', 'torch', 'tensorboardX', 'google.protobuf'} & set(sys.modules)\n"
            "assert not heavy, heavy"
        )


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(-5, 40), st.sampled_from("ab"), st.floats()), max_size=10),
    damage=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 200),
    tail=st.one_of(st.binary(max_size=60), st.integers(0, 60).map(bytes)),
)
def test_whatever_is_in_a_file_a_repair_keeps_all_that_is_readable(new_folder, steps, damage, cut, tail):
    """It neither crashes nor loses anything; afterwards nothing repairable is left."""
    folder = new_folder()
    path = write(folder, *[event(step, 1.0, tag, wall_time) for step, tag, wall_time in steps])
    data = bytearray(path.read_bytes())
    for position, byte in damage:
        if position < len(data):
            data[position] = byte
    path.write_bytes(bytes(data[: max(1, len(data) - cut)]) + tail)
    os.utime(path, (0, 0))  # an old file: nobody waits to see whether it still grows
    readable = readable_points(path)
    main([str(folder), "--repair"])
    assert not any(report.needs_repair for report in check(str(folder)))
    assert readable_points(path) == readable


def readable_points(path):
    """Return (step, tag, value) of each value in a file, read past any damage."""
    with open(path, "rb") as file:
        whole = [piece.data for piece in walk(file) if piece.data is not None]
    found = []
    for data in whole:
        try:
            one = Event.FromString(data)
        except Exception:
            continue
        found += [(one.step, value.tag, struct.pack("f", value.simple_value)) for value in one.summary.value]
    return found


def test_a_file_is_checked_and_repaired_by_its_path(tmp_path, capsys):
    """It handles that file alone, and shows its name within its directory."""
    path = write(tmp_path, event(0), tail=b"\x01")
    other = tmp_path / "events.out.tfevents.2"
    other.write_bytes(path.read_bytes())
    assert main([str(path)]) == 1
    assert "1 file, 2 records, 1 finding\n" in capsys.readouterr().out
    assert main([str(path), "--repair"]) == 0
    assert len(path.read_bytes()) == len(other.read_bytes()) - 1


def test_the_output_counts_in_plain_words_and_says_what_a_repair_did(tmp_path, capsys):
    """One is not plural; after a repair, it counts the repaired files and what remains."""
    write(tmp_path, *map(event, [0, 1, 1]), tail=b"\x01")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.endswith("1 file, 4 records, 2 findings\n")
    assert main([str(tmp_path), "--repair"]) == 1
    assert capsys.readouterr().out.endswith("1 file, 4 records, 1 repaired, 1 finding is left\n")
    assert main([str(tmp_path), "--repair"]) == 1
    assert capsys.readouterr().out.endswith("1 file, 4 records, 1 finding is left\n")
    assert main([str(tmp_path / "events.out.tfevents.1")]) == 1
    assert "repaired" not in capsys.readouterr().out


@pytest.mark.parametrize("place", [1, -5], ids=["length", "value"])
def test_a_damaged_record_is_named_by_its_tag_and_step(tmp_path, capsys, place):
    """Both the check and the repair name it as lost."""
    path = write(tmp_path, *[event(step, tag="loss") for step in range(200)])
    data = bytearray(path.read_bytes())
    record = frame(event(118, tag="loss"))
    data[data.index(record) + place % len(record)] ^= 0xFF
    path.write_bytes(data)
    (finding,) = found(tmp_path)
    assert "there was 'loss' at step 118" in finding
    assert main([str(tmp_path), "--repair"]) == 0
    out = capsys.readouterr().out
    assert "repaired; lost: 'loss' at step 118; the old file is" in out
    assert out.endswith("1 file, 200 records, 1 repaired\n")


def test_kept_files_are_mentioned_by_a_check(tmp_path, capsys):
    """The message names the option that lists them."""
    write(tmp_path, event(0), tail=b"\x01")
    main([str(tmp_path), "--repair"])
    capsys.readouterr()
    assert main([str(tmp_path)]) == 0
    assert "1 file kept beside event files: --list-kept" in capsys.readouterr().out


def test_runs_behind_links_are_checked_as_tensorboard_reads_them(tmp_path, capsys):
    """Each appears once, even if a link leads back; kept files behind links are found, too."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "logdir").mkdir()
    write(tmp_path / "elsewhere", event(0), tail=b"torn")
    (tmp_path / "logdir" / "run").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "logdir" / "back").symlink_to(tmp_path / "logdir")
    assert main([str(tmp_path / "logdir")]) == 1
    assert "1 file, 2 records, 1 finding" in capsys.readouterr().out
    assert main([str(tmp_path / "logdir"), "--repair"]) == 0
    assert main([str(tmp_path / "logdir"), "--list-kept"]) == 0
    assert "1 kept" in capsys.readouterr().out


def test_a_directory_that_nobody_may_list_is_reported(tmp_path, monkeypatch):
    """Unknown is not the same as nothing wrong."""
    (tmp_path / "run").mkdir(mode=0)
    enter(tmp_path, monkeypatch)
    with no_rights():
        (report,) = check(".")
    assert report.path == "./run"
    assert "cannot be read" in report.findings[0].text
