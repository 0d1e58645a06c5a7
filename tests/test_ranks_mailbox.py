"""Batches sent to rank 0 through torch's store: order, bound, and earlier generations."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch.distributed as dist

from tblog._ranks import hub
from tblog._ranks.mailbox import MAX_POSTED, Mailbox, Session
from tblog._ranks.place import Place


@pytest.fixture
def store():
    """Return a store as torch makes one for a group."""
    return dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def box_of(store, rank, ranks=3, session=None, name="run"):
    """Return the box of one rank, which has looked for the others."""
    box = Mailbox(name, Place(rank, ranks), Session() if session is None else session)
    box.meet(store)
    return box


def linked(store, ranks=3):
    """Return the open boxes of so many ranks."""
    boxes = [box_of(store, rank, ranks) for rank in range(ranks)]
    for box in (*boxes, *boxes):
        box.meet(store)
    assert boxes[0].take(10) == []
    assert all(box.is_open and not box.needs_group for box in boxes)
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
    """Rank 0 may make its writer later."""
    one = box_of(store, 1)
    assert not one.is_open
    zero = box_of(store, 0)
    assert not one.is_open
    zero.meet(store)
    one.meet(store)
    assert one.is_open


def test_a_new_generation_reads_nothing_of_an_earlier_one(store):
    """The store survives when torchrun restarts all ranks."""
    _, old = linked(store, 2)
    old.post(b"old")
    late = box_of(store, 1)
    zero, one = linked(store, 2)
    one.post(b"new")
    assert zero.take(10) == [b"new"]
    late.meet(store)
    assert late.is_open


def test_a_writer_that_is_opened_again_goes_on_with_the_session(store):
    """The other ranks need not notice, and the group may be another by then, or none."""
    session = Session()
    first, one = box_of(store, 0, 2, session), box_of(store, 1, 2)
    first.meet(store)
    one.meet(store)
    one.post(b"1")
    assert first.take(10) == [b"1"]
    one.post(b"2")
    assert Mailbox("run", Place(0, 2), session).take(10) == [b"2"]
    one.post(b"3")
    other = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    assert box_of(other, 0, 2, session).take(10) == [b"3"]
    assert box_of(other, 0, 3, session).take(10) == []


def test_once_the_ranks_have_met_they_need_the_groups_store_no_more():
    """The server of a destroyed group ends, and the port is free for the next one."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    port = store.port
    zero, one = linked(store, 2)
    del store
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))
    zero.meet(None)
    one.meet(None)
    assert one.post(b"1")
    assert zero.take(10) == [b"1"]


def test_a_store_without_a_host_carries_the_batches_itself(tmp_path):
    """A group may be made with a file."""
    store = dist.FileStore(str(tmp_path / "store"), 2)
    zero, one = linked(store, 2)
    one.post(b"1")
    assert zero.take(10) == [b"1"]


def test_writers_that_begin_at_once_share_one_store_and_one_connection(store, monkeypatch):
    """Each has its own names in it. Rank 0 would look in vain where the others were not sent to."""
    monkeypatch.setattr(hub, "_own", None)
    with ThreadPoolExecutor(8) as threads:
        hubs = list(threads.map(lambda _: hub.open_hub(store), range(8)))
        ports = {each.port for each in hubs} | {each.store.port for each in hubs}
        assert len(ports) == 1
        connections = [hub.connect(store, "", *ports) for _ in range(8)]
    assert len(set(map(id, connections))) == 1
    boxes = [box_of(store, rank, 2, name=name) for name in ("one", "two") for rank in (0, 1)]
    for box in (*boxes, *boxes):
        box.meet(store)
    for box, data in zip(boxes[1::2], (b"one", b"two"), strict=True):
        box.post(data)
    assert [box.take(10) for box in boxes[::2]] == [[b"one"], [b"two"]]


def test_what_rank_0_does_not_take_is_bounded(store):
    """The store keeps it in memory."""
    zero, one = linked(store, 2)
    assert [one.post(b"") for _ in range(MAX_POSTED + 2)] == [True] * MAX_POSTED + [False] * 2
    zero.take(1)
    assert [one.post(b"") for _ in range(2)] == [True, False]


def test_a_batch_that_was_announced_and_never_came_holds_no_other_up(store):
    """A rank can die after the announcement; if it is only slow, its batch arrives later."""
    zero, one, two = linked(store)
    inner = zero._session.store
    name = zero._session.batches.name
    inner.add(f"{name}/count", 1)
    two.post(b"two")
    assert zero.take(10) == [b"two"]
    inner.set(f"{name}/1", b"slow")
    one.post(b"one")
    assert zero.take(10) == [b"slow", b"one"]
