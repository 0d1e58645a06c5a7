"""Files in a spill directory: whose they are, and who sends those of a writer that has ended."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tblog._files.names import new_name
from tblog._files.spill import Spill
from tblog._files.stored_runs import StoredRuns
from tblog._reports import Reports
from tblog.options import WriterOptions
from tests.sinks import event_record
from tests.waiting import wait_until

URL = "s3://bucket/run"


class Objects(dict):
    """A store that refuses while it is away."""

    is_away = False
    error = OSError("away")

    def put(self, url, content):
        if self.is_away:
            raise self.error
        self[url] = content


@pytest.fixture
def objects():
    """Return an empty store."""
    return Objects()


@pytest.fixture
def folder(tmp_path):
    """Return a spill directory."""
    return tmp_path / "spill"


@pytest.fixture
def runs(objects, clock, folder):
    """Return a function that makes the runs of a writer that spills."""

    def make(logdir=URL):
        options = WriterOptions(spill_dir=str(folder))
        return StoredRuns(logdir, "", None, Reports(logdir), options, 120, clock, objects.put)

    return make


def log(runs, *below):
    """Log a record to runs, try to send it, and return the runs."""
    for run in below or ("",):
        runs.append(run, event_record(1), 1)
    runs.write()
    runs.end_segments()
    while runs.send_next():
        pass
    return runs


def spilled(folder):
    """Return the names of all files below a folder, but marks."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and "spilled-by" not in path.name)


def test_the_next_writer_of_a_run_sends_what_an_ended_one_left(runs, objects, folder):
    """In its constructor and after it, before its own segments, and leaves nothing behind."""
    objects.is_away = True
    ended = log(runs(), "", "below", "below/deeper")
    ended.close()
    names = spilled(folder)
    assert len(names) == 3
    objects.is_away = False
    following = runs()
    following.open()
    log(following)
    urls = list(objects)
    assert sorted(url.rpartition("/")[2] for url in urls[:3]) == names
    assert {url.rpartition("/")[0] for url in urls} == {URL, f"{URL}/below", f"{URL}/below/deeper"}
    assert len(urls) == 4
    assert (following.written, following.spilled) == (1, 0)
    assert not folder.exists()


def test_nobody_touches_the_files_of_a_writer_that_lives(runs, objects, folder):
    """Neither another writer of the run, nor one of a run above or below, nor one of another store."""
    objects.is_away = True
    living = log(runs(), "", "below")
    names = spilled(folder)
    objects.is_away = False
    for logdir in (URL, f"{URL}/below", "s3://bucket", "gs://bucket/run"):
        other = runs(logdir)
        other.open()
        log(other)
        other.close()
    assert spilled(folder) == names
    living.close()
    for logdir in (f"{URL}/below", "s3://bucket", "gs://bucket/run"):
        runs(logdir).open()
    assert spilled(folder) == names
    runs().open()
    assert len(spilled(folder)) == 1  # the constructor sends one, the uploader the other


def test_a_store_that_is_still_away_leaves_the_files_to_the_next_writer(runs, objects, folder):
    """The constructor raises, and nothing is lost."""
    objects.is_away = True
    log(runs()).close()
    names = spilled(folder)
    with pytest.raises(OSError, match="away"):
        runs().open()
    assert spilled(folder) == names
    objects.is_away = False
    log(runs())  # opened by a worker, which does not wait
    assert names[0] in {url.rpartition("/")[2] for url in objects}
    assert spilled(folder) == []


def test_what_a_writer_took_over_is_there_for_the_next_one_again(runs, objects, folder):
    """If the store goes away a second time."""
    objects.is_away = True
    log(runs(), "", "below").close()
    objects.is_away = False
    second = runs()
    second.open()
    objects.is_away = True
    second.send_next()
    second.close()
    assert len(spilled(folder)) == 1
    objects.is_away = False
    runs().open()
    assert not folder.exists()


