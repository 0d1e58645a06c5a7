"""The bounded queue alone: what it keeps, in which order, and what it counts, with a hand-turned clock."""

from __future__ import annotations

import pytest

from tblog._delivery.entries import Close, Flush, HeavyRecord, LightRecord
from tblog._delivery.queue import STALL_SECS, ClosedQueueError, RecordQueue
from tblog.records import EventRecord, TextRecord
from tests.sinks import Clock, scalar


def queue(records=4, nbytes=100, overflow="drop", clock=None):
    """Return a queue that drops what does not fit, unless told otherwise."""
    return RecordQueue(records, nbytes, overflow, clock or Clock())


def heavy(nbytes=0, tag="t"):
    """Return a record that must be encoded."""
    return HeavyRecord(TextRecord(tag=tag, text="text"), 0, 1.0, "", nbytes)


def light(nbytes):
    """Return a record that is ready as bytes."""
    return LightRecord(EventRecord(event=b""), 0, 0.0, "", nbytes)


def test_each_lane_gives_what_it_got_in_that_order():
    """Neither lane waits for the other."""
    lanes = queue()
    lanes.put(scalar(0))
    lanes.put(heavy(tag="a"))
    lanes.put(scalar(1))
    lanes.put(heavy(tag="b"))
    assert lanes.take(10) == [scalar(0), scalar(1)]
    assert [lanes.take_heavy().entry.record.tag for _ in range(2)] == ["a", "b"]
    assert lanes.take_heavy() is None


def test_what_is_put_back_is_taken_first():
    """The worker takes several entries, and returns those that the storage refused."""
    lanes = queue()
    for step in range(3):
        lanes.put(scalar(step))
    lanes.put_back(lanes.take(2))
    assert [entry[2] for entry in lanes.take(10)] == [0, 1, 2]
    assert lanes.queued == 3


def test_the_bound_in_records_holds_over_both_lanes():
    """One record too many is dropped, counted, and reported once."""
    lanes, told = queue(records=3), []
    lanes.on_drop = lambda: told.append(lanes.waiting)
    taken = [lanes.put(entry) for entry in (scalar(0), heavy(), scalar(1), scalar(2), heavy())]
    assert taken == [True, True, True, False, False]
    assert (lanes.queued, lanes.dropped, told) == (3, 2, [3])


def test_a_drop_is_reported_again_after_a_recovery():
    """The log shows each time that records were lost."""
    lanes, told = queue(records=1), []
    lanes.on_drop = lambda: told.append(lanes.dropped)
    lanes.put(scalar(0))
    lanes.put(scalar(1))
    lanes.recovered()
    lanes.put(scalar(2))
    assert told == [1, 2]


@pytest.mark.parametrize("kind", [heavy, light])
def test_the_bound_in_bytes_holds_for_records_and_not_for_numbers(kind):
    """A record larger than the bound is accepted when it is alone."""
    lanes = queue(records=10, nbytes=100)
    assert lanes.put(kind(500))
    assert not lanes.put(kind(1))
    assert lanes.put(scalar(0))
    assert (lanes.pending_bytes, lanes.dropped) == (500, 1)


def test_room_comes_back_when_records_are_done():
    """Taking alone frees no bytes: a record in hand is still in memory."""
    lanes = queue(records=10, nbytes=100)
    lanes.put(heavy(100))
    taken = lanes.take_heavy()
    assert not lanes.put(heavy(1))
    lanes.heavy_is_done(taken.number, 100)
    assert lanes.put(heavy(1))


def test_a_caller_waits_until_nothing_has_moved_for_so_long_and_then_drops():
    """The injected clock decides; it advances at each check of the caller."""
    clock = Clock()
    lanes = queue(records=1, overflow="wait", clock=clock)
    lanes.wake = lambda: clock.turn(STALL_SECS)
    lanes.put(scalar(0))
    began = clock.now
    assert not lanes.put(scalar(1))
    assert clock.now >= began + STALL_SECS
    assert lanes.dropped == 1


