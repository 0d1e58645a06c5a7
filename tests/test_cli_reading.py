"""The output and exit status of `tblog ls`, `show`, `tail`, `export`, `check` and `kept`."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

import tblog as package
from tblog import SummaryWriter
from tests.command import UTF8, tblog, tblog_here
from tests.reading import accumulator, event_files


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a log directory of two runs."""
    logdir = tmp_path_factory.mktemp("runs")
    for name, scale in (("a", 1.0), ("b", 2.0)):
        with SummaryWriter(logdir / name) as writer:
            for step in range(20):
                writer.add_scalar("loss", scale / (step + 1), step, walltime=1000.0 + step)
            writer.add_scalar("lr", float("nan"), 3, walltime=2000.0)
            writer.add_image("picture", np.zeros((3, 4, 4), np.uint8), 5)
            writer.add_text("text", "words", 6)
    return logdir


def test_ls_tells_of_each_run_its_tags_steps_and_size(runs):
    """The numbers match the files."""
    lines = tblog("ls", runs)[0].splitlines()
    assert [line.split()[0] for line in lines] == ["run", "a", "b"]
    assert lines[1].split()[1:5] == ["4", "21", "19", "24"]


def test_ls_as_json_tells_of_each_tag_what_tensorboard_reads(runs):
    """Kinds, counts, steps and last values; a NaN is a text."""
    first, second = json.loads(tblog("ls", runs, "--json", "--sort", "name", "--reverse")[0])
    assert (first["run"], second["run"]) == ("b", "a")
    tags = {tag["tag"]: tag for tag in second["tags"]}
    loaded = accumulator(runs / "a").Scalars("loss")
    assert tags["loss"] == {
        "kind": "scalars",
        "tag": "loss",
        "values": len(loaded),
        "first_step": 0,
        "last_step": 19,
        "last": loaded[-1].value,
    }
    assert tags["lr"]["last"] == "NaN"
    assert (tags["picture"]["kind"], tags["picture"]["last_step"]) == ("images", 5)
    assert second["nbytes"] == sum(path.stat().st_size for path in event_files(runs / "a"))


def test_ls_lists_the_tags_that_are_asked_for(runs):
    """By run, glob, regular expression, kind and steps; no match is status 1."""
    told, _ = tblog("ls", runs, "--tags", "--run", "a", "--tag", "re:^l", "--steps", ":3")
    assert [line.split()[:4] for line in told.splitlines()[1:]] == [["a", "scalars", "loss", "3"]]
    told, _ = tblog("ls", runs, "--tags", "--kind", "texts")
    assert [line.split()[1] for line in told.splitlines()[1:]] == ["texts", "texts"]
    assert "no run matches; tblog ls" in tblog("ls", runs, "--run", "c", status=1)[1]
    assert "texts" in tblog("ls", runs, "--kind", "text", status=1)[1]