def test_a_store_that_denies_what_an_earlier_writer_left_says_so(runs, objects, folder):
    """In the constructor; the files stay."""
    objects.is_away = True
    log(runs()).close()
    names = spilled(folder)
    objects.error = PermissionError("denied")
    with pytest.raises(OSError, match="denied"):
        runs().open()
    assert spilled(folder) == names


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:0],
        lambda content: content[:-3],
        lambda content: content[:-9] + b"?" + content[-8:],
    ],
)
def test_a_damaged_file_that_an_earlier_writer_left_replaces_nothing_in_the_store(
    runs, objects, folder, caplog, damage
):
    """The store may have its beginning. The others are sent, and a later writer sends it if somebody repairs it."""
    ended = log(runs())
    (url,) = objects
    objects.is_away = True
    log(ended, "", "below").close()
    path = next((folder / "bucket/run").glob("events*"))
    assert path.name == url.rpartition("/")[2]
    confirmed = objects[url]
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    objects.is_away = False
    following = runs()
    following.open()
    log(following)
    assert objects[url] == confirmed
    assert following.written == 1
    assert sum("/below/" in url for url in objects) == 1
    following.close()
    assert spilled(folder) == [path.name]
    assert sum(str(path) in record.getMessage() for record in caplog.records) == 1
    path.write_bytes(whole)
    runs().open()
    assert objects[url] == whole
    assert not folder.exists()


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="nothing here is unreadable to all users")
def test_an_unreadable_file_that_an_earlier_writer_left_is_in_nobodys_way(runs, objects, folder):
    """Neither in the constructor's nor in that of other runs."""
    objects.is_away = True
    log(runs(), "", "below").close()
    path = next((folder / "bucket/run").glob("events*"))
    path.unlink()
    path.symlink_to("/proc/self/mem")
    objects.is_away = False
    following = runs()
    following.open()
    log(following)
    assert following.written == 1
    assert len(objects) == 2
    assert path.is_symlink()


def test_a_file_that_may_be_a_living_writers_waits_for_a_later_writer(runs, objects, folder, clock):
    """As of two writers of one process; nobody can say whose it is until both have ended."""
    objects.is_away = True
    living = log(runs())
    log(runs(), "", "below").close()
    objects.is_away = False
    second = runs()
    second.open()
    clock.turn(60)
    while living.send_next() or second.send_next():
        pass
    living.close()
    assert len(spilled(folder)) == 2
    log(runs()).close()
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_killed_process_leaves_its_files_and_a_living_one_keeps_them(folder):
    """The lock ends with the process, also where a later one has its number and host."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        spill = Spill(str(folder), URL)
        spill.keep(f"{URL}/{new_name('')}", b"x")
        os.write(writing, b"x")
        signal.pause()
    assert os.read(reading, 1) == b"x"
    assert Spill(str(folder), URL).left_behind() == []
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(Spill(str(folder), URL).left_behind()) == 1


def test_a_writer_keeps_what_another_clears_away_around_it(folder):
    """Directories that are empty are removed, also those that both have."""

    def keep_and_remove(number):
        url = f"s3://bucket/runs/{number}"
        for _ in range(200):
            spill = Spill(str(folder), url)
            spill.remove(spill.keep(f"{url}/{new_name('')}", b"x"))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(keep_and_remove, range(4))) == [None] * 4
    assert not folder.exists()


def test_a_file_that_belongs_to_nobody_stays(folder):
    """Somebody may have put it there; only the files of marks are sent."""
    (folder / "bucket/run").mkdir(parents=True)
    (folder / "bucket/run" / new_name("")).write_bytes(b"x")
    assert Spill(str(folder), URL).left_behind() == []
    assert len(spilled(folder)) == 1


def test_two_writers_that_begin_at_once_send_each_file_once(runs, objects, folder):
    """One of them has it."""
    objects.is_away = True
    log(runs(), "", "below").close()
    objects.is_away = False
    one, other = runs(), runs()
    one.open()
    other.open()
    wait_until(lambda: not (one.send_next() or other.send_next()))
    assert sum("/below/" in url for url in objects) == 1
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_that_ends_leaves_the_files_to_its_parent(folder):
    """It shares the handle of the lock, and closes it."""
    spill = Spill(str(folder), URL)
    spill.keep(f"{URL}/{new_name('')}", b"x")
    child = os.fork()
    if not child:
        spill.leave()  # as a writer in a child does
        os._exit(0)
    os.waitpid(child, 0)
    assert Spill(str(folder), URL).left_behind() == []
    spill.leave()
    assert len(Spill(str(folder), URL).left_behind()) == 1
