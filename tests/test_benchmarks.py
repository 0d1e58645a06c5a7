"""The benchmarks: their reader is right, and a quick run of two questions passes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import _check, _data, _few, _runner, _table, report
from benchmarks.__main__ import main
from benchmarks._check import event_files, read_scalars
from benchmarks._question import Figure, Plan, Results, Row, show
from benchmarks._results import ResultFile, Stored
from benchmarks.peers import peers_of
from benchmarks.questions import numbers, question

PREPARED = {"operations": 10.0, "gpus": 1.0}


def write_with_tensorboard(logdir, rows):
    """Write events of (step, {tag: value}) with tensorboard's own writer, and return the file."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(logdir))
    for wall, (step, scalars) in enumerate(rows):
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        writer.add_event(Event(wall_time=1e9 + wall, step=step, summary=Summary(value=values)))
    writer.close()
    (path,) = event_files(logdir)
    return path


@pytest.fixture(scope="module")
def mixed_file(tmp_path_factory):
    """Events of one and of several values, of many tags."""
    rows = [(step, {"a": step / 3, "b" * (1 + step % 40): -1.5, "c": float("inf")}) for step in range(500)]
    return write_with_tensorboard(tmp_path_factory.mktemp("mixed"), rows)


def test_columns_are_compared_with_tensorboards_own_reading(mixed_file):
    """The start of a file reads the same with tblog and tensorboard, and a different value is found."""
    columns = read_scalars(mixed_file)
    _check.head_agrees(mixed_file, columns)
    columns.value[7] += 1
    with pytest.raises(AssertionError, match="tensorboard reads"):
        _check.head_agrees(mixed_file, columns)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:40] + b"x" + data[41:]])
def test_a_file_with_damage_is_refused(mixed_file, tmp_path, change):
    """A file that ends inside a record, or has a changed byte, is an error."""
    broken = tmp_path / "events.tfevents"
    broken.write_bytes(change(mixed_file.read_bytes()))
    with pytest.raises(AssertionError, match="bytes"):
        read_scalars(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "logged"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "steps"),
        (lambda rows: [*rows[:3], (3, {"loss": 9.0}), *rows[4:]], "values"),
        (lambda rows: [*rows, (0, {"other": 1.0})], "other tags"),
    ],
)
def test_check_finds_what_is_lost_changed_or_out_of_order(tmp_path, change, message):
    """A lost, moved, changed or foreign scalar fails the comparison."""
    values = _data.array(20)
    rows = [(step, {"loss": value}) for step, value in enumerate(values)]
    write_with_tensorboard(tmp_path / "good", rows)
    assert _check.scalars(tmp_path / "good", {"loss": values}) == 20
    write_with_tensorboard(tmp_path / "bad", change(rows))
    with pytest.raises(AssertionError, match=message):
        _check.scalars(tmp_path / "bad", {"loss": values})


def test_counts_of_a_histogram_are_compared_one_by_one():
    """Torch's histogram passes the comparison with numpy's counts; with one count moved, it fails."""
    from torch.utils.tensorboard.summary import make_histogram

    array = _data.array(10_000)
    histogram = make_histogram(array, _check.tensorflow_edges())
    _check.counts(histogram, array)
    _check.moments(histogram, array)
    fullest = int(np.argmax(histogram.bucket))
    histogram.bucket[fullest] -= 1
    histogram.bucket[fullest + 1] += 1
    with pytest.raises(AssertionError, match="numpy counts"):
        _check.counts(histogram, array)


@pytest.mark.parametrize("number", numbers())
def test_question_keeps_its_rows_where_its_trials_failed(number):
    """A question whose trials all failed has the same rows as an answered one, without figures."""
    asked = question(number)
    trials = asked.trials(Plan(True, PREPARED))
    assert trials
    assert asked.number == number
    rows = asked.rows(Results({trial.key: [None] for trial in trials}, PREPARED))
    assert rows
    assert all(row.figure is None and row.met() is None for row in rows)


def test_question_whose_preparation_failed_keeps_its_rows(monkeypatch):
    """If the preparation fails, the failure and the rows are in the result, and the other questions run."""

    def fail(*_):
        raise _runner.TrialError("no torch")

    monkeypatch.setattr(_runner, "_in_a_process", fail)
    answers = list(_runner.run([question(3), question(12)], repeats=2, quick=True))
    assert len(answers) == 2
    for answer in answers:
        assert answer.failures == [("preparation", "no torch")]
        assert answer.rows
        assert all(row.figure is None for row in answer.rows)


@pytest.mark.parametrize("number", numbers())
def test_quick_mode_asks_a_part_of_the_full_one(number):
    """Each writer in the quick mode is also in the full one."""
    quick, full = (question(number).trials(Plan(mode, PREPARED)) for mode in (True, False))
    assert {trial.writer for trial in quick} <= {trial.writer for trial in full}
    assert len({trial.key for trial in full}) == len(full)


def test_twelve_questions_have_their_peers():
    """Questions 1 to 12 exist, and each includes tblog."""
    assert set(range(1, 13)) <= set(numbers())
    for number in numbers():
        assert "tblog" in {peer.name for peer in peers_of(number, quick=True)}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1 / 150, "fraction", "1/150"),
        (0.75, "fraction", "x0.750"),
        (1.034, "factor", "x1.034"),
        (49.37, "bytes", "49.4 bytes"),
        (100.0, "count", "100"),
    ],
)
def test_figures_are_shown_as_the_targets_are(value, unit, shown):
    """A fraction is shown like its target, and other figures have a unit."""
    assert show(value, unit) == shown


