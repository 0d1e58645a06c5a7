"""One event file on an in-memory disk: nothing ever follows a torn record, and everything counted is in the file."""

from __future__ import annotations

import errno
import os

import pytest

from tblog._files.event_file import LOOK_SECS, STALE_TRIES, EventFile
from tblog._files.sinks import LocalSink
from tblog._files.unsynced import Unsynced
from tblog._wire import events, framing
from tests.sinks import MemorySink, event_record

RECORD_BYTES = len(event_record(1))


@pytest.fixture
def file(disk, clock, tmp_path):
    """Return an event file on that disk, not yet created."""
    return EventFile(str(tmp_path), clock=clock, open_sink=disk.open)


def test_records_follow_the_version_in_the_order_in_which_they_were_appended(file, disk, tmp_path):
    """The file is created by the first write."""
    assert file.path == ""
    file.append(event_record(1) + event_record(2), 2)
    file.append(event_record(3), 1)
    file.write()
    assert disk.steps(file.path, tmp_path) == [1, 2, 3]
    assert (file.handed_records, file.waiting_records) == (3, 0)
    assert file.handed_bytes == file.size == len(disk.files[file.path])


@pytest.mark.parametrize("taken", range(RECORD_BYTES * 3 + 1))
def test_a_full_disk_tears_a_record_anywhere_and_the_next_write_finishes_it(file, disk, tmp_path, taken):
    """Nothing is written between the two halves, and only whole records count."""
    file.open()
    file.write()
    disk.room = taken
    file.append(b"".join(map(event_record, (1, 2, 3))), 3)
    if taken < RECORD_BYTES * 3:
        with pytest.raises(OSError, match="No space"):
            file.write()
    else:
        file.write()
    assert file.handed_records == taken // RECORD_BYTES
    disk.room = 1 << 20
    file.append(event_record(4), 1)
    file.write()
    assert disk.steps(file.path, tmp_path) == [1, 2, 3, 4]
    assert (file.handed_records, len(disk.files)) == (4, 1)


@pytest.mark.parametrize("taken", [1, RECORD_BYTES - 1, RECORD_BYTES + 1])
def test_a_torn_record_is_cut_off_when_it_is_given_up(file, disk, tmp_path, taken):
    """The file ends with the last whole record, and the rest is returned as dropped."""
    file.open()
    file.write()
    disk.room = taken
    file.append(event_record(1) + event_record(2), 2)
    with pytest.raises(OSError, match="No space"):
        file.write()
    whole = taken // RECORD_BYTES
    assert file.give_up() == 2 - whole
    assert disk.steps(file.path, tmp_path) == [1, 2][:whole]


def test_a_file_that_someone_removed_is_left_for_a_new_one(file, disk, clock, tmp_path):
    """The next look, after `LOOK_SECS` on the injected clock, finds that out."""
    file.append(event_record(1), 1)
    file.write()
    first = file.path
    del disk.files[first]
    clock.turn(LOOK_SECS)
    file.append(event_record(2), 1)
    file.write()
    assert file.path != first
    assert disk.steps(file.path, tmp_path) == [2]


def test_a_file_is_not_looked_at_before_it_is_time(file, disk, clock, monkeypatch):
    """A look costs a system call, so there is at most one a second."""
    looks = []
    file.append(event_record(1), 1)
    file.write()
    monkeypatch.setattr("tests.sinks.MemorySink.is_intact", lambda *_: looks.append(1) or True)
    for _ in range(10):
        file.append(event_record(2), 1)
        file.write()
    assert looks == []
    clock.turn(LOOK_SECS)
    file.append(event_record(3), 1)
    file.write()
    assert looks == [1]
    assert len(disk.files) == 1


def test_a_file_that_may_grow_no_more_is_left_for_a_new_one(file, disk, tmp_path):
    """What it refuses goes to the next file."""
    file.append(event_record(1), 1)
    file.write()
    first, disk.error = file.path, errno.EFBIG
    file.append(event_record(2), 1)
    with pytest.raises(OSError, match="File too large"):  # the new one refuses, too
        file.write()
    disk.error = 0
    file.write()
    assert (disk.steps(first, tmp_path), disk.steps(file.path, tmp_path)) == ([1], [2])


def test_a_sync_waits_for_the_disk_once(file, disk):
    """A second sync without new data does nothing."""
    file.append(event_record(1), 1)
    file.sync()
    file.sync()
    assert disk.syncs == [file.path]


