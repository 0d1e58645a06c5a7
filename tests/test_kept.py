"""What a resume cuts off is kept and listed, can be restored even after the run went on, and can be removed."""

from __future__ import annotations

import re

import pytest

from tblog import SummaryWriter
from tblog.check import main
from tests.reading import accumulator, event_files, points, rust_points


def log(logdir, steps, value, tags=("loss",), **options):
    """Log one value at each step under each tag, and one in a run below."""
    with SummaryWriter(logdir, **options) as writer:
        for step in steps:
            for tag in tags:
                writer.add_scalar(tag, value, step)
            writer.add_scalars("pair", {"a": value}, step)


def curve(*parts):
    """Return the points (steps, value) one after another."""
    return [(step, value) for steps, value in parts for step in steps]


def kept_files(folder):
    """Return the files of a directory that no loader reads."""
    return sorted(path for path in folder.iterdir() if path.is_file() and "tfevents" not in path.name)


def shown(logdir, expected):
    """Check the curve of a run and of the one below, in the files and in both loaders."""
    assert points(logdir)["loss"] == points(logdir / "pair_a")["pair"] == expected
    assert [(point.step, point.value) for point in accumulator(logdir).Scalars("loss")] == expected
    rust = {".": {"loss": expected}, "pair_a": {"pair": expected}}
    assert rust_points(logdir, rust) == rust


def command(*arguments):
    """Run the check's command, which must exit with status 0."""
    assert main([*map(str, arguments)]) == 0


@pytest.mark.parametrize("how", [{"resume": 10}, {"purge_step": 10}], ids=["resume", "purge_step"])
def test_what_is_cut_off_is_kept_where_no_loader_reads_it_and_the_log_says_so_once(tmp_path, caplog, how):
    """The kept records and the old file's start make up the old file; the message names the command to restore them."""
    log(tmp_path, range(100), 1.0)
    (old,) = event_files(tmp_path)
    before = old.read_bytes()
    log(tmp_path, range(10, 20), 2.0, **how)
    (kept,) = kept_files(tmp_path)
    assert before == old.read_bytes() + kept.read_bytes()
    assert len(kept_files(tmp_path / "pair_a")) == 1
    shown(tmp_path, curve((range(10), 1.0), (range(10, 20), 2.0)))
    (told,) = [record.getMessage() for record in caplog.records]
    assert "90 records of steps 10 to 99 were cut off" in told
    assert str(kept) in told
    command(*re.search(r"python -m tblog.check (.*)$", told)[1].split())
    assert old.read_bytes() == before


def test_a_run_that_loses_nothing_keeps_nothing(tmp_path, caplog):
    """A step beyond the last one, a torn end, and `resume=True` keep nothing."""
    log(tmp_path, range(10), 1.0)
    with open(event_files(tmp_path)[0], "ab") as file:
        file.write(b"\x01\x02")
    for how in ({"resume": 10}, {"purge_step": 11}, {"resume": True}):
        log(tmp_path, [], 1.0, **how)
    assert kept_files(tmp_path) == kept_files(tmp_path / "pair_a") == []
    assert caplog.records == []


def test_a_restore_brings_the_old_curve_back_and_what_was_logged_since_stays_behind_it(tmp_path, capsys):
    """Points beyond the old curve stay; those in the old curve's place are kept aside."""
    log(tmp_path, range(100), 1.0)
    log(tmp_path, range(10, 120), 2.0, resume=10)
    shown(tmp_path, curve((range(10), 1.0), (range(10, 120), 2.0)))
    command(tmp_path, "--restore")
    shown(tmp_path, curve((range(100), 1.0), (range(100, 120), 2.0)))
    assert "90 records of steps 10 to 99 restored" in capsys.readouterr().out
    command(tmp_path, "--restore")  # undoes the restore
    shown(tmp_path, curve((range(10), 1.0), (range(10, 120), 2.0)))


def test_a_restored_run_goes_on(tmp_path):
    """Now from the right step."""
    log(tmp_path, range(100), 1.0)
    log(tmp_path, range(10, 20), 2.0, resume=10)
    command(tmp_path, "--restore")
    log(tmp_path, range(90, 110), 3.0, resume=90)
    shown(tmp_path, curve((range(90), 1.0), (range(90, 110), 3.0)))


def test_a_restore_sets_nothing_aside_that_goes_together_with_what_came_back(tmp_path):
    """Other tags of the resumed run remain, and so do records without a step, such as texts."""
    log(tmp_path, range(100), 1.0)
    with SummaryWriter(tmp_path, resume=10) as writer:
        writer.add_text("notes", "resumed", 0)
        writer.add_scalar("new", 2.0, 50)
        writer.add_scalar_dict({"loss": 2.0, "other": 2.0}, 50)
    command(tmp_path, "--restore")
    found = points(tmp_path)
    assert found["loss"] == curve((range(100), 1.0))
    assert found["new"] == [(50, 2.0)]
    assert "notes/text_summary" in accumulator(tmp_path).Tags()["tensors"]


