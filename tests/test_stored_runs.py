"""One writer's runs in a store: the ends and contents of segments, and merging."""

from __future__ import annotations

import sys
import tracemalloc
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import tblog
from tblog import SummaryWriter
from tblog._files import merging, segments, stored_runs
from tblog._files.merging import Part, merge
from tblog._files.resume import Resume
from tblog._files.stored_runs import CLOSE_PATIENCE_SECS, StoredRuns
from tblog._files.stores import store, stored
from tblog._reports import Reports
from tblog._wire.events import FIRST_EVENT_BYTES
from tblog._wire.framing import frame
from tblog.errors import MissingDependencyError
from tblog.options import WriterOptions
from tests import reading
from tests.sinks import event_record

RECORD = event_record(1)
FIRST = b"v" * FIRST_EVENT_BYTES


class Objects:
    """An in-memory store."""

    def __init__(self):
        self.objects = {}
        self.error = None

    def put(self, url, content):
        if self.error is not None:
            raise self.error
        self.objects[url] = content

    def get_all(self, urls, nbytes):
        if not self.objects.keys() >= set(urls):
            raise FileNotFoundError(urls)
        found = [self.objects[url] for url in urls]
        assert sum(map(len, found)) == nbytes
        return found

    def remove_all(self, urls):
        for url in urls:
            del self.objects[url]


@pytest.fixture
def objects():
    """Return an empty store."""
    return Objects()


def made(objects, clock, resume=None, **options):
    """Return a writer's runs, with small segments."""
    given = WriterOptions(**{"segment_bytes": 3 * len(RECORD), "segment_secs": 60.0, **options})
    return StoredRuns("s3://b/run", "", resume, Reports("s3://b/run"), given, 120, clock, objects.put)


def sent(runs):
    """Send the segments that are due; return how many."""
    count = 0
    while runs.send_next():
        count += 1
    return count


def test_the_newest_object_grows_and_no_other_changes(objects, clock):
    """So a run has few objects; each put is a whole event file with the earlier one at its beginning."""
    versions = {}

    def put(url, content):
        assert content.startswith(versions.get(url, [b""])[-1])
        assert url == max([url, *versions])
        versions.setdefault(url, []).append(content)

    objects.put = put
    runs = made(objects, clock, segment_bytes=1 << 20)
    runs.open()
    for count in range(1, 100):
        runs.append("", RECORD, 1)
        runs.end_segments()
        assert sent(runs) == 1
        assert (runs.written, runs.waiting) == (count, 0)
    contents = [version[-1] for _, version in sorted(versions.items())]
    frames = [content[len(contents[0]) - len(RECORD) :] for content in contents]
    assert b"".join(frames) == RECORD * 99
    assert [len(version) for version in versions.values()] == [*range(2, 14), 10]
    assert runs.bytes_written == sum(map(len, contents))


def test_an_object_grows_up_to_its_bounds(objects, clock, monkeypatch):
    """Of its size, and of the number of its puts; the rest of a run's life adds as many objects each day."""
    monkeypatch.setattr(segments, "MOST_PUTS", 4)
    monkeypatch.setattr(segments, "GROWN_BYTES", 10 * len(RECORD))
    runs = made(objects, clock, segment_bytes=1 << 20)
    for records in [1] * 20 + [9] * 4:
        runs.append("", RECORD * records, records)
        runs.end_segments()
        sent(runs)
    sizes = [
        (len(content) - FIRST_EVENT_BYTES) // len(RECORD) for _, content in sorted(objects.objects.items())
    ]
    assert sizes == [2, 3, 4, 4, 4, 12, 18, 9]


def test_an_object_that_is_not_confirmed_never_grows(objects, clock):
    """What is tried again has the same bytes, and nothing waits twice in memory."""
    runs = made(objects, clock, segment_bytes=1 << 20)
    runs.open()
    objects.error = OSError("away")
    for _ in range(5):
        runs.append("", RECORD, 1)
        runs.end_segments()
        runs.send_next()
    assert runs.waiting == 5
    objects.error = None
    clock.turn(60)
    sent(runs)
    sizes = [
        (len(content) - FIRST_EVENT_BYTES) // len(RECORD) for _, content in sorted(objects.objects.items())
    ]
    assert sizes == [1] * 5
    assert runs.written == 5