def test_ls_of_a_tag_leaves_out_what_belongs_to_the_run_as_a_whole(tmp_path):
    """Hyperparameters are listed without --tag, or by their own tags; a run without the tag is not listed."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 0.1}, {"score": 1.0}, name="trial")
        writer.add_scalar("loss", 1.0, 0)
    assert "_hparams_/experiment" in tblog("ls", tmp_path, "--tags")[0]
    told = tblog("ls", tmp_path, "--tags", "--tag", "loss")[0]
    assert [line.split()[:3] for line in told.splitlines()[1:]] == [[".", "scalars", "loss"]]
    assert tblog("ls", tmp_path, "--tags", "--tag", "_hparams_/*")[0].count("trial") == 3
    tblog("ls", tmp_path, "--tag", "none", status=1)


def test_what_a_tag_holds_is_no_order_to_the_terminal(tmp_path):
    """Escape sequences and line ends are escaped."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("bad\x1b[2J\nname", 1.0, 0)
    for arguments in (
        ["ls", tmp_path, "--tags"],
        ["show", tmp_path],
        ["show", tmp_path, "--plot"],
        ["tail", tmp_path],
    ):
        told, _ = tblog(*arguments)
        assert "\x1b" not in told
        assert "bad\\x1b[2J\\nname" in told


def test_no_name_is_an_order_to_the_terminal(tmp_path):
    """Directories and files may be called anything, too; so in every command that prints them, and in errors."""
    run = tmp_path / "red \x1b[31m\x07"
    with SummaryWriter(run) as writer:
        writer.add_scalar("loss", 1.0, 0)
    tblog("rename", run, "loss", "\x1b[2J", "--in-place")
    for status, arguments in (
        (0, ["ls", tmp_path]),
        (0, ["check", tmp_path]),
        (0, ["kept", tmp_path]),
        (1, ["ls", run, "--tag", "none"]),
        (1, ["rename", run, "\x1b[31m", "x", "-o", tmp_path / "new"]),
        (2, ["import", tmp_path / "\x1b[31m.csv", "-o", tmp_path / "new"]),
        (2, ["export", run, "--to", "csv", "-o", run]),
    ):
        printed = "".join(tblog(*arguments, status=status))
        assert not set(map(chr, range(32))) - {"\n"} & {*printed}, arguments
    with SummaryWriter(run) as writer:  # in the way
        writer.add_scalar("loss", 1.0, 0)
        writer.flush()
        assert "\x1b" not in tblog("drop", run, "--tag", "loss", "--in-place", status=1)[1]


def test_columns_stand_below_each_other_behind_wide_characters_too(tmp_path):
    """In a terminal, a Chinese character takes two columns and a combining accent none."""
    with SummaryWriter(tmp_path) as writer:
        for tag in ("loss", "损失", "pe\u0301rte"):
            writer.add_scalar(tag, 5.0, 0)
    told, _ = tblog("show", tmp_path)
    ends = [line[: line.index(" 5 ")] for line in told.splitlines()[1:]]
    assert (len(ends[0]), len(ends[0])) == (len(ends[1]) + 2, len(ends[2]) - 1)


def test_show_has_each_curve_with_its_extremes_and_its_form(runs):
    """A falling curve goes from the full block to the lowest."""
    told, _ = tblog("show", runs, "--run", "b", "--tag", "loss")
    _, line = told.splitlines()
    assert line.split()[:8] == ["b", "loss", "20", "0", "to", "19", "0.1", "0.1"]
    assert line.split()[8] == "2"
    assert (line[-20], line[-1]) == ("█", "▁")


def test_show_plots_curves_that_have_nothing_to_plot_too(runs):
    """A curve of NaN is named so, and one of a single value is a dot."""
    assert "no value is finite" in tblog("show", runs, "--tag", "lr", "--plot")[0]
    assert "0 to 0" not in tblog("show", runs, "--tag", "loss", "--steps", "0:1", "--plot")[0]
    lines = tblog("show", runs, "--run", "a", "--tag", "loss", "--plot", "--width", 60)[0].splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) <= 60
    assert lines[1].split()[0] == "1"


def test_export_is_what_the_reader_reads_in_every_format(runs, tmp_path):
    """csv, jsonl, json and parquet have the same rows, long and wide, to the last bit."""
    expected = package.read(runs).scalars
    for kind in ("csv", "jsonl", "json", "parquet"):
        for wide in ([], ["--wide"]):
            file = tmp_path / f"runs.{kind}"
            _, told = tblog("export", runs, "--to", kind, "-o", file, "--force", *wide)
            assert "42 scalars of 2 runs" in told
            frame = expected.to_pandas(wide=True).reset_index() if wide else expected.to_pandas()
            pd.testing.assert_frame_equal(plain(read_back(file, kind)), plain(frame), check_exact=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "runs.csv",
        "runs.json",
        "runs.jsonl",
        "runs.parquet",
    ]


def plain(frame):
    """Return a frame with plain Python values and its columns in order."""
    columns = {str(name): frame[name].tolist() for name in sorted(frame.columns)}
    return pd.DataFrame(
        {
            name: [np.nan if one in {None, "NaN"} else one for one in column]
            for name, column in columns.items()
        }
    )


def read_back(file, kind):
    """Return a data frame of an exported file, read without tblog."""
    if kind == "parquet":
        return pyarrow.parquet.read_table(file).to_pandas()
    if kind == "csv":
        return pd.read_csv(file)
    rows = json.loads(file.read_text()) if kind == "json" else map(json.loads, file.read_text().splitlines())
    return pd.DataFrame(rows)


def test_export_replaces_a_file_only_by_force(runs, tmp_path):
    """Without it, the old file stays."""
    (tmp_path / "x.csv").write_text("mine")
    tblog("export", runs, "--to", "csv", "-o", tmp_path / "x.csv", status=2)
    assert (tmp_path / "x.csv").read_text() == "mine"
    tblog("export", runs, "--to", "csv", "-o", tmp_path / "x.csv", "--force")
    assert (tmp_path / "x.csv").read_text().startswith("run,tag,")


HOSTILE = [
    "../../out",
    "/etc/x",
    "a//b",
    "..",
    ".hidden",
    "a\\b\0\n",
    "%2e%2e/x",
    "x" * 300,
    "ä/😀",
    "A/b",
    "a/B",
]


