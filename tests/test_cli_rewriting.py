"""`tblog rename`, `drop`, `thin` and `merge`: the runs that TensorBoard reads afterwards, and what does not change."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

import tblog as package
from tblog import SummaryWriter
from tblog._cli.main import main
from tblog._files.walk import walk
from tblog._wire.framing import frame
from tests.command import tblog, tblog_here
from tests.reading import accumulator, event_files, points
from tests.rights import enter, no_rights


def log(logdir, steps=range(20), tags=("loss", "accuracy")):
    """Log scalars, and one value of some other kinds."""
    with SummaryWriter(logdir) as writer:
        for step in steps:
            for tag in tags:
                writer.add_scalar(tag, np.sin(step), step)
        writer.add_text("text", "words", 1)
        writer.add_histogram("weights", np.arange(10.0), 2)


@pytest.fixture
def runs(tmp_path):
    """Return a log directory of two runs."""
    log(tmp_path / "runs" / "a")
    log(tmp_path / "runs" / "b")
    return tmp_path / "runs"


def contents(logdir):
    """Return the bytes of all files below a directory."""
    return {str(path.relative_to(logdir)): path.read_bytes() for path in logdir.rglob("*") if path.is_file()}


def records(logdir):
    """Return the data of a run's records, one after the other."""
    found = []
    for path in event_files(logdir):
        with open(path, "rb") as file:
            found += [piece.data for piece in walk(file)]
    return found


def test_rename_changes_the_tag_alone_and_leaves_the_source(runs, tmp_path):
    """The bytes of other records stay, and so do steps, times and values."""
    before = contents(runs)
    _, told = tblog("rename", runs, "loss", "loss/train", "-o", tmp_path / "new")
    assert "2 event files of 2 runs" in told
    assert contents(runs) == before
    assert contents(tmp_path / "new").keys() == before.keys()
    old, new = records(runs / "a"), records(tmp_path / "new" / "a")
    for one, two in zip(old, new, strict=True):
        event = event_pb2.Event.FromString(one)
        if not any(value.tag == "loss" for value in event.summary.value):
            assert one == two
        for value in event.summary.value:
            value.tag = "loss/train" if value.tag == "loss" else value.tag
        assert event == event_pb2.Event.FromString(two)
    assert accumulator(tmp_path / "new" / "a").Scalars("loss/train") == accumulator(runs / "a").Scalars(
        "loss"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("*", "train/*", {"train/loss", "train/accuracy"}),
        ("re:^(l|a)(.*)", r"\1_\2", {"l_oss", "a_ccuracy"}),
        ("l*s", "*", {"os", "accuracy"}),
    ],
)
def test_rename_takes_patterns(runs, tmp_path, old, new, expected):
    """Stars and groups keep the text that they matched."""
    tblog("rename", runs, old, new, "--run", "a", "-o", tmp_path / "new")
    assert {*points(tmp_path / "new" / "a")} == expected
    assert event_files(tmp_path / "new" / "b")[0].read_bytes() == event_files(runs / "b")[0].read_bytes()


def test_rename_says_why_nothing_is_renamed(runs, tmp_path):
    """No tag has the name, or those that have it keep it."""
    for place in (["-o", tmp_path / "new"], ["--in-place"]):
        assert "are called so already" in tblog("rename", runs, "loss", "loss", *place, status=1)[1]
        assert "no tag matches none; tblog ls" in tblog("rename", runs, "none", "x", *place, status=1)[1]
    assert not (tmp_path / "new").exists()


def test_an_edit_that_does_not_fit_on_the_disk_changes_no_file_by_half(runs):
    """What was changed before can be undone, and of the file in question nothing is kept: it is as it was."""
    with SummaryWriter(runs / "a0") as writer:
        for step in range(5000):
            writer.add_scalar("loss", step, step)
    before = contents(runs)
    _, errors = tblog("rename", runs, "loss", "lost", "--in-place", status=2, max_kb=32)
    assert "1 file changed; to undo it: tblog kept" in errors
    assert "File too large" in errors
    changed = contents(runs)
    assert len(changed) == len(before) + 1
    assert sum(changed[name] != content for name, content in before.items()) == 1
    tblog("kept", runs, "--restore")
    assert contents(runs) == before