def test_an_object_of_which_a_put_failed_never_grows(objects, clock):
    """The store may do that put late, and would replace what was put since by less."""
    late = {}

    def put(url, content):
        if objects.error is not None:
            late[url] = content
            raise objects.error
        objects.objects[url] = content

    objects.put = put
    runs = made(objects, clock, segment_bytes=1 << 20)
    runs.open()
    for count in range(1, 7):
        objects.error = TimeoutError("no answer") if count == 3 else None
        runs.append("", RECORD, 1)
        runs.end_segments()
        sent(runs)
        objects.error = None
        clock.turn(60)
        sent(runs)
    assert len(late) == 1
    assert len(objects.objects) == 3
    objects.objects.update(late)
    sizes = [(len(content) - FIRST_EVENT_BYTES) // len(RECORD) for content in objects.objects.values()]
    assert sum(sizes) == runs.written == 6


def test_what_is_kept_of_objects_that_may_grow_is_bounded(objects, clock, monkeypatch):
    """Over all runs: their objects end when they have so much together, not each when it has a megabyte."""
    monkeypatch.setattr(stored_runs, "KEPT_BYTES", 1 << 20)
    objects.put = lambda *_: None
    runs = made(objects, clock, segment_bytes=8 << 20)
    record = frame(b"x" * 10_000)
    tracemalloc.start()
    try:
        for _ in range(10):
            for number in range(200):
                runs.append(str(number), record, 1)
            runs.end_segments()
            sent(runs)
        assert tracemalloc.get_traced_memory()[0] < 4 << 20
    finally:
        tracemalloc.stop()
    assert runs.written == 2000


def test_only_stores_that_replace_an_object_in_one_step_see_it_grow(clock):
    """Elsewhere an interrupted put would lose what was confirmed, or needs another right."""
    for logdir, count in (("s3://b/run", 1), ("gs://b/run", 2), ("sftp://host/run", 2)):
        kept = {}
        runs = StoredRuns(logdir, "", None, Reports(logdir), WriterOptions(), 120, clock, kept.__setitem__)
        runs.open()
        runs.append("", RECORD, 1)
        runs.end_segments()
        sent(runs)
        assert len(kept) == count


def test_a_segment_ends_when_it_is_large_or_old_enough(objects, clock):
    """It does not end earlier, and an empty one never ends."""
    runs = made(objects, clock)
    for _ in range(2):
        runs.append("", RECORD, 1)
        runs.write()
    assert sent(runs) == 0
    runs.append("", RECORD, 1)
    runs.write()
    assert sent(runs) == 1
    runs.append("", RECORD, 1)
    clock.turn(59)
    runs.write()
    assert sent(runs) == 0
    clock.turn(1)
    runs.write()
    assert sent(runs) == 1
    clock.turn(1000)
    runs.write()
    assert sent(runs) == 0
    assert (runs.written, runs.waiting) == (4, 0)


def test_each_segment_is_an_event_file_and_sorts_behind_the_ones_before_it(objects, clock, tmp_path):
    """It starts with the version event and holds whole records; a run below has its own segments."""
    runs = made(objects, clock)
    runs.open()
    for _ in range(7):
        runs.append("", RECORD, 1)
        runs.append("below", RECORD, 1)
        runs.write()
    runs.end_segments()
    sent(runs)
    own = [url for url in objects.objects if "/below/" not in url]
    below = [url for url in objects.objects if "/below/" in url]
    for urls in (own, below):
        assert urls == sorted(urls)
        for url, count in zip(urls, [3, 3, 1], strict=True):
            path = tmp_path / url.rpartition("/")[2]
            path.write_bytes(objects.objects[url])
            events = reading.events(path)
            assert [bool(event.file_version) for event in events] == [True] + [False] * count
    assert runs.bytes_written == sum(map(len, objects.objects.values()))


def test_the_first_segment_alone_says_where_a_resumed_run_goes_on(objects, clock):
    """For each run, whether or not the constructor has sent the segment."""
    runs = made(objects, clock, Resume(5))
    runs.open()
    for _ in range(2):
        runs.append("", RECORD, 1)
        runs.append("below", RECORD, 1)
        runs.end_segments()
    sent(runs)
    sizes = [len(content) for _, content in sorted(objects.objects.items())]
    plain = FIRST_EVENT_BYTES + len(RECORD)
    assert sizes.count(plain) == 2  # the second of the run, and of the run below
    assert len(sizes) == 4


def test_a_flush_is_settled_when_what_was_before_it_is_confirmed(objects, clock):
    """Later records do not delay it."""
    runs = made(objects, clock)
    runs.append("", RECORD, 1)
    assert not runs.has_settled("flush", is_last=False)
    runs.append("", RECORD, 1)
    assert sent(runs) == 1
    assert runs.has_settled("flush", is_last=False)
    assert (runs.written, runs.waiting) == (1, 1)


def test_a_flush_ends_with_a_refusal_and_a_close_goes_on_trying_for_a_while(objects, clock):
    """Then it gives up, and counts the lost records."""
    runs = made(objects, clock)
    runs.append("", RECORD, 1)
    objects.error = OSError("away")
    assert not runs.has_settled("flush", is_last=False)
    sent(runs)
    assert runs.has_settled("flush", is_last=False)
    assert not runs.has_settled("close", is_last=True)
    sent(runs)
    clock.turn(CLOSE_PATIENCE_SECS - 1)
    assert not runs.has_settled("close", is_last=True)
    clock.turn(1)
    assert runs.has_settled("close", is_last=True)
    lost, error = runs.close()
    assert (lost, str(error)) == (1, "away")


def test_more_than_may_wait_is_an_error_while_the_store_refuses_and_no_room_while_it_is_slow(objects, clock):
    """So the queue drops or waits, as its options say."""
    runs = made(objects, clock, max_queue_bytes=200)
    while runs.has_room:
        runs.append("", RECORD, 1)
        runs.write()
    runs.write()
    assert runs.refusal is None
    objects.error = OSError("away")
    sent(runs)
    with pytest.raises(OSError, match="away"):
        runs.write()
    objects.error = None
    runs.has_settled("flush", is_last=False)
    sent(runs)
    runs.recover()
    assert runs.has_room


def test_open_segments_that_have_what_may_wait_together_end_and_leave_room(objects, clock):
    """They end whatever their size or age, because nothing else would make room."""
    runs = made(objects, clock, segment_bytes=1_000_000, max_queue_bytes=6 * len(RECORD))
    for step in range(12):
        runs.append(f"below/{step % 3}", RECORD, 1)
        runs.write()
        sent(runs)
        assert runs.has_room
    assert (runs.written, runs.waiting) == (12, 0)


def test_merging_keeps_the_order_and_the_bound(objects, monkeypatch):
    """Each merged file has one version event, and its name sorts after its first part's."""
    monkeypatch.setattr(merging, "MERGED_BYTES", 250)
    parts = []
    for number in range(7):
        url = f"s3://b/run/{number}"
        objects.put(url, FIRST + bytes([number]) * 40)
        parts.append(Part(url, len(FIRST) + 40))
    list(merge(objects, parts))
    assert sorted(objects.objects) == ["s3://b/run/0-merged", "s3://b/run/3-merged", "s3://b/run/6"]
    assert objects.objects["s3://b/run/0-merged"] == FIRST + b"".join(bytes([n]) * 40 for n in range(3))


def test_parts_that_nobody_can_read_stay(objects):
    """A segment is removed only if its records are in another file."""
    parts = [Part("s3://b/run/0", 50), Part("s3://b/run/1", 50)]
    objects.put("s3://b/run/0", b"v" * 50)
    with pytest.raises(FileNotFoundError):
        list(merge(objects, parts))
    assert list(objects.objects) == ["s3://b/run/0"]


class Refusing(Objects):
    """A store that refuses one kind of request after doing a part of it."""

    def __init__(self, call):
        super().__init__()
        self.call = call
        self.refusals = 2

    def put(self, url, content):
        super().put(url, content)
        if self.call == "the answer to a put" and self.refusals:
            self.refusals -= 1
            raise OSError("cut")

    def remove_all(self, urls):
        if self.call == "all removing":
            raise PermissionError("AccessDenied")
        super().remove_all(urls[:2])
        if self.call == "the third removing":
            raise OSError("away")


@pytest.mark.parametrize("call", ["the answer to a put", "all removing", "the third removing"])
def test_a_merging_that_the_store_refuses_half_way_shows_no_point_twice(call):
    """The second copy is emptied, which needs only the right to put."""
    objects = Refusing(call)
    parts = [Part(f"s3://b/run/{number}", FIRST_EVENT_BYTES + 40) for number in range(4)]
    for number, part in enumerate(parts):
        objects.objects[part.url] = FIRST + bytes([number]) * 40
    pauses = []
    with pytest.raises(OSError, match=r"cut|AccessDenied|away"):
        list(merge(objects, parts, pauses.append))
    contents = [content for _, content in sorted(objects.objects.items())]
    assert all(content.startswith(FIRST) for content in contents)
    shown = b"".join(content[FIRST_EVENT_BYTES:] for content in contents)
    assert shown == b"".join(bytes([number]) * 40 for number in range(4))
    assert pauses == [0.5] * (call == "the answer to a put")


def test_any_file_system_of_fsspec_takes_a_run(tmp_path):
    """If it has directories, they are made."""
    with SummaryWriter(f"local://{tmp_path}/new/run") as writer:
        writer.add_scalar("x", 0.5, 0)
        writer.flush()
        writer.add_scalar("x", 0.5, 1)
        writer.add_embedding([[1.0, 2.0]], metadata=["a"])
    assert [step for step, _ in reading.points(tmp_path / "new/run")["x"]] == [0, 1]
    assert (tmp_path / "new/run/projector_config.pbtxt").exists()
    assert writer.stats.written == 3


def test_a_key_that_may_create_objects_and_not_replace_them_is_enough(monkeypatch):
    """As Google's role of that kind, and stores that neither append nor know directories; merging needs more rights."""

    class Creating(MemoryFileSystem):
        protocol = "creating"
        store: ClassVar = {}
        pseudo_dirs: ClassVar = [""]

        def pipe_file(self, path, value, **_):
            if self.exists(path):
                raise PermissionError("storage.objects.delete access to the object is missing")
            super().pipe_file(path, value)

        def _open(self, path, mode="rb", **options):
            assert mode in {"rb", "wb"}  # nothing is appended
            return super()._open(path, mode, **options)

        def makedirs(self, *_, **__):
            raise AssertionError("an object store has no directories")

        def rm_file(self, path):
            raise PermissionError(path)

    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "creating", Creating)
    with SummaryWriter("creating://bucket/run") as writer:
        for step in range(10):
            writer.add_scalar("x", step, step)
            writer.add_scalars("pair", {"a": 1.0}, step)
            writer.flush()
    assert (writer.stats.written, writer.stats.dropped) == (20, 0)
    runs = tblog.read("creating://bucket/run")
    assert runs.scalars.filter(tag="x").step.tolist() == list(range(10))
    assert len(Creating.store) == 21