def test_a_handle_that_was_given_back_is_opened_again_to_append(file, disk, tmp_path):
    """A run that is rarely logged to holds no handle in between."""
    file.append(event_record(1), 1)
    file.write()
    file.release()
    assert not file.is_open
    file.append(event_record(2), 1)
    file.write()
    assert disk.steps(file.path, tmp_path) == [1, 2]
    assert len(disk.files) == 1


def test_a_close_syncs_and_gives_the_handle_back(file, disk):
    """Everything is then on the disk."""
    file.append(event_record(1), 1)
    file.close()
    assert (disk.syncs, disk.closed, file.is_open) == ([file.path], [file.path], False)


def test_what_a_sync_refuses_is_written_again_to_the_same_place(file, disk, tmp_path):
    """A network file system may refuse bytes long after it accepted them, and then they are gone."""
    file.append(event_record(1), 1)
    file.sync()
    file.append(event_record(2), 1)
    disk.late_errors = [errno.ENOSPC, errno.EIO]
    for error in ("No space", "Input/output"):
        with pytest.raises(OSError, match=error):
            file.sync()
        assert disk.steps(file.path, tmp_path) == [1]
    file.append(event_record(3), 1)
    file.write()
    assert disk.steps(file.path, tmp_path) == [1, 2, 3]
    assert (file.handed_records, len(disk.files), file.size) == (3, 1, len(disk.files[file.path]))


def test_what_is_refused_as_a_handle_is_given_back_is_written_again(file, disk, tmp_path):
    """A network file system sends its buffer when a handle is closed, and reports a refusal then."""
    file.append(event_record(1), 1)
    file.write()
    disk.late_errors = [errno.EDQUOT]
    file.release()
    assert len(disk.files[file.path]) == 0
    file.append(event_record(2), 1)
    file.write()
    assert disk.steps(file.path, tmp_path) == [1, 2]
    assert len(disk.files) == 1


def test_an_error_of_the_last_sync_costs_nothing_where_the_next_one_takes_it(file, disk, tmp_path):
    """A close tries twice."""
    file.append(event_record(1), 1)
    disk.late_errors = [errno.EIO]
    file.close()
    assert disk.steps(file.path, tmp_path) == [1]


def test_what_the_storage_never_takes_counts_as_written_no_more(file, disk, tmp_path):
    """It was handed over, but nobody has it."""
    file.append(event_record(1), 1)
    file.sync()
    file.append(event_record(2), 1)
    disk.late_errors = [errno.ENOSPC] * 4
    with pytest.raises(OSError, match="No space"):
        file.close()
    assert file.give_up() + file.give_up_unconfirmed() == 1
    assert disk.steps(file.path, tmp_path) == [1]
    assert file.handed_records == 1


def test_a_file_with_a_gap_that_cannot_be_filled_is_left(file, disk, tmp_path, monkeypatch):
    """More was written since the last sync than is kept: that is counted, and later records go to a new file."""
    monkeypatch.setattr("tblog._files.unsynced.MAX_BYTES", RECORD_BYTES)
    file.append(event_record(1) + event_record(2), 2)
    disk.late_errors = [errno.ENOSPC]
    with pytest.raises(OSError, match="No space"):
        file.sync()
    first = file.path
    file.append(event_record(3), 1)
    file.write()
    assert file.path != first
    assert disk.steps(file.path, tmp_path) == [3]
    assert (file.take_lost(), file.take_lost(), file.handed_records) == (2, 0, 1)


def test_what_was_lost_of_a_file_that_is_left_counts_as_lost_whoever_finds_out(file, disk, monkeypatch):
    """More was written than is kept, and the storage lost it as the handle was closed; a recovery opens the file first."""
    monkeypatch.setattr("tblog._files.unsynced.MAX_BYTES", RECORD_BYTES)
    file.append(event_record(1) + event_record(2), 2)
    file.write()
    disk.late_errors = [errno.EIO]
    file.release()
    file.open()
    assert (file.take_lost(), file.handed_records, len(disk.files)) == (2, 0, 2)