@pytest.mark.parametrize("what", [("export", "--to", "csv", "--force"), ("report",)])
def test_an_output_replaces_no_event_file_no_pipe_and_no_link(runs, tmp_path, what):
    """A pipe receives the bytes, a link stays a link, and an event file is refused even with --force."""
    command, *options = what
    [event_file] = event_files(runs / "a")
    before = Path(event_file).read_bytes()
    assert "is an event file" in tblog(command, runs, *options, "-o", event_file, status=2)[1]
    assert Path(event_file).read_bytes() == before
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        tblog(command, runs, *options, "-o", pipe)
        assert len(reader.communicate(timeout=60)[0]) > 100
    assert pipe.is_fifo()
    target.write_text("old")
    link.symlink_to(target)
    tblog(command, runs, *options, "-o", link)
    assert link.is_symlink()
    assert target.stat().st_size > 100
    assert {each.name for each in tmp_path.iterdir()} == {"pipe", "link", "target"}


def test_a_report_of_nothing_is_not_written(runs, tmp_path):
    """A message reports a mistyped name, and no empty page is written."""
    with SummaryWriter(runs / "c" / "trial") as writer:
        writer.log_hparams({"lr": 0.1})
    for option in ("--run", "--tag"):
        told = tblog("report", runs / "c", option, "none", "-o", tmp_path / "x.html", status=1)[1]
        assert "nothing is written" in told
    shutil.rmtree(runs / "c")
    told = tblog("report", runs, "-o", tmp_path / "no" / "x.html", status=2)[1]
    assert f"there is no directory {tmp_path / 'no'}" in told
    assert not list(tmp_path.iterdir())


def test_a_report_of_a_pattern_is_called_by_it(runs, tmp_path):
    """Its last part alone would be a star; a directory's name is its own."""
    for place, title in ((runs / "*", f"{runs}/*"), (runs / "a", "a")):
        tblog("report", place, "-o", tmp_path / "x.html")
        assert f"<title>{title}</title>" in (tmp_path / "x.html").read_text()


def test_a_closed_standard_output_stops_nothing(runs):
    """Programs that a daemon starts have no streams."""
    command = f"{sys.executable} -m tblog ls {runs} >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], env=UTF8, check=False).returncode == 0


def test_images_and_sounds_become_files_below_the_new_directory_whatever_they_are_called(tmp_path):
    """Each file has the logged bytes, and its path has the tag's text as far as a path allows."""
    rng = np.random.default_rng(0)
    with SummaryWriter(tmp_path / "runs" / "a") as writer:
        for tag in HOSTILE:
            for step in (1, 1, 2):
                writer.add_image(tag, rng.random((3, 2, 2)), step)
        writer.add_audio("sound", rng.random(80) - 0.5, 3)
    runs = package.read(tmp_path / "runs")
    _, told = tblog("export", tmp_path / "runs", "--to", "images", "-o", tmp_path / "new" / "pictures")
    assert "33 files" in told
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "runs" not in path.parts]
    assert all((tmp_path / "new" / "pictures" / "a") in path.parents for path in files)
    assert sorted(path.read_bytes() for path in files) == sorted(image.encoded for image in runs.images)
    assert (tmp_path / "new/pictures/a/ä/%F0%9F%98%80/step-1-2.png").exists()
    tblog("export", tmp_path / "runs", "--to", "audio", "--last", "-o", tmp_path / "sounds")
    assert (tmp_path / "sounds/a/sound/step-3.wav").read_bytes() == runs.audio[0].encoded
    assert (
        "already"
        in tblog("export", tmp_path / "runs", "--to", "audio", "-o", tmp_path / "sounds", status=2)[1]
    )
    tblog("export", tmp_path / "runs", "--to", "images", "--tag", "none", "-o", tmp_path / "none", status=1)
    assert not (tmp_path / "none").exists()


def test_export_to_the_standard_output_takes_filters_and_thins(runs):
    """Nothing else is printed to it."""
    told, errors = tblog("export", runs, "--to", "csv", "--run", "a", "--tag", "loss", "--thin", 6)
    rows = list(csv.DictReader(io.StringIO(told)))
    assert len(rows) <= 6
    assert {float(row["value"]) for row in rows} >= {1.0, float(np.float32(1 / 20))}
    assert errors == ""
    assert tblog("export", runs, "--to", "csv", "--tag", "none", status=1)[0] == ""


