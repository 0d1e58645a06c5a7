"""The command's in-place edits, killed at each operation on a file."""

from __future__ import annotations

import pytest

import tblog as package
from tblog._cli.main import main
from tests.faults.killing import all_records, killed_at, log_steps, readable, tear
from tests.reading import event_files
from tests.slow import slow_but

EDITS = {
    "rename": ["rename", "{}", "loss", "lost", "--in-place"],
    "drop steps": ["drop", "{}", "--steps", "5:", "--in-place"],
    "drop a run": ["drop", "{}", "--run", "*", "--in-place"],
    "thin": ["thin", "{}", "4", "--in-place"],
}


@pytest.mark.parametrize("edit", slow_but(["rename"], EDITS))
def test_an_edit_in_place_killed_at_any_operation_on_a_file_loses_nothing(tmp_path, edit):
    """Each file is either the old or the new one, all old records remain, and the next attempt completes the edit."""
    expected = tmp_path / "expected"
    log_steps(expected, range(10))
    command = [part.replace("{}", str(expected)) for part in EDITS[edit]]
    assert main(command) == 0
    after = {folder: [*map(len, map(readable, event_files(expected / folder)))] for folder in (".", "pair_a")}
    operation, came_so_far = 0, True
    while came_so_far:
        logdir = tmp_path / f"run{operation}"
        log_steps(logdir, range(10))
        before = {folder: all_records(logdir / folder) for folder in (".", "pair_a")}
        command = [part.replace("{}", str(logdir)) for part in EDITS[edit]]
        came_so_far = killed_at(operation, lambda: main(command))  # noqa: B023
        for folder, old in before.items():
            assert {*all_records(logdir / folder)} >= {*old}
            for path in event_files(logdir / folder):
                assert readable(path) == old or len(readable(path)) == after[folder][0]
        main(command)
        for folder, old in before.items():
            assert [*map(len, map(readable, event_files(logdir / folder)))] == after[folder]
            assert {*all_records(logdir / folder)} >= {*old}
        operation += 1
    assert operation > 6


def test_a_new_log_directory_is_complete_or_not_there(tmp_path):
    """A killed command leaves the source unchanged, and does not hinder the next one."""
    log_steps(tmp_path / "runs", range(10))
    (path,) = event_files(tmp_path / "runs")
    tear(path)
    before = path.read_bytes()
    operation, came_so_far = 0, True
    while came_so_far:
        new = tmp_path / f"new{operation}"
        command = ["rename", str(tmp_path / "runs"), "loss", "lost", "-o", str(new)]
        came_so_far = killed_at(operation, lambda: main(command))  # noqa: B023
        assert path.read_bytes() == before
        if came_so_far and not new.exists():
            assert main(command) == 0
        assert package.read(new, tag="lost").scalars.step.tolist() == [*range(10)]
        operation += 1
    assert operation > 6