def test_a_file_that_may_grow_no_more_is_synced_before_it_is_left(file, disk, tmp_path):
    """Nobody looks at it afterwards: what the storage still refuses of it counts as lost."""
    file.append(event_record(1), 1)
    file.write()
    first, disk.error = file.path, errno.EFBIG
    file.append(event_record(2), 1)
    disk.late_errors = [errno.ENOSPC]
    with pytest.raises(OSError, match="File too large"):
        file.write()
    assert (disk.files[first], file.take_lost(), file.handed_records) == (b"", 1, 0)
    disk.error = 0
    file.write()
    second, disk.error = file.path, errno.EFBIG
    file.append(event_record(3), 1)
    with pytest.raises(OSError, match="File too large"):
        file.write()
    assert (disk.steps(second, tmp_path), file.take_lost(), disk.syncs) == ([2], 0, [second])


@pytest.mark.parametrize("error", [TimeoutError("too long"), KeyboardInterrupt()])
def test_what_is_kept_never_changes_even_if_a_signal_handler_ends_a_write(
    file, disk, tmp_path, monkeypatch, error
):
    """Where no thread can be started, writes are in calls of the main thread, and a handler may raise there."""
    add = Unsynced.add

    monkeypatch.setattr("tblog._files.unsynced.JOINED_BYTES", 0)

    def add_and_raise(kept, written, size):
        add(kept, written, size)
        if len(disk.files[file.path]) > 100:
            monkeypatch.setattr(Unsynced, "add", add)
            raise error

    monkeypatch.setattr(Unsynced, "add", add_and_raise)
    for step in range(1, 5):
        file.append(event_record(step), 1)
        try:
            file.write()
        except (TimeoutError, KeyboardInterrupt):
            continue
    assert Unsynced.add is add
    disk.late_errors = [errno.EIO]
    with pytest.raises(OSError, match="Input/output"):
        file.sync()
    file.append(event_record(5), 1)
    file.sync()
    assert disk.steps(file.path, tmp_path) == [1, 2, 3, 4, 5]
    assert (file.handed_records, len(disk.files)) == (5, 1)


def test_a_record_that_fits_no_file_and_cannot_be_cut_off_is_refused_once(file, disk, monkeypatch):
    """No file after the other is filled with the beginning of it."""
    write = MemorySink.write

    def small(sink, data):
        room = 100 - len(disk.files[sink.path])
        if not room:
            raise OSError(errno.EFBIG, "File too large")
        return write(sink, data[:room])

    def refuse(sink, size):
        raise OSError(errno.EIO, f"cannot cut {sink.path} to {size}")

    monkeypatch.setattr(MemorySink, "write", small)
    monkeypatch.setattr(MemorySink, "cut", refuse)
    file.append(framing.frame(events.head(1.0, 1) + bytes(200)), 1)
    with pytest.raises(OSError, match="File too large"):
        file.write()
    assert len(disk.files) == 1
    assert file.give_up_first() == 1


def test_what_was_taken_before_a_refusal_is_synced_although_the_rest_is_given_up(file, disk, tmp_path):
    """The last records of a run on a full disk are dropped. The ones before must not follow them."""
    file.append(event_record(1), 1)
    file.write()
    disk.room = 0
    file.append(event_record(2), 1)
    with pytest.raises(OSError, match="No space"):
        file.close()
    disk.late_errors = [errno.EIO]
    assert file.give_up() + file.give_up_unconfirmed() == 1
    assert (disk.steps(file.path, tmp_path), file.handed_records) == ([1], 1)
    assert disk.syncs == [file.path]


def test_a_file_that_lost_its_end_is_not_made_longer_by_a_cut(tmp_path):
    """It would end with zeros."""
    path = tmp_path / "file"
    sink = LocalSink(str(path), create=True)
    sink.write(bytearray(b"abcdef"))
    os.truncate(path, 2)
    sink.cut(4)
    assert path.read_bytes() == b"ab"
    sink.cut(1)
    assert path.read_bytes() == b"a"
    sink.close()


def test_a_stale_handle_is_exchanged_for_a_new_one_at_once(file, disk, tmp_path, monkeypatch):
    """The network file system's server forgot the handle, but knows the file by its name."""
    file.append(event_record(1), 1)
    file.write()
    errors = [errno.ESTALE] * (STALE_TRIES - 1)
    write = MemorySink.write

    def stale(sink: MemorySink, data: bytearray) -> int:
        if errors:
            raise OSError(errors.pop(), "stale")
        return write(sink, data)

    monkeypatch.setattr(MemorySink, "write", stale)
    file.append(event_record(2), 1)
    file.write()
    assert disk.steps(file.path, tmp_path) == [1, 2]
    assert len(disk.files) == 1
