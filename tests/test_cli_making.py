"""`tblog merge`, `mean` and `import`: new runs as TensorBoard reads them."""

from __future__ import annotations

import fcntl
import json
import os
import statistics
import subprocess
import sys

import numpy as np
import pytest

import tblog as package
from tblog import SummaryWriter
from tests.command import UTF8, tblog, tblog_here
from tests.reading import accumulator, event_files, points, rust_points


@pytest.fixture
def seeds(tmp_path):
    """Return a log directory of three runs, one of them shorter, and their values by step."""
    values = {}
    rng = np.random.default_rng(0)
    for seed in range(3):
        with SummaryWriter(tmp_path / "runs" / f"lr1/seed{seed}") as writer:
            for step in range(10 - seed):
                value = float(np.float32(rng.normal()))
                writer.add_scalar("loss", value, step)
                values.setdefault(step, []).append(value)
    return tmp_path / "runs", {step: several for step, several in values.items() if len(several) == 3}


def test_mean_writes_five_runs_that_tensorboard_shows(seeds, tmp_path):
    """Each statistic equals that of Python's `statistics`, at the steps that all runs have."""
    runs, values = seeds
    _, told = tblog("mean", runs, "-o", tmp_path / "new")
    assert "3 runs, 1 tag; 2 steps left out" in told
    expected = {
        name: {"loss": [(step, float(np.float32(work(several)))) for step, several in values.items()]}
        for name, work in {
            "mean": statistics.fmean,
            "std": statistics.stdev,
            "min": min,
            "max": max,
            "median": statistics.median,
        }.items()
    }
    found = rust_points(tmp_path / "new", expected)
    assert {*found} == {*expected}
    for name, curves in expected.items():
        assert [step for step, _ in found[name]["loss"]] == [step for step, _ in curves["loss"]]
        np.testing.assert_allclose(found[name]["loss"], curves["loss"], rtol=1e-6)


def test_mean_groups_runs_by_what_is_left_of_their_names(seeds, tmp_path):
    """A group is a run's name without the seed."""
    runs, _ = seeds
    tblog("mean", runs, "--by", r"re:seed\d", "-o", tmp_path / "new")
    assert {*package.read(tmp_path / "new")} == {
        f"lr1/{name}" for name in ("mean", "std", "min", "max", "median")
    }
    tblog("mean", runs, "--tag", "none", "-o", tmp_path / "none", status=1)
    told = tblog("mean", runs, "--by", "sede", "-o", tmp_path / "none", status=1)[1]
    assert "'sede' is in no run's name, nothing is written; give a part of the names, or re:" in told
    assert not (tmp_path / "none").exists()


def test_mean_says_that_runs_of_a_group_lie_in_each_other(seeds, tmp_path):
    """A glob such as seed* chooses the runs of `add_scalars` below the seeds, too, which are no seeds."""
    runs, _ = seeds
    with SummaryWriter(runs / "lr1/seed0/pair_a") as writer:
        writer.add_scalar("pair", 1.0, 0)
    told = tblog("mean", runs, "--run", "lr1/seed*", "-o", tmp_path / "all")[1]
    assert "4 runs, 2 tags; " in told
    assert "lr1/seed0/pair_a lies in another of them" in told
    for options in (["--run", r"re:seed\d$"], ["--by", r"re:seed\d"]):
        assert "lies in" not in tblog("mean", runs, *options, "-o", tmp_path / options[0])[1]


def test_merge_copies_files_byte_for_byte(tmp_path):
    """Runs with the same name become one, and files with the same name do not overwrite each other."""
    for place, steps in (("one", range(5)), ("two", range(5, 10))):
        with SummaryWriter(tmp_path / place / "a") as writer:
            for step in steps:
                writer.add_scalar("loss", step, step)
    (first,), (second,) = event_files(tmp_path / "one" / "a"), event_files(tmp_path / "two" / "a")
    second = second.rename(second.with_name(first.name))
    tblog("merge", tmp_path / "one", tmp_path / "two", "-o", tmp_path / "new")
    merged = event_files(tmp_path / "new" / "a")
    assert [path.read_bytes() for path in merged] == [first.read_bytes(), second.read_bytes()]
    assert [event.step for event in accumulator(tmp_path / "new" / "a").Scalars("loss")] == [*range(10)]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("wide", [[], ["--wide"]], ids=["long", "wide"])