def test_where_nothing_matches_the_message_says_what_to_look_at(runs, tmp_path):
    """For an unknown tag it names the list of tags; it says if a directory has no event files."""
    for name in ("show", "tail", "export"):
        to = ["--to", "csv"] if name == "export" else []
        told = tblog(name, runs, "--tag", "los", *to, status=1)[1]
        assert "no scalar matches" in told
        assert "tblog ls --tags" in told
        assert "no event files" in tblog(name, tmp_path, *to, status=1)[1]
    empty, new = tmp_path / "empty", ["-o", tmp_path / "new"]
    empty.mkdir()
    for option in ("--run", "--tag"):
        for command in (["thin", runs, 10], ["mean", runs]):
            told = tblog(*command, option, "none", *new, status=1)[1]
            assert "no scalar matches, nothing is written; tblog ls --tags" in told
    for command in (
        ["rename", empty, "a", "b", *new],
        ["drop", empty, "--tag", "a", *new],
        ["thin", empty, 10, *new],
        ["mean", empty, *new],
        ["merge", empty, *new],
        ["ls", empty],
    ):
        printed, told = tblog(*command, status=1)
        assert printed == ""
        assert "no event files" in told
    assert "nothing is kept" in tblog("kept", tmp_path, "--remove-kept")[0]


def test_tail_prints_the_values_that_were_logged_last(runs):
    """They are ordered by time over all runs."""
    told, _ = tblog("tail", runs, "-n", 4, "--json")
    rows = [json.loads(line) for line in told.splitlines()]
    assert [(row["run"], row["tag"], row["step"]) for row in rows] == [
        ("a", "loss", 19),
        ("b", "loss", 19),
        ("a", "lr", 3),
        ("b", "lr", 3),
    ]


def test_tail_takes_any_time_that_a_file_has(tmp_path):
    """Of other programs, too: a time that no calendar has is shown as ?, and one that is no number comes first."""
    writer = EventFileWriter(str(tmp_path))
    for step, wall_time in enumerate((5.0, 1e300, float("nan"), -1e18, 3.0)):
        event = event_pb2.Event(wall_time=wall_time, step=step)
        event.summary.value.add(tag="loss", simple_value=step)
        writer.add_event(event)
    writer.close()
    lines = tblog("tail", tmp_path)[0].splitlines()
    assert [line.split()[-1] for line in lines] == ["2", "3", "4", "0", "1"]
    assert [line.startswith("?") for line in lines] == [True, True, False, False, True]
    tblog("ls", tmp_path)


def test_tables_fit_the_terminal_and_are_whole_elsewhere(tmp_path):
    """Long names are cut in the middle; a pipe gets all of them."""
    with SummaryWriter(tmp_path / ("run" * 20)) as writer:
        for tag in ("first/" + "x" * 300 + "/last", "損失" * 50, "loss"):
            writer.add_scalar(tag, 1.0, 2**40)
    for arguments in (["ls", tmp_path], ["ls", tmp_path, "--tags"], ["show", tmp_path]):
        lines = on_a_terminal(*arguments, columns=80)
        assert max(map(columns_of, lines)) <= 80, arguments
        assert len(lines) == len(tblog(*arguments)[0].splitlines())
        assert any("…" in line for line in lines)
    assert any(line.split()[1].startswith("first/") for line in lines)
    assert "x" * 300 in tblog("show", tmp_path)[0]
    narrow = tblog("show", tmp_path, "--width", 70)[0].splitlines()
    assert max(map(columns_of, narrow)) <= 80


def columns_of(line):
    """Return how many columns of a terminal a line takes."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in line)


def on_a_terminal(*arguments, columns):
    """Run the command on a terminal, and return the lines that it prints."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, columns))
    environment = {name: value for name, value in UTF8.items() if name != "COLUMNS"}
    with subprocess.Popen(
        [sys.executable, "-m", "tblog", *map(str, arguments)], env=environment, stdout=its, stderr=its
    ) as process:
        os.close(its)
        printed = b""
        with contextlib.suppress(OSError):  # at its end
            while part := os.read(ours, 4096):
                printed += part
        assert process.wait() == 0
    os.close(ours)
    return printed.decode().splitlines()