def test_rename_refuses_what_would_mix_curves_or_overwrite(runs, tmp_path):
    """Nothing is written."""
    for arguments, told in (
        (["loss", "accuracy", "-o", tmp_path / "new"], "would both be called"),
        (["loss", "", "-o", tmp_path / "new"], "empty"),
        (["loss", "*", "-o", tmp_path / "new"], "has a *"),
        (["re:loss", r"\1", "-o", tmp_path / "new"], "does not go with"),
        (["loss", "x", "-o", runs], "already"),
        (["loss", "x"], "required"),
    ):
        assert told in tblog_here("rename", runs, *arguments, status=2)[1]
    tblog("rename", runs, "none", "x", "-o", tmp_path / "new", status=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


@pytest.mark.parametrize(
    "command",
    [
        ["thin", "runs", "5"],
        ["thin", "runs/*", "5"],
        ["rename", "runs", "loss", "x"],
        ["drop", "runs", "--tag", "loss"],
        ["merge", "runs"],
        ["mean", "runs"],
    ],
)
def test_a_new_directory_inside_of_the_old_one_is_refused(runs, monkeypatch, command):
    """The old one would have its runs twice, or means beside their runs."""
    monkeypatch.chdir(runs.parent)
    before = contents(runs)
    assert "lies in" in tblog(*command, "-o", "runs/new", status=2)[1]
    assert contents(runs) == before


def test_a_new_directory_beside_those_of_a_pattern_is_made(runs, monkeypatch):
    """It does not match the pattern, so the next command does not read it."""
    monkeypatch.chdir(runs.parent)
    tblog("thin", "run*", "5", "-o", "small")
    monkeypatch.chdir(runs)
    tblog("thin", "[ab]", "5", "-o", "small")
    for pattern in ("runs/*", "*/*", "../*/runs/a"):
        monkeypatch.chdir(runs.parent)
        tblog("merge", pattern, "-o", f"merged{len(pattern)}")


def test_damage_stays_where_it_is(runs, tmp_path):
    """The damage stays, and the whole records around it are renamed."""
    (path,) = event_files(runs / "a")
    whole = path.read_bytes()
    path.write_bytes(whole[:400] + b"\xff" * 30 + whole[430:] + frame(b"torn" * 9)[:20])
    tblog("rename", runs, "loss", "lost", "-o", tmp_path / "new")
    (new,) = event_files(tmp_path / "new" / "a")
    assert b"\xff" * 30 in new.read_bytes()
    assert new.read_bytes().endswith(frame(b"torn" * 9)[:20])
    assert package.read(tmp_path / "new", run="a").scalars.filter(tag="lost").step.tolist() == (
        package.read(runs, run="a").scalars.filter(tag="loss").step.tolist()
    )


def test_in_place_the_old_file_is_kept_and_comes_back(runs):
    """Files without the tag are not touched."""
    log(runs / "c", tags=("other",))
    before = contents(runs)
    _, told = tblog("rename", runs, "loss", "lost", "--in-place")
    assert "2 files changed" in told
    assert {*points(runs / "a")} == {"lost", "accuracy"}
    kept = [content for name, content in contents(runs).items() if "tfe-edit" in name]
    assert sorted(kept) == sorted(content for name, content in before.items() if name[0] in "ab")
    (when,) = {name.split("tfe-edit-")[1].split("-at-")[0] for name in contents(runs) if "tfe-edit" in name}
    tblog("kept", runs, "--restore", "--cut", when)
    assert contents(runs) == before


def test_in_place_nothing_changes_while_a_writer_has_one_of_the_files(runs):
    """Neither the writer's file nor the others change."""
    with SummaryWriter(runs / "c") as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.flush()
        before = contents(runs)
        for arguments in (["rename", runs, "loss", "lost"], ["drop", runs, "--run", "*"]):
            _, told = tblog(*arguments, "--in-place", status=1)
            assert "nothing is changed" in told
            assert "has it open" in told
            assert contents(runs) == before


@pytest.mark.parametrize("where", ["new", "place"])
def test_drop_leaves_out_what_matches_all_filters(runs, tmp_path, where):
    """The filters are tags, steps and runs; all other bytes stay."""
    target = tmp_path / "new" if where == "new" else runs
    shutil.copytree(runs, tmp_path / "before")
    filters = ["--run", "a", "--tag", "l*", "--steps", "5:"]
    tblog("drop", runs, *filters, *(["-o", target] if where == "new" else ["--in-place"]))
    expected = [
        data
        for data in records(tmp_path / "before" / "a")
        if not any(
            value.tag == "loss" and event_pb2.Event.FromString(data).step >= 5
            for value in event_pb2.Event.FromString(data).summary.value
        )
    ]
    assert records(target / "a") == expected
    assert records(target / "b") == records(tmp_path / "before" / "b")


def test_drop_copies_nothing_where_no_value_is_at_these_steps(runs, tmp_path):
    """A copy without a change would look as if something had been left out."""
    for place in (["-o", tmp_path / "new"], ["--in-place"]):
        told = tblog("drop", runs, "--tag", "loss", "--steps", "100000:", *place, status=1)[1]
        assert "nothing matches" in told
    assert not (tmp_path / "new").exists()


def test_drop_takes_whole_runs_and_gives_them_back(runs, tmp_path):
    """A new directory lacks them; in place, their files are kept aside."""
    before = contents(runs)
    tblog("drop", runs, "--run", "a", "-o", tmp_path / "new")
    assert contents(tmp_path / "new") == {name: one for name, one in before.items() if name.startswith("b/")}
    tblog("drop", runs, "--run", "a", "--in-place")
    assert [*package.read(runs)] == ["b"]
    tblog("kept", runs, "--restore")
    assert contents(runs) == before
    assert "say what to leave out" in tblog("drop", runs, "--in-place", status=2)[1]


def test_what_is_left_of_a_tag_keeps_its_meaning(tmp_path):
    """If the first value goes, its metadata move to the first value that stays, also in a later file."""
    for start in (0, 5):
        writer = EventFileWriter(str(tmp_path / "runs"))
        for step in range(start, start + 5):
            event = event_pb2.Event(wall_time=1.0 + step, step=step)
            value = event.summary.value.add(tag="words")
            value.tensor.dtype = 7
            value.tensor.string_val.append(b"%d" % step)
            if not step:
                value.metadata.plugin_data.plugin_name = "text"
            writer.add_event(event)
        writer.close()
    tblog("drop", tmp_path / "runs", "--steps", ":7", "-o", tmp_path / "new")
    loaded = accumulator(tmp_path / "new")
    assert loaded.SummaryMetadata("words").plugin_data.plugin_name == "text"
    assert [event.step for event in loaded.Tensors("words")] == [7, 8, 9]


@pytest.mark.parametrize("where", ["new", "place"])
def test_thin_keeps_the_rows_that_the_reader_keeps(tmp_path, where):
    """Over several files of a run and several values of an event; only scalars change."""
    runs = tmp_path / "runs"
    rng = np.random.default_rng(0)
    for start in (0, 500):
        with SummaryWriter(runs / "a") as writer:
            for step in range(start, start + 500):
                writer.add_scalar_dict({"x": rng.normal(), "y": rng.normal()}, step)
                writer.add_scalar("x", rng.normal(), step)
            writer.add_text("x/text", "words", start)
    expected = package.read(runs, restarts="keep").scalars.filter(tag="x").thin(50)
    untouched = package.read(runs, restarts="keep").scalars.filter(tag="y")
    target = tmp_path / "new" if where == "new" else runs
    tblog("thin", runs, 50, "--tag", "x", *(["-o", target] if where == "new" else ["--in-place"]))
    result = package.read(target, restarts="keep")
    for tag, scalars in (("x", expected), ("y", untouched)):
        found = result.scalars.filter(tag=tag)
        for column in ("step", "wall_time", "value"):
            np.testing.assert_array_equal(getattr(found, column), getattr(scalars, column))
    assert len(result["a"].tags["texts"]) == 1


def test_a_directory_that_cannot_be_listed_is_missing_from_no_copy(tmp_path, monkeypatch, capsys):
    """Copies are refused, and what only reads says what it leaves out."""
    log(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "b").mkdir(mode=0)
    enter(tmp_path, monkeypatch)
    with no_rights():
        for status, arguments in (
            (2, ["rename", "runs", "loss", "x", "-o", "new"]),
            (2, ["thin", "runs", "5", "-o", "new"]),
            (2, ["drop", "runs", "--tag", "loss", "--in-place"]),
            (2, ["merge", "runs", "-o", "new"]),
            (2, ["rename", "runs/*", "loss", "x", "-o", "new"]),
            (2, ["merge", "runs/*/seed1", "-o", "new"]),
            (0, ["ls", "runs"]),
            (0, ["ls", "runs/*"]),
            (0, ["ls", "runs/*/events*"]),
            (1, ["ls", "runs/b/*"]),
        ):
            assert main(arguments) == status
            assert "runs/b: Permission denied; " in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