def test_several_cuts_are_restored_by_name_and_the_last_one_first(tmp_path, capsys):
    """Without a name, or out of order, nothing happens, and the message says what to do."""
    for start, value in ((0, 1.0), (60, 2.0), (10, 3.0)):
        log(tmp_path, range(start, 100), value, resume=start)
    command(tmp_path, "--list-kept")
    first, second = re.findall(r"^(\S+)  .*cut off when", capsys.readouterr().out, flags=re.MULTILINE)
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--restore"])
    assert f"one of {first}, {second}" in capsys.readouterr().err
    assert main([str(tmp_path), "--restore", "--cut", first]) == 1
    assert "Restore what was kept later first" in capsys.readouterr().out
    shown(tmp_path, curve((range(10), 1.0), (range(10, 100), 3.0)))
    command(tmp_path, "--restore", "--cut", second)
    shown(tmp_path, curve((range(60), 1.0), (range(60, 100), 2.0)))
    command(tmp_path, "--restore", "--cut", first)
    shown(tmp_path, curve((range(100), 1.0)))


def test_a_run_that_a_writer_has_open_is_not_restored(tmp_path, capsys):
    """The writer must close first; no file changes."""
    log(tmp_path, range(100), 1.0)
    with SummaryWriter(tmp_path, resume=10) as writer:
        writer.add_scalar("loss", 2.0, 10)
        writer.flush()
        before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
        assert main([str(tmp_path), "--restore"]) == 1
        assert "a writer has" in capsys.readouterr().out
        assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_only_what_was_cut_off_from_a_file_is_listed_and_removed_with_it(tmp_path, capsys):
    """Other files in its directory and runs below keep theirs; naming a kept file means its event file."""
    for run in (tmp_path, tmp_path / "below"):
        log(run, range(100), 1.0)
        log(run, range(10, 20), 2.0, resume=10)
    cut, whole = event_files(tmp_path)
    (below,) = kept_files(tmp_path / "below")
    for found, told in ((cut, "2 files kept beside"), (whole, "1 file, ")):
        command(found)
        assert capsys.readouterr().out.splitlines()[-2 if found == cut else -1].startswith(told)
    command(whole, "--list-kept")
    assert capsys.readouterr().out == "nothing is kept here\n"
    command(whole, "--remove-kept")
    (kept,) = kept_files(tmp_path)
    for path in (cut, kept):
        command(path, "--list-kept")
        out = capsys.readouterr().out
        assert str(kept) in out
        assert str(below) not in out
    command(cut, "--remove-kept")
    assert kept_files(tmp_path) == kept_files(tmp_path / "pair_a") == []
    assert kept_files(tmp_path / "below") == [below]


def test_kept_files_are_listed_and_removed_all_or_by_name(tmp_path, capsys):
    """Kept files can be named, too; event files are not touched."""
    log(tmp_path, range(100), 1.0)
    for step in (50, 20):
        log(tmp_path, [], 2.0, resume=step)
    before = points(tmp_path)
    assert len(kept_files(tmp_path)) == 2
    command(tmp_path, "--list-kept")
    assert "50 records of steps 50 to 99" in capsys.readouterr().out
    command(kept_files(tmp_path)[0], "--remove-kept")
    (left,) = kept_files(tmp_path)
    command(left, "--list-kept")
    assert "30 records of steps 20 to 49" in capsys.readouterr().out
    command(tmp_path, "--remove-kept")
    assert kept_files(tmp_path) == kept_files(tmp_path / "pair_a") == []
    assert points(tmp_path) == before
    command(tmp_path, "--list-kept")
    assert "nothing is kept here" in capsys.readouterr().out


def test_an_event_file_that_was_removed_comes_back_as_far_as_it_was_kept(tmp_path):
    """It comes back as a file that loaders read."""
    log(tmp_path, range(100), 1.0)
    (old,) = event_files(tmp_path)
    log(tmp_path, [], 2.0, resume=10)
    old.unlink()
    command(tmp_path, "--restore")
    assert points(tmp_path) == {"loss": curve((range(10, 100), 1.0))}


def test_a_repair_can_be_undone(tmp_path):
    """The old file is restored byte for byte, damage included."""
    log(tmp_path, range(10), 1.0)
    (path,) = event_files(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 0xFF
    path.write_bytes(damaged)
    command(tmp_path, "--repair")
    assert path.read_bytes() != damaged
    command(tmp_path, "--restore")
    assert path.read_bytes() == damaged


def test_a_file_of_a_similar_name_is_no_kept_one(tmp_path, capsys):
    """Its time is not a number: it is neither listed, restored nor removed."""
    stranger = tmp_path / "events.out.tfe-cut-99999999-999999-999999-at-0-00000000.1"
    stranger.write_bytes(b"mine")
    assert main([str(tmp_path), "--list-kept"]) == 0
    assert "nothing is kept here" in capsys.readouterr().out
    assert main([str(tmp_path), "--remove-kept"]) == 0
    assert stranger.exists()


def test_naming_a_cut_without_saying_what_to_do_with_it_is_an_error_of_use(tmp_path, capsys):
    """A check or repair would ignore the name."""
    for more in ([], ["--repair"]):
        with pytest.raises(SystemExit):
            main([str(tmp_path), "--cut", "20260101-000000-000000", *more])
        assert "--cut goes with --list-kept, --restore or --remove-kept" in capsys.readouterr().err
