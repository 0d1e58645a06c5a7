"""A writer's outbox: segment order, retries, bound and spill directory, with a hand-turned clock."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tblog._files.outbox import FIRST_PAUSE_SECS, LONGEST_PAUSE_SECS, Outbox
from tblog._files.segments import Segment
from tblog._files.spill import Spill


class Store:
    """Accepts segments while it is reachable."""

    def __init__(self):
        self.objects = {}
        self.is_away = False
        self.tried = []

    def put(self, url, content):
        self.tried.append(url)
        if self.is_away:
            raise OSError(f"{url}: away")
        self.objects[url] = content


@pytest.fixture
def store():
    """Return a reachable store."""
    return Store()


def segment(number, records=1, run="run"):
    """Return a segment of ten bytes."""
    return Segment(f"s3://bucket/{run}/{number}", b"x" * 10, 10, records)


def outbox(store, clock, spill=None, max_bytes=100):
    """Return an outbox whose pauses are never shortened."""
    return Outbox(store.put, max_bytes, spill, clock, chance=float)


def send_all(box):
    """Send what is due."""
    while box.send_next():
        pass


def test_segments_are_sent_in_their_order_and_count_when_they_are_confirmed(store, clock):
    """Not before; those after a refused one wait."""
    box = outbox(store, clock)
    store.is_away = True
    for number in range(3):
        box.put(segment(number))
    send_all(box)
    assert (box.written, box.nbytes, box.waiting, box.is_done(1)) == (0, 0, 3, False)
    assert store.tried == ["s3://bucket/run/0"]
    store.is_away = False
    clock.turn(FIRST_PAUSE_SECS)
    send_all(box)
    assert (box.written, box.nbytes, box.waiting, box.is_done(3)) == (3, 30, 0, True)
    assert list(store.objects) == [f"s3://bucket/run/{number}" for number in range(3)]
    assert box.error is None


def test_a_run_that_the_store_denies_holds_up_no_other(store, clock):
    """A key may have rights for a part of a bucket; a flush learns of the refusal, and the run is tried again by itself."""
    box = outbox(store, clock)
    put = store.put

    def deny(url, content):
        if "/denied/" in url:
            raise PermissionError(f"{url}: AccessDenied")
        put(url, content)

    box._put = deny
    box.put(segment(0, run="denied"))
    for number in range(1, 4):
        box.put(segment(number))
    send_all(box)
    assert (box.written, box.waiting) == (3, 1)
    assert "denied/0: AccessDenied" in str(box.error)
    assert (box.is_done(4), box.is_refused(4, 0), box.is_refused(4, box.begun)) == (False, True, False)
    box.put(segment(4))
    send_all(box)
    assert (box.written, "denied" in str(box.error)) == (4, True)
    box._put = put
    clock.turn(FIRST_PAUSE_SECS)
    send_all(box)
    assert (box.written, box.error, box.is_done(5)) == (5, None, True)


def test_a_run_that_the_store_denies_is_alone_in_the_spill_directory(store, clock, tmp_path):
    """The others have nothing to wait for."""
    box = outbox(store, clock, Spill(str(tmp_path), "s3://bucket/run"))
    box._put = lambda url, _: (_ for _ in ()).throw(PermissionError(url)) if "/denied/" in url else None
    for number, run in enumerate(["denied", "run", "denied", "run"]):
        box.put(segment(number, run=run))
    box.send_next()
    assert (box.spilled, box.is_all_spilled) == (2, False)
    send_all(box)
    assert (box.written, box.spilled, box.is_all_spilled) == (2, 2, True)


def test_pauses_grow_to_a_longest_one_and_a_confirmed_segment_ends_them(store, clock):
    """Each is twice as long as the previous one."""
    box = outbox(store, clock)
    store.is_away = True
    box.put(segment(0))
    pauses = []
    for _ in range(10):
        assert box.send_next()
        began = clock.now
        while not box.is_due:
            clock.turn(0.25)
        pauses.append(clock.now - began)
    assert pauses[:4] == [FIRST_PAUSE_SECS * 2**nth for nth in range(4)]
    assert pauses[-1] == LONGEST_PAUSE_SECS
    store.is_away = False
    send_all(box)
    store.is_away = True
    box.put(segment(1))
    box.send_next()
    clock.turn(FIRST_PAUSE_SECS)
    assert box.is_due


def test_chance_makes_pauses_shorter_by_half_at_most(store, clock):
    """Writers that failed together do not retry together."""
    box = Outbox(store.put, 100, None, clock, chance=lambda: 1.0)
    store.is_away = True
    box.put(segment(0))
    box.send_next()
    clock.turn(FIRST_PAUSE_SECS / 2 - 0.01)
    assert not box.is_due
    clock.turn(0.01)
    assert box.is_due


def test_a_request_that_was_begun_before_somebody_waited_is_made_once_more_at_once(store, clock):
    """The trouble that it met may be over."""
    box = outbox(store, clock)

    def put(url, _):
        store.tried.append(url)
        if len(store.tried) == 1:
            box.hurry()
        raise OSError("away")

    box._put = put
    box.put(segment(0))
    send_all(box)
    assert len(store.tried) == 2


def test_the_bound_is_of_what_waits_in_memory(store, clock, tmp_path):
    """A spill directory removes the bound."""
    full, spilling = outbox(store, clock), outbox(store, clock, Spill(str(tmp_path), "s3://bucket/run"))
    store.is_away = True
    for box in (full, spilling):
        for number in range(10):
            box.put(segment(number))
        assert box.is_full
        box.send_next()
    assert full.is_full
    assert not spilling.is_full
    assert spilling.spilled == 10
    spilling.put(segment(10))
    assert spilling.spilled == 11


def test_what_was_spilled_is_sent_with_the_same_bytes_and_removed(store, clock, tmp_path):
    """The file keeps the bytes and the name."""
    box = outbox(store, clock, Spill(str(tmp_path / "spill"), "s3://bucket/run"))
    store.is_away = True
    box.put(segment(0))
    box.send_next()
    assert (tmp_path / "spill/bucket/run/0").read_bytes() == b"x" * 10
    store.is_away = False
    clock.turn(FIRST_PAUSE_SECS)
    send_all(box)
    assert store.objects == {"s3://bucket/run/0": b"x" * 10}
    assert list(tmp_path.iterdir()) == []


def test_a_spilled_segment_that_somebody_removed_is_lost_alone(store, clock, tmp_path):
    """It is counted as lost, and the others are sent."""
    box = outbox(store, clock, Spill(str(tmp_path), "s3://bucket/run"))
    store.is_away = True
    box.put(segment(0, records=5))
    box.put(segment(1))
    box.send_next()
    (tmp_path / "bucket/run/0").unlink()
    store.is_away = False
    clock.turn(FIRST_PAUSE_SECS)
    send_all(box)
    assert (box.lost, box.written, list(store.objects)) == (5, 1, ["s3://bucket/run/1"])


def test_a_spill_directory_that_takes_nothing_leaves_segments_in_memory(store, clock, tmp_path):
    """Its error can be reported."""
    (tmp_path / "file").touch()
    box = outbox(store, clock, Spill(str(tmp_path / "file"), "s3://bucket/run"))
    store.is_away = True
    box.put(segment(0))
    box.send_next()
    assert (box.spilled, box.waiting) == (0, 1)
    assert box.spill_error is not None
    store.is_away = False
    clock.turn(FIRST_PAUSE_SECS)
    send_all(box)
    assert box.written == 1


def test_writers_that_spill_to_one_folder_at_the_same_time_keep_their_bytes_apart(tmp_path):
    """As the threads of two writers to one directory do."""

    def keep(number):
        spill = Spill(str(tmp_path), "s3://bucket/run")
        for nth in range(200):
            spill.keep(f"s3://bucket/run/{number}-{nth}", bytes([number]) * 200)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(keep, range(2)))
    for number in range(2):
        for nth in range(200):
            assert (tmp_path / f"bucket/run/{number}-{nth}").read_bytes() == bytes([number]) * 200


def test_a_url_that_leads_upwards_spills_below_the_folder(tmp_path):
    """To a store, two dots are a name; no file or directory beside the folder is touched."""
    spill = Spill(str(tmp_path / "a/b/spill"), "s3://bucket/../../../../run")
    path = spill.keep("s3://bucket/../../../../run/0", b"x")
    files = [str(each) for each in tmp_path.rglob("*") if each.is_file()]
    assert {os.path.dirname(file) for file in files} == {os.path.dirname(path)}
    assert path.startswith(str(tmp_path / "a/b/spill/bucket"))
    assert spill.read(path) == b"x"


def test_what_is_given_up_never_counts_as_written(store, clock):
    """Even if its request, in flight meanwhile, succeeds."""
    box = outbox(store, clock)
    lost = []
    put, box._put = box._put, lambda url, content: (lost.append(box.give_up()), put(url, content))
    box.put(segment(0, records=7))
    box.send_next()
    assert (lost, box.written) == ([7], 0)


def test_an_unforeseen_error_is_a_refusal(store, clock):
    """It is reported, and the segment is tried again."""
    box = outbox(store, clock)
    put, box._put = box._put, lambda *_: 1 / 0
    box.put(segment(0))
    box.send_next()
    assert "unforeseen: ZeroDivisionError" in str(box.error)
    box._put = put
    clock.turn(FIRST_PAUSE_SECS)
    send_all(box)
    assert box.written == 1
