"""`tblog merge`, `mean` and `import`: new runs as TensorBoard reads them."""

from __future__ import annotations

import json
import statistics

import numpy as np
import pytest

import tblog as package
from tblog import SummaryWriter
from tests.command import tblog, tblog_here
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
    assert "'sede' is in no run's name, nothing is written" in told
    assert not (tmp_path / "none").exists()


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
        ("step,loss\none,1\n", "x.csv", "row 1 cannot be read"),
        ("step,loss\n0,1\n1.5,2\n", "x.csv", "row 2 cannot be read: the step is '1.5'"),
        ("step,loss\ninf,1\n", "x.csv", "row 1 cannot be read: the step is 'inf'"),
        (f"step,loss\n{2**63},1\n", "x.csv", "row 1 cannot be read: the step is"),
        ("step,run,loss\n1,../../up,1\n", "x.csv", "outside"),
        ("[1]\n", "x.jsonl", "no JSON object"),
        ("{\n", "x.jsonl", "no JSON"),
        ("", "x.txt", "end in .csv, .jsonl"),
    ):
        (tmp_path / name).write_text(text)
        assert told in tblog_here("import", tmp_path / name, "-o", tmp_path / "new", status=2)[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.jsonl", "x.txt"]
