"""Directories that the reader cannot list are named, and the runs beside them are read."""

from __future__ import annotations

import os

import pytest

import tblog
from tests.reading import event_files
from tests.rights import enter, no_rights


@pytest.fixture
def two_runs(tmp_path, monkeypatch):
    """Enter a directory with a log directory of two runs, `runs/open` and `runs/closed`, which its user may enter."""
    for name in ("open", "closed"):
        with tblog.SummaryWriter(tmp_path / "runs" / name) as writer:
            writer.add_scalar("loss", 0.5, 1)
    enter(tmp_path, monkeypatch)
    return tmp_path / "runs"


def told(caplog):
    """Return the warnings, and forget them."""
    lines = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return lines


@pytest.fixture
def closed(two_runs):
    """Close one of the runs, and be a user whom this stops."""
    folder = two_runs / "closed"
    folder.chmod(0)
    with no_rights():
        yield
    folder.chmod(0o755)


@pytest.mark.usefixtures("closed")
def test_a_directory_that_cannot_be_listed_is_told_once(caplog):
    """Also one that a pattern finds; the other run is read."""
    runs = tblog.read("runs")
    assert list(runs) == ["open"]
    (line,) = told(caplog)
    assert line.startswith("tblog: runs/closed: Permission denied; what is in it is left out.")
    assert list(runs.refresh()) == list(runs.filter(tag="loss")) == ["open"]
    assert told(caplog) == []
    assert list(tblog.read("run[s]")) == ["runs/open"]
    assert len(told(caplog)) == 1


@pytest.mark.parametrize("mode", [0, 0o444], ids=["closed", "may not be entered"])
@pytest.mark.parametrize(
    "pattern",
    ["runs/*/*", "runs/*/seed*", "runs/**/seed1", "run?/*/seed1", "runs/**", "runs/*/seed1/events*"],
)
def test_a_directory_on_the_way_of_a_pattern_is_told(two_runs, caplog, pattern, mode):
    """What it hides may match, whichever part of the pattern leads into it; the other runs are read."""
    for name in ("open", "closed"):
        with tblog.SummaryWriter(two_runs / name / "seed1") as writer:
            writer.add_scalar("loss", 0.5, 1)
    (two_runs / "closed").chmod(mode)
    with no_rights():
        runs = tblog.read(pattern)
        lines = told(caplog)
        assert (
            [name for name in runs if "seed1" in name]
            == [name for name in runs if "open/seed1" in name]
            != []
        )
        assert any("runs/closed: Permission denied; what is in it is left out." in line for line in lines)
        assert len(lines) == len(set(lines))
        runs.refresh()
        assert told(caplog) == []
    (two_runs / "closed").chmod(0o755)
    assert any(name.endswith("closed/seed1") for name in runs.refresh())


@pytest.mark.parametrize("place", ["runs/closed", "runs/*", "runs/closed/*", "runs/c*/events*"])
def test_a_place_in_a_closed_directory_is_told_instead_of_missed(two_runs, caplog, place):
    """Nobody can say that there is nothing: it has no runs yet, and a refresh finds them."""
    two_runs.chmod(0)
    with no_rights():
        runs = tblog.read(place)
        assert list(runs) == []
        (line,) = told(caplog)
        assert line.startswith("tblog: runs: Permission denied")
    two_runs.chmod(0o755)
    assert len(runs.refresh().scalars)
    with pytest.raises(FileNotFoundError, match="nothing matches"):
        tblog.read("runs/nothing*")
    with pytest.raises(FileNotFoundError, match="there is nothing at"):
        tblog.read("runs/nothing")


@pytest.mark.usefixtures("two_runs")
def test_a_run_that_can_be_listed_again_is_found_by_refresh(caplog, monkeypatch):
    """Whatever the error was; a directory that is removed while it is looked for needs no warning."""
    walk = os.walk
    errors = [
        PermissionError(13, "Permission denied", "runs/closed"),
        FileNotFoundError(2, "No", "runs/gone"),
    ]

    def refusing(top, onerror, **options):
        for error in errors:
            onerror(error)
        for here, below, names in walk(top, **options):
            below[:] = [name for name in below if name != "closed" or not errors]
            yield here, below, names

    monkeypatch.setattr(os, "walk", refusing)
    runs = tblog.read("runs")
    assert list(runs) == ["open"]
    assert len(told(caplog)) == 1
    errors.clear()
    assert list(runs.refresh()) == ["closed", "open"]


@pytest.mark.parametrize("level", ["listed", "listed/closed"])
def test_a_directory_of_a_store_that_cannot_be_listed_is_told(two_runs, caplog, monkeypatch, request, level):
    """At every level."""
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    for name in ("open", "closed"):
        (path,) = event_files(two_runs / name)
        files.pipe(f"/listed/{name}/{path.name}", path.read_bytes())
    request.addfinalizer(lambda: files.rm("/listed", recursive=True))
    ls = type(files).ls

    def refusing(self, path, **options):
        if path.strip("/") == level:
            raise PermissionError(f"AccessDenied: {path}")
        return ls(self, path, **options)

    monkeypatch.setattr(type(files), "ls", refusing)
    runs = tblog.read("memory://listed")
    assert list(runs) == ([] if level == "listed" else ["open"])
    (line,) = told(caplog)
    assert f"/{level}: AccessDenied" in line
    monkeypatch.undo()
    assert list(runs.refresh()) == ["closed", "open"]


@pytest.mark.usefixtures("two_runs")
def test_runs_of_a_relative_pattern_are_named_by_what_it_matches():
    """Also if its first part is a pattern: what lies above the working directory is in no name."""
    assert list(tblog.read("run[s]")) == ["runs/closed", "runs/open"]
    assert list(tblog.read("run*/open")) == ["runs/open"]
    assert list(tblog.read("./run*/open")) == ["runs/open"]
    assert list(tblog.read("runs/op*")) == ["open"]
