"""Batches sent to rank 0 through torch's store: order, bound, and earlier generations."""

from __future__ import annotations

import pytest
import torch.distributed as dist

from tblog._ranks.mailbox import MAX_POSTED, Mailbox, Session


@pytest.fixture
def store():
    """Return torch's store within one process."""
    return dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def linked(store, ranks=3):
    """Return the open boxes of this many ranks."""
    boxes = [Mailbox(store, "run", rank, Session()) for rank in range(ranks)]
    assert boxes[0].take(10) == []
    assert all(box.is_open for box in boxes)
    return boxes


def test_batches_of_each_rank_come_once_and_in_order(store):
    """Rank 0 takes as many at once as it wants."""
    zero, one, two = linked(store)
    for number in range(3):
        assert one.post(b"one%d" % number)
        assert two.post(b"two%d" % number)
    taken = [*zero.take(4), *zero.take(4), *zero.take(4)]
    assert [data for data in taken if data.startswith(b"one")] == [b"one0", b"one1", b"one2"]
    assert [data for data in taken if data.startswith(b"two")] == [b"two0", b"two1", b"two2"]
    assert len(taken) == 6


def test_a_rank_posts_nothing_before_rank_0_is_there(store):
    """Rank 0 may open its writer later."""
    one = Mailbox(store, "run", 1, Session())
    assert not one.is_open
    zero = Mailbox(store, "run", 0, Session())
    assert not one.is_open
    zero.take(10)
    assert one.is_open


def test_a_new_generation_reads_nothing_of_an_earlier_one(store):
    """The store survives when torchrun restarts all ranks."""
    _, old = linked(store, 2)
    old.post(b"old")
    late = Mailbox(store, "run", 1, Session())
    zero, one = linked(store, 2)
    one.post(b"new")
    assert zero.take(10) == [b"new"]
    assert late.is_open


def test_a_writer_that_is_opened_again_goes_on_with_the_session(store):
    """The other ranks do not notice."""
    session = Session()
    first = Mailbox(store, "run", 0, session)
    one = Mailbox(store, "run", 1, Session())
    first.take(10)
    assert one.is_open
    one.post(b"1")
    assert first.take(10) == [b"1"]
    one.post(b"2")
    assert Mailbox(store, "run", 0, session).take(10) == [b"2"]
    other = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    assert Mailbox(other, "run", 0, session).take(10) == []


def test_what_rank_0_does_not_take_is_bounded(store):
    """The store keeps it in memory."""
    zero, one = linked(store, 2)
    assert [one.post(b"") for _ in range(MAX_POSTED + 2)] == [True] * MAX_POSTED + [False] * 2
    zero.take(1)
    assert [one.post(b"") for _ in range(2)] == [True, False]


def test_a_batch_that_was_announced_and_never_came_holds_no_other_up(store):
    """A rank can die after the announcement; if it is only slow, its batch arrives later."""
    zero, one, two = linked(store)
    inner = dist.PrefixStore("tblog/run", store)
    name = zero._session.batches.name
    inner.add(f"{name}/count", 1)
    two.post(b"two")
    assert zero.take(10) == [b"two"]
    inner.set(f"{name}/1", b"slow")
    one.post(b"one")
    assert zero.take(10) == [b"slow", b"one"]