def test_what_was_exported_is_imported_again(seeds, tmp_path, kind, wide):
    """Runs, tags, steps and values are the same, and times if they were exported."""
    runs, _ = seeds
    tblog("export", runs, "--to", kind, "-o", tmp_path / f"x.{kind}", *wide)
    tblog("import", tmp_path / f"x.{kind}", "-o", tmp_path / "new")
    for name in package.read(runs):
        assert points(tmp_path / "new" / name) == points(runs / name)
        if not wide:
            times = [event.wall_time for event in accumulator(runs / name).Scalars("loss")]
            assert [
                event.wall_time for event in accumulator(tmp_path / "new" / name).Scalars("loss")
            ] == times


def test_import_takes_the_files_of_others(tmp_path):
    """Lines of JSON with another name for the step, and with texts and nulls; NaN is a value."""
    rows = [
        {"epoch": 0, "loss": 1, "note": "first"},
        {"epoch": 1, "loss": "NaN", "ok": True},
        {"epoch": 2, "loss": None},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    tblog("import", tmp_path / "log.jsonl", "--step-column", "epoch", "--run", "base", "-o", tmp_path / "new")
    found = package.read(tmp_path / "new").scalars
    assert (found.runs, found.tags, found.step.tolist()) == (("base",), ("loss",), [0, 1])
    np.testing.assert_array_equal(found.value, [1.0, np.nan])


def test_import_takes_whole_steps_to_the_last_digit(tmp_path):
    """Steps that float64 cannot represent stay exact, and steps that pandas wrote as floats become integers."""
    (tmp_path / "x.csv").write_text(f"step,loss\n-3,1\n2.0,2\n1e3,3\n{2**53 + 1},4\n")
    tblog("import", tmp_path / "x.csv", "-o", tmp_path / "new")
    assert package.read(tmp_path / "new").scalars.step.tolist() == [-3, 2, 1000, 2**53 + 1]


def test_import_refuses_what_it_cannot_read_and_leaves_nothing(tmp_path):
    """The message names the row; a run cannot lie outside of the new directory."""
    for text, name, told in (
        ("loss\n1\n", "x.csv", "row 1 has no column 'step'"),
        ("step,loss\none,1\n", "x.csv", "x.csv cannot be read: row 1: the step is 'one'"),
        ("step,loss\n0,1\n1.5,2\n", "x.csv", "row 2: the step is '1.5'"),
        ("step,loss\ninf,1\n", "x.csv", "row 1: the step is 'inf'"),
        (f"step,loss\n{2**63},1\n", "x.csv", "row 1: the step is"),
        ("step,run,loss\n1,../../up,1\n", "x.csv", "outside"),
        ("[1]\n", "x.jsonl", "no JSON object"),
        ("{\n", "x.jsonl", "no JSON"),
        ("step,loss,loss\n1,2,3\n", "x.csv", "several columns 'loss'"),
        ("step,loss\n1," + "x" * 200_000, "x.csv", "field limit"),
        ("loss;step\n1;2\n", "x.csv", "it has ['loss;step']"),
        ("step,run,loss\n1,a\0b,1\n", "x.csv", "cannot be the name of a directory"),
        (f"step,run,loss\n1,{'r' * 300},1\n", "x.csv", "cannot be the name of a directory"),
        (f"step,run,loss\n1,{'r/' * 3000},1\n", "x.csv", "cannot be the name of a directory"),
        ("step,wall_time,loss\n1,nan,1\n", "x.csv", "row 1: the wall_time was nan"),
        ("[" * 100_000, "x.jsonl", "too many levels"),
        ('{"step": true, "loss": 1}', "x.jsonl", "the step is True"),
        ('{"step": 1, "wall_time": ' + "9" * 400 + ', "loss": 1}', "x.jsonl", "the wall_time was"),
        ('{"step": 1, "tag": null, "value": 1}', "x.jsonl", "the tag was None"),
        ('{"step": 1, "tag": "\\ud800", "value": 1}', "x.jsonl", "cannot be encoded as UTF-8"),
        ('{"step": 1, "run": "\\ud800", "loss": 1}', "x.jsonl", "cannot be the name of a directory"),
        ('{"step": 1, "run": {"a": 1}, "loss": 1}', "x.jsonl", "give a name"),
        ("", "x.txt", "end in .csv, .jsonl"),
    ):
        (tmp_path / name).write_text(text)
        error = tblog_here("import", tmp_path / name, "-o", tmp_path / "new", status=2)[1]
        assert told in error
        assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.jsonl", "x.txt"]


def test_import_says_which_file_is_not_there(tmp_path):
    """Before it reads another one."""
    (tmp_path / "x.csv").write_text("step,loss\n1,2\n")
    files = [tmp_path / "x.csv", tmp_path / "missing.csv"]
    told = tblog("import", *files, "-o", tmp_path / "new", status=2)[1]
    assert told == f"tblog: there is no file {files[1]}; give the file that another program wrote\n"


def test_import_takes_what_a_spreadsheet_and_pandas_write(tmp_path):
    """A mark at the start, lines that end as on Windows, and an index without a name; from a pipe, too."""
    text = "\ufeff,step,loss\r\n0,1,2\r\n1,2,3\r\n"
    (tmp_path / "x.csv").write_text(text, newline="")
    tblog("import", tmp_path / "x.csv", "-o", tmp_path / "new")
    found = package.read(tmp_path / "new").scalars
    assert (found.tags, found.step.tolist(), found.value.tolist()) == (("loss",), [1, 2], [2.0, 3.0])
    subprocess.run(
        [sys.executable, "-m", "tblog", "import", "-", "-o", str(tmp_path / "piped")],
        input=text.encode(),
        env=UTF8,
        check=True,
    )
    assert package.read(tmp_path / "piped").scalars.step.tolist() == [1, 2]


def test_a_time_of_zero_stays_one(tmp_path):
    """Where a row has no time, it is that of the import."""
    (tmp_path / "x.jsonl").write_text(
        '{"step": 1, "wall_time": 0, "loss": 1}\n{"step": 2, "wall_time": null, "loss": 1}'
    )
    tblog("import", tmp_path / "x.jsonl", "-o", tmp_path / "new")
    first, second = package.read(tmp_path / "new").scalars.wall_time
    assert (first, second > 1.7e9) == (0.0, True)


@pytest.mark.parametrize("command", ["import", "mean"])
def test_new_runs_that_do_not_fit_on_the_disk_are_an_error_and_none_is_left(tmp_path, command):
    """A file takes no more than 64 kB here, as on a disk that is full."""
    with open(tmp_path / "x.csv", "w") as file:
        file.write("step,loss\n" + "".join(f"{step},{step}\n" for step in range(10_000)))
    tblog("import", tmp_path / "x.csv", "-o", tmp_path / "whole")
    source = tmp_path / "x.csv" if command == "import" else tmp_path / "whole"
    _, errors = tblog(command, source, "-o", tmp_path / "new", status=2, max_kb=32)
    assert "File too large" in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole", "x.csv"]


def test_many_runs_are_imported_without_a_wait_for_each(tmp_path):
    """Their points may come in turns; each run has one file."""
    rows = [f"r{run},{step},{run + step}\n" for step in range(3) for run in range(300)]
    (tmp_path / "x.csv").write_text("run,step,loss\n" + "".join(rows))
    tblog("import", tmp_path / "x.csv", "-o", tmp_path / "new")
    runs = package.read(tmp_path / "new")
    assert len(runs) == 300
    for name, run in runs.items():
        assert run.scalars.value.tolist() == [int(name[1:]) + step for step in range(3)]
        assert len(run.files) == 1


def test_two_commands_that_make_one_directory_do_not_mix(tmp_path):
    """The second is refused while the first is at work; what a killed one left is removed."""
    (tmp_path / "x.csv").write_text("step,loss\n1,2\n")
    left = tmp_path / "new.tblog-partial"
    (left / "old").mkdir(parents=True)
    (left / "old" / "events.out.tfevents.1.host").write_bytes(b"half")
    handle = os.open(left, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        told = tblog("import", tmp_path / "x.csv", "-o", tmp_path / "new", status=2)[1]
        assert "another command is writing" in told
        assert (left / "old").exists()
    finally:
        os.close(handle)
    tblog("import", tmp_path / "x.csv", "-o", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "x.csv"]
    assert [*package.read(tmp_path / "new")] == ["."]


def test_a_new_directory_has_a_name(tmp_path):
    """Neither the empty text nor the root of the file system is one."""
    (tmp_path / "x.csv").write_text("step,loss\n1,2\n")
    for name in ("", "/"):
        told = tblog("import", tmp_path / "x.csv", "-o", name, status=2)[1]
        assert "no name for a new directory" in told