def test_tail_follows_a_training_and_ends_at_an_interrupt(tmp_path):
    """Each value is printed once, soon after its flush, also from a run that starts later."""
    code = (  # a job in the background ignores SIGINT
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from tblog._cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "tail", "-f", str(tmp_path), "--json", "--every", "0.05"]
    with SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.flush()
        with subprocess.Popen(
            command,
            env=UTF8,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            try:
                for step in (1, 2):
                    assert json.loads(process.stdout.readline())["step"] == step - 1
                    writer.add_scalar("loss", 1.0, step)
                    writer.flush()
                assert json.loads(process.stdout.readline())["step"] == 2
                with SummaryWriter(tmp_path / "b") as other:
                    other.add_scalar("loss", 1.0, 7)
                assert json.loads(process.stdout.readline())["run"] == "b"
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 130
            finally:
                process.kill()


def test_a_reader_that_goes_ends_the_command_without_a_traceback(runs):
    """As `| head` does."""
    with subprocess.Popen(
        [sys.executable, "-m", "tblog", "tail", "-f", "--every", "0.05", str(runs)],
        env=UTF8,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        with SummaryWriter(runs / "c") as writer:
            for step in range(10_000):
                writer.add_scalar("loss", 1.0, step)
        try:
            assert process.wait(60) == 141
            assert process.stderr.read() == b""
        finally:
            process.kill()
    for path in event_files(runs / "c"):
        os.unlink(path)


def test_arguments_that_make_no_sense_are_refused_with_status_2(runs, tmp_path):
    """The message says what was given."""
    for arguments, told in (
        (["ls", tmp_path / "none"], "there is nothing at"),
        (["ls", runs, "--steps", "5"], "FROM:TO"),
        (["ls", runs, "--tag", "re:("], "not a regular expression"),
        (["export", runs, "--to", "parquet"], "-o"),
        (["export", runs, "--to", "csv", "--thin", "2"], "4 values"),
        (["show", runs, "--smooth", "2"], "0 to 1"),
        (["export", runs, "--to", "csv", "-o", tmp_path / "none" / "x.csv"], "no directory"),
        (["export", runs, "--to", "parquet", "-o", tmp_path / "none" / "x.parquet"], "no directory"),
        (["export", runs, "--to", "csv", "-o", tmp_path], "is a directory"),
        (["export", runs, "--to", "images"], "by -o"),
        (["export", runs, "--to", "images", "--wide", "-o", tmp_path / "new"], "without --wide"),
        (["export", runs, "--to", "csv", "-o", __file__], "--force"),
        (["ls", __file__], "is no event file"),
        (["kept", tmp_path / "none"], "there is nothing at"),
        (["kept", tmp_path, "--restore"], f"nothing is kept in {tmp_path}\n"),
        (["tail", runs, "-n", "-2"], "from 0 on; '-2' was given"),
        (["tail", runs, "--every", "nan"], "seconds from 0"),
        (["tail", runs, "--every", "-1"], "seconds from 0"),
        (["show", runs, "--width", "0"], "columns from 20"),
        (["show", runs, "--width", "1000000"], "columns from 20"),
        (["rename", runs, "re:(", "x", "-o", tmp_path / "new"], "not a regular expression"),
        (["ls", runs, "--steps", "5:5"], "no step is in '5:5'"),
        (["ls", runs / "a", runs / "b"], "put it in quotes"),
        ([], "COMMAND"),
    ):
        assert told in tblog_here(*arguments, status=2)[1], arguments


@pytest.mark.slow
def test_check_and_kept_do_what_the_checks_module_does(tmp_path):
    """They find and repair a torn file, and list and restore the records that a resumed run cut off."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(10):
            writer.add_scalar("loss", 1.0, step)
    (old,) = event_files(tmp_path)
    with SummaryWriter(tmp_path, resume=4) as writer:
        writer.add_scalar("loss", 2.0, 4)
    assert "nothing wrong" in tblog_here("check", tmp_path)[0]
    assert "6 records of steps 4 to 9" in tblog("kept", tmp_path)[0]
    tblog_here("kept", tmp_path, "--restore")
    assert [event.value for event in accumulator(tmp_path).Scalars("loss")] == [1.0] * 10
    tblog_here("kept", tmp_path, "--remove-kept")
    assert "nothing is kept" in tblog_here("kept", tmp_path)[0]
    old.write_bytes(old.read_bytes()[:-3])
    tblog("check", tmp_path, status=1)
    tblog_here("check", tmp_path, "--repair")
    assert "nothing wrong" in tblog_here("check", tmp_path)[0]


def test_the_command_runs_without_tensorboard_torch_and_data_frames(runs):
    """None of them is imported."""
    code = (
        "import sys; from tblog._cli.main import main; main(['ls', sys.argv[1]]); main(['show', sys.argv[1]]);"
        "print({'torch', 'tensorboard', 'tensorboardX', 'tensorflow', 'pandas', 'pyarrow'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(runs)],
        env=UTF8,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "set()"