@pytest.fixture
def losing_result():
    """A run with one target met, one missed and one not measured."""
    rows = [
        Row("a", "at most 1/10", Figure(0.05, 0.04, 0.06), 0.1, 1.0, "fraction", "1 us; 20 us"),
        Row("b", "at most 1/10", Figure(0.5, 0.4, 0.6), 0.1, 1.0, "fraction"),
        Row("c", "at most 2 ms", None, 2.0, 9.0, "ms", "no such machine"),
    ]
    stored = Stored(
        1, "name", "What?", {"tblog": {"events": 3}}, Results({}, {}), rows, [("torch", "it | failed")], 3
    )
    machine = dict.fromkeys(("date", "processor", "python", "torch", "tensorboardX"), "some")
    return ResultFile(machine, 5, False, [stored])


def test_table_keeps_the_rows_that_are_lost(losing_result):
    """The Markdown table keeps a missed target and a row without a figure, in order."""
    lines = _table.for_markdown(losing_result).splitlines()
    verdicts = [line.split("|")[6].strip() for line in lines[2:]]
    assert verdicts == ["yes", "**no**", "not run"]
    assert any("it | failed" in note for note in _table.notes(losing_result))


def test_result_file_comes_back_as_it_was_written(losing_result, tmp_path):
    """Writing and reading a result file gives the same table."""
    losing_result.write(tmp_path / "result.json")
    again = ResultFile.read(tmp_path / "result.json")
    assert _table.for_markdown(again) == _table.for_markdown(losing_result)
    assert _table.notes(again) == _table.notes(losing_result)


def test_report_replaces_what_stands_between_the_marks(losing_result, tmp_path):
    """The table and the few figures are generated again; the text around them stays."""
    losing_result.write(tmp_path / "results" / "result.json")
    page, readme = tmp_path / "page.md", tmp_path / "README.md"
    for text in (page, readme):
        text.write_text("before\n<!-- benchmarks:begin -->\nold\n<!-- benchmarks:end -->\nafter\n")
    arguments = [str(tmp_path / "results" / "result.json"), "--page", str(page), "--readme", str(readme)]
    assert report.main(arguments) == 0
    first, few = page.read_text(), readme.read_text()
    for text in (first, few):
        assert text.startswith("before\n")
        assert text.endswith("\nafter\n")
        assert "old" not in text
    assert "**no**" in first
    assert "results/readme.png" in first
    assert "| tblog | torch | tensorboardX |" in few
    assert (tmp_path / "results" / "readme.png").exists()
    report.main(arguments)
    assert (page.read_text(), readme.read_text()) == (first, few)


def test_the_few_figures_mark_the_best_of_each_line_whoever_it_is():
    """A line that tblog loses stays, and marks the winner."""
    samples = {
        "tblog": {"mean": 1e-6, "longest": 0.013},
        "torch": {"mean": 4e-5, "longest": 0.004},
        "tensorboardX": {"mean": 6e-5, "longest": 0.005},
    }
    results = Results({writer: [sample] for writer, sample in samples.items()}, {})
    question = Stored(1, "scalar_call", "", {}, results, [], [], 0)
    machine = dict.fromkeys(("processor", "python", "torch", "date"), "some")
    few = _few.for_markdown(ResultFile(machine, 1, False, [question]))
    assert "| **1 us** | 40 us | 60 us |" in few
    assert "| 13 ms | **4 ms** | 5 ms |" in few


def test_report_asks_for_the_marks(losing_result, tmp_path):
    """A README without the marks is left alone, and the error names them."""
    readme = tmp_path / "README.md"
    readme.write_text("nothing")
    with pytest.raises(ValueError, match="benchmarks:begin"):
        report.put_into(readme, report.section(losing_result, "picture.png"))
    assert readme.read_text() == "nothing"


@pytest.mark.slow
def test_quick_run_of_two_questions_passes(tmp_path, capsys):
    """The cost of calls and the bytes on disk: all records are read back equal, and the sizes are within their limits."""
    assert main(["1", "10", "--quick", "--results", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.json")
    kept = json.loads(path.read_text())
    assert [stored["number"] for stored in kept["questions"]] == [1, 10]
    assert all(stored["read_back"] > 0 and not stored["failures"] for stored in kept["questions"])
    assert kept["machine"]["date"]
    assert len(list(path.with_suffix("").glob("*.png"))) == 2
    assert "physical limit" in capsys.readouterr().out


@pytest.mark.parametrize("error", [AssertionError("values differ"), KeyError("no such tag")])
def test_trial_that_logs_something_else_fails_the_run(tmp_path, monkeypatch, error):
    """Records that are missing or differ are a failure, not a figure."""

    def differ(_trial, _logdir):
        raise error

    asked = question(10)
    monkeypatch.setattr("benchmarks.__main__.question", lambda _: replace(asked, check=differ))
    monkeypatch.setattr(_runner, "_in_a_process", lambda *_: {"bytes": 1.0})
    assert main(["10", "--quick", "--results", str(tmp_path)]) == 1
    (path,) = tmp_path.glob("*.json")
    (stored,) = json.loads(path.read_text())["questions"]
    assert {message for _, message in stored["failures"]} == {f"read back: {type(error).__name__}: {error}"}
    assert all(row["figure"] is None for row in stored["rows"])