def test_a_file_of_a_store_is_replaced_whole_and_one_that_is_missing_is_none():
    """Tried with fsspec's memory file system."""
    store("memory://stored/file", b"one")
    store("memory://stored/file", b"two")
    assert stored("memory://stored/file") == b"two"
    assert stored("memory://stored/none") is None
    fsspec.filesystem("memory").rm("/stored", recursive=True)


@pytest.mark.parametrize(
    ("url", "missing", "install"),
    [
        ("s3://bucket/run", "fsspec", r'"tblog\[remote\]"'),
        ("s3://bucket/run", "s3fs", r'"tblog\[s3\]"'),
        ("gs://bucket/run", "gcsfs", "gcsfs"),
        ("abfs://container@account/run", "adlfs", "adlfs"),
        ("hdfs://host/run", "pyarrow", "pyarrow"),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch, url, missing, install):
    """The constructor and the reader raise, and no local directory is made."""
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    if missing != "fsspec":
        known = sys.modules["fsspec.registry"]._registry
        monkeypatch.delitem(known, url.partition(":")[0], raising=False)
        monkeypatch.delitem(sys.modules, "fsspec.implementations.arrow", raising=False)
    with pytest.raises(MissingDependencyError, match=rf"{missing}', which is not .+ pip install {install}$"):
        SummaryWriter(url)