def test_a_caller_who_waits_goes_on_as_soon_as_there_is_room():
    """Nothing is dropped where the worker takes an entry."""
    lanes = queue(records=1, overflow="wait")
    lanes.wake = lambda: lanes.take(1) and lanes.done(0)
    lanes.put(scalar(0))
    assert lanes.put(scalar(1))
    assert lanes.dropped == 0


def test_a_queue_whose_storage_refuses_keeps_what_fits_and_drops_the_rest_at_once():
    """Training goes on: no caller waits for a full disk."""
    lanes = queue(records=1, overflow="wait")
    lanes.failing = True
    assert lanes.put(scalar(0))
    assert not lanes.put(scalar(1))


def test_a_closed_queue_refuses_and_gives_what_it_had():
    """Entries put before the close can be taken, the command last."""
    lanes, closing = queue(), Close()
    lanes.put(scalar(0))
    pending = lanes.pending
    lanes.refuse_more()
    lanes.end_with(closing)
    lanes.end_with(closing)
    for late in (scalar(1), heavy()):
        with pytest.raises(ClosedQueueError):
            lanes.put(late)
    with pytest.raises(ClosedQueueError):
        lanes.pending.append(scalar(1))
    assert lanes.take(10) == [scalar(0), closing]
    assert pending is not lanes.pending


def test_commands_are_taken_past_the_records():
    """A flush is answered while the storage refuses, and the records stay."""
    lanes, flush = queue(), Flush()
    lanes.put(scalar(0))
    lanes.command(flush)
    lanes.put(scalar(1))
    assert lanes.command_pending
    assert lanes.take_commands() == [flush]
    assert lanes.take(10) == [scalar(0), scalar(1)]


def test_a_flush_knows_which_heavy_records_were_before_it_whatever_is_done_first():
    """Later records that finish do not stand in for an earlier one that still waits."""
    lanes, flush = queue(), Flush()
    lanes.put(heavy(tag="first"))
    lanes.command(flush)
    lanes.put(heavy(tag="second"))
    lanes.put(heavy(tag="third"))
    first, second, third = (lanes.take_heavy() for _ in range(3))
    lanes.heavy_is_done(third.number, 0)
    lanes.heavy_is_done(second.number, 0)
    assert (lanes.heavy_done, lanes.heavy_left(flush.heavy_before)) == (2, 1)
    lanes.heavy_is_done(first.number, 0)
    assert (lanes.heavy_done, lanes.heavy_left(flush.heavy_before), lanes.heavy_waiting) == (3, 0, 0)


@pytest.mark.parametrize("failed_first", [True, False])
def test_a_record_that_fails_while_its_queue_is_given_up_is_counted_once(failed_first):
    """It counts as failed if it failed first, else as dropped; never as both."""
    lanes = queue()
    lanes.put(heavy())
    lanes.put(heavy())
    number = lanes.take_heavy().number
    failed = lanes.heavy_has_failed(number) if failed_first else False
    waiting = lanes.records_waiting()
    given_up = lanes.give_up()
    if not failed_first:
        failed = lanes.heavy_has_failed(number)
    assert failed == failed_first
    assert waiting == given_up == lanes.dropped == 2 - failed_first
    lanes.heavy_is_done(number, 0)
    assert (lanes.heavy_waiting, lanes.records_waiting()) == (0, 0)


def test_names_of_what_waits_begin_with_what_is_encoded():
    """A message about waiting records names them."""
    lanes = queue()
    lanes.put(scalar(3))
    lanes.put(heavy(tag="remark"))
    lanes.command(Flush())
    lanes.encoding = "histogram 'h' at step 1"
    assert lanes.names(3) == ["histogram 'h' at step 1", "text 'remark' at step 0", "scalar 'x' at step 3"]


def test_a_child_puts_nothing_on_its_parents_queue_and_keeps_nothing_of_it():
    """The parent writes what was waiting at the fork."""
    lanes = queue()
    lanes.put(scalar(0))
    lanes.put(heavy())
    lanes.leave_to_parent()
    for put, entry in ((lanes.put, scalar(1)), (lanes.put, heavy()), (lanes.command, Flush())):
        with pytest.raises(ClosedQueueError):
            put(entry)
    assert lanes.names(3) == []
