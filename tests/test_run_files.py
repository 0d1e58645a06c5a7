"""A writer's files on an in-memory disk: where each run's bytes go, and what is reported when they cannot."""

from __future__ import annotations

import errno
import os

import pytest

from tblog._files.run_files import RunFiles
from tblog._reports import Reports
from tests.sinks import Clock, event_record


@pytest.fixture
def files(disk, tmp_path):
    """Return the files of a log directory, none of them created."""
    return RunFiles(str(tmp_path), "", None, Reports(str(tmp_path)), Clock(), disk.open)


def test_each_run_has_a_file_of_its_own(files, disk, tmp_path):
    """They are in directories below the writer's own, and are counted together."""
    for run, step in (("", 1), ("a", 2), (os.path.join("b", "c"), 3), ("a", 4)):
        files.append(run, event_record(step), 1)
    files.write()
    assert disk.steps(files.path(""), tmp_path) == [1]
    assert disk.steps(files.path("a"), tmp_path) == [2, 4]
    assert disk.steps(files.path(os.path.join("b", "c")), tmp_path) == [3]
    assert files.path("never") == ""
    assert files.written == 4
    assert files.bytes_written == sum(map(len, disk.files.values()))


def test_one_run_whose_storage_refuses_does_not_hold_up_the_others(disk, tmp_path):
    """Its records wait, and are written once it accepts them again."""
    broken = []
    write = disk.open

    def refuse(path, *, create):
        if broken and "a" in os.path.relpath(path, tmp_path).split(os.sep):
            raise OSError(errno.EIO, "Input/output error")
        return write(path, create=create)

    files = RunFiles(str(tmp_path), "", None, Reports(str(tmp_path)), Clock(), refuse)
    broken.append(1)
    for run in ("a", "", "b"):
        files.append(run, event_record(1), 1)
    with pytest.raises(OSError, match="Input/output"):
        files.write()
    assert (files.written, files.waiting) == (2, 1)
    broken.clear()
    files.write()
    assert (files.written, files.waiting) == (3, 0)
    assert disk.steps(files.path("a"), tmp_path) == [1]


def test_a_run_whose_name_can_never_be_written_is_counted_as_failed_and_reported_once(
    files, disk, tmp_path, caplog
):
    """The other runs continue."""
    name = "x" * 300
    for step in range(3):
        files.append(name, event_record(step), 1)
        files.append("", event_record(step), 1)
        files.write()
    assert (files.written, files.waiting) == (3, 0)
    assert (
        len([each for each in caplog.records if "cannot write records of the run" in each.getMessage()]) == 1
    )
    assert disk.steps(files.path(""), tmp_path) == [0, 1, 2]


def test_a_sync_reaches_every_run(files, disk):
    """This includes runs that were written earlier."""
    files.append("a", event_record(1), 1)
    files.write()
    files.append("b", event_record(1), 1)
    files.sync()
    assert sorted(disk.syncs) == sorted([files.path("a"), files.path("b")])


def test_a_close_says_how_many_records_were_lost_and_why(files, disk):
    """What the disk accepted stays, and no file ends with a torn record."""
    files.append("", event_record(1), 1)
    files.write()
    disk.room = 5
    files.append("", event_record(2), 1)
    files.append("a", event_record(3), 1)
    lost, error = files.close()
    assert lost == 2
    assert error.errno == errno.ENOSPC
    assert disk.files[files.path("")].endswith(event_record(1))


def test_a_recovery_writes_what_waited(files, disk, tmp_path):
    """In order, once."""
    files.append("", event_record(1), 1)
    files.write()
    disk.error = errno.EIO
    files.append("", event_record(2), 1)
    with pytest.raises(OSError, match="Input/output"):
        files.write()
    with pytest.raises(OSError, match="Input/output"):
        files.recover()
    disk.error = 0
    files.recover()
    assert disk.steps(files.path(""), tmp_path) == [1, 2]
