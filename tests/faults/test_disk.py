"""Real disks that are full, small, removed, read-only, broken or slow, while a program logs to them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tblog import SummaryWriter
from tblog._files.event_file import LOOK_SECS
from tests.faults.disks import happen, namespace
from tests.faults.remains import on_disk
from tests.reading import event_files, points

needs_mounts = pytest.mark.skipif(namespace() is None, reason="needs a mount namespace: unshare --mount")
needs_loops = pytest.mark.skipif(
    namespace(loop=True) is None, reason="needs to mount a file of its own: root, and mkfs.ext4"
)


def told_of(seen, words):
    """Return how many of the messages contain these words."""
    return sum(words in message for message in seen["told"])


@needs_mounts
def test_a_disk_that_was_full_holds_everything_afterwards(tmp_path):
    """Calls succeed, one message reports the error and one its end, and the file is whole."""
    seen = happen("full disk", "tblog", tmp_path)
    assert seen["raised"] == 0
    assert seen["stats"]["written"] == seen["calls"]
    found = on_disk(tmp_path / "run")
    assert (found.points, found.torn, found.damaged) == (seen["calls"], 0, 0)
    assert told_of(seen, "No space left on device") == 1
    assert told_of(seen, "writes to") == 1


@needs_mounts
def test_a_disk_that_stays_full_leaves_a_whole_file_and_exact_counts(tmp_path):
    """Written and dropped add up to what was logged, all written records are in the file, and memory is bounded."""
    seen = happen("full disk for good", "tblog", tmp_path)
    assert seen["raised"] == 0
    assert seen["stats"]["written"] + seen["stats"]["dropped"] == seen["calls"]
    found = on_disk(tmp_path / "run")
    assert (found.points, found.torn, found.damaged) == (seen["stats"]["written"], 0, 0)
    assert told_of(seen, "No space left on device, and") + told_of(seen, "records were lost") >= 1
    assert seen["grown_kb"] < 64_000


@needs_mounts
def test_a_limit_on_the_size_of_files_leads_to_several_files(tmp_path):
    """Nothing is lost, and each file is whole."""
    seen = happen("file-size limit", "tblog", tmp_path)
    found = on_disk(tmp_path / "run")
    assert (found.points, found.torn, found.damaged) == (seen["calls"], 0, 0)
    assert len(list((tmp_path / "run").iterdir())) > 5
    assert all(path.stat().st_size <= 100_000 for path in (tmp_path / "run").iterdir())


@needs_mounts
def test_a_directory_that_was_removed_is_made_anew(tmp_path):
    """Records logged after the removal are in a new file there."""
    seen = happen("directory removed", "tblog", tmp_path)
    assert len(points(tmp_path / "run")["x"]) == seen["calls"] == 1000
    assert told_of(seen, "was removed") == 1


@needs_loops
@pytest.mark.parametrize(
    ("fault", "error"),
    [("read-only remount", "Read-only file system"), ("failing disk", "Input/output error")],
)
def test_a_file_system_that_died_and_was_mounted_again_holds_everything(tmp_path, fault, error):
    """Waiting records are appended to what is left on the disk, or go to a new file if the old one has changed."""
    seen = happen(fault, "tblog", tmp_path)
    assert seen["raised"] == 0
    assert told_of(seen, error) == 1
    found = on_disk(tmp_path / "run")
    assert (found.points, found.torn, found.damaged) == (seen["calls"], 0, 0)


@needs_loops
def test_a_write_that_does_not_return_for_a_while_holds_nobody_up(tmp_path):
    """Twenty thousand calls return while the disk is frozen, and all their records are in the file afterwards."""
    seen = happen("frozen disk", "tblog", tmp_path, secs=1.0)
    found = on_disk(tmp_path / "run")
    assert (found.points, found.torn, found.damaged) == (seen["calls"], 0, 0)
    assert seen["calls"] == 21_010
    assert seen["longest"] < 1.0


@needs_loops
def test_a_run_that_begins_in_an_unwritable_directory_is_written_when_it_is_writable(tmp_path):
    """The open file is written meanwhile, and no call raises."""
    seen = happen("unwritable directory", "tblog", tmp_path)
    assert seen["raised"] == 0
    assert told_of(seen, "Operation not permitted") == 1
    found = on_disk(tmp_path / "run")
    assert found.counts == seen["expected"]
    assert (found.torn, found.damaged) == (0, 0)


def test_a_file_in_the_place_of_the_directory_for_a_while_costs_nothing(tmp_path):
    """Runs below and embeddings wait, as the writer's own run does."""
    logdir = tmp_path / "run"
    writer = SummaryWriter(logdir)
    writer.add_scalars("pair", {"a": 0}, 0)
    writer.flush()
    logdir.rename(tmp_path / "moved")
    logdir.touch()
    time.sleep(LOOK_SECS)
    writer.add_scalar("x", 1, 1)
    writer.add_scalars("pair", {"a": 1, "new": 1}, 1)
    writer.add_embedding(np.eye(3))
    writer.flush()
    assert writer.stats.failed == 0
    logdir.unlink()
    writer.close()
    assert (writer.stats.written, writer.stats.dropped) == (5, 0)
    assert points(logdir) == {"x": [(1, 1.0)]}
    assert points(logdir / "pair_a") == points(logdir / "pair_new") == {"pair": [(1, 1.0)]}
    assert (logdir / "projector_config.pbtxt").exists()


@pytest.mark.parametrize(
    "change", [lambda file: file.truncate(30), lambda file: file.seek(0, 2) and file.write(b"x")]
)
def test_nothing_is_written_behind_what_somebody_else_did_to_a_file(tmp_path, change, caplog):
    """No reader could read past the change, so the run continues in a new file."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 0, 0)
        writer.flush()
        (path,) = event_files(tmp_path)
        with open(path, "r+b") as file:
            change(file)
        time.sleep(LOOK_SECS)
        for step in range(1, 10):
            writer.add_scalar("x", step, step)
            writer.flush()
    assert [step for step, _ in points(tmp_path)["x"]][-9:] == [*range(1, 10)]
    assert len(event_files(tmp_path)) == 2
    assert caplog.text.count("logging goes on in") == 1
