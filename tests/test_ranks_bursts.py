"""Ranks that log faster than the others, or than rank 0 takes it: what waits, where, and how much of it."""

from __future__ import annotations

import tracemalloc
from collections import deque

import pytest
import torch.distributed as dist

from tblog import WriterOptions
from tblog._delivery import worker
from tblog._delivery.channel import Channel
from tblog._ranks import backlog, courier, joining, reducers
from tblog._ranks.backlog import Backlog
from tblog._ranks.batches import Batch, pack, receive, unpack
from tblog._ranks.courier import Courier
from tblog._ranks.joining import Joiner
from tblog._ranks.mailbox import MAX_POSTED, Mailbox, Session
from tblog._ranks.place import Place
from tblog._ranks.reducers import JoiningReducer
from tblog._reports import Reports
from tests.waiting import HANG_SECS, wait_until


class Arrivals:
    """Stands in for a courier: what has come of other ranks."""

    def __init__(self):
        self.parcels = deque()

    def come(self, rank, numbers):
        for start in range(0, len(numbers), 500):
            self.parcels.append(receive(pack(Batch(rank, numbers[start : start + 500], is_last=False))))

    def received(self):
        return self.parcels.popleft() if self.parcels else None

    @property
    def has_received(self):
        return bool(self.parcels)

    def end(self):
        """Do nothing: there is no thread."""


def numbers(count, value, first=0):
    """Return so many numbers of one tag."""
    return [("", "x", value, step, 0.0) for step in range(first, first + count)]


def everything(reducer):
    """Let a reducer work until there is nothing to do; return the points that it closed."""
    closed = []
    while True:
        joined, points = reducer.collect(is_last=False)
        closed += points.get("", [])
        if not joined and not reducer.has_more:
            return closed


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(joining, "MAX_OPEN_POINTS", 10_000)
    monkeypatch.setattr(joining, "MAX_LEAD", 5_000)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_no_number_of_a_burst_is_left_out_whichever_rank_is_ahead(order):
    """Of more points than may be open: what is ahead waits outside."""
    reports, arrivals = Reports("run"), Arrivals()
    reducer = JoiningReducer(Joiner(3, ("sum",), 30.0, reports), arrivals)
    closed = []
    for rank in order:
        if rank:
            arrivals.come(rank, numbers(30_000, 10.0**rank))
        else:
            reducer.take(numbers(30_000, 1.0))
        closed += everything(reducer)
    assert [(step, value) for _, value, step, _ in closed] == [(step, 111.0) for step in range(30_000)]
    assert reports.incomplete == 0


def test_what_waits_for_a_rank_is_bounded_and_then_written_without_it(monkeypatch):
    """It has logged nothing at all; nothing of the others is lost."""
    for module in (backlog, reducers):
        monkeypatch.setattr(module, "MAX_NUMBERS", 20_000)
    arrivals = Arrivals()
    reducer = JoiningReducer(Joiner(3, ("sum",), 30.0, Reports("run")), arrivals)
    closed = []
    for first in range(0, 100_000, 1_000):
        reducer.take(numbers(1_000, 1.0, first))
        arrivals.come(1, numbers(1_000, 10.0, first))
        closed += everything(reducer)
        assert len(reducer._own) + reducer._held_count <= 50_000
    assert len(closed) > 60_000
    closed += reducer.collect(is_last=True)[1].get("", [])
    assert sorted({step for _, _, step, _ in closed}) == list(range(100_000))
    assert sum(value for _, value, _, _ in closed) == 1_100_000.0


def test_a_backlog_takes_few_bytes_keeps_the_order_and_says_what_it_has_no_room_for(monkeypatch):
    """The newest numbers leave it last."""
    monkeypatch.setattr(backlog, "MAX_NUMBERS", 100_000)
    waiting = Backlog(1)
    tracemalloc.start()
    lost = [waiting.put(numbers(1_000, 1.0, first)) for first in range(0, 102_000, 1_000)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lost == [0] * 100 + [1_000] * 2
    assert taken < 5_000_000
    steps = []
    while (parcel := waiting.oldest(is_last=len(steps) == 99_500)) is not None:
        steps += [step for _, _, _, step, _ in unpack(parcel).numbers]
        waiting.remove()
    assert steps == list(range(100_000))
    assert len(waiting) == 0
    last = waiting.oldest(is_last=True)
    assert last is not None
    assert (last.size, last.is_last) == (0, True)


def test_what_other_ranks_sent_is_joined_without_a_pause_where_rank_0_logs_nothing(tmp_path, monkeypatch):
    """The worker goes on at once, and leaves none of it to the next of its full rounds."""
    monkeypatch.setattr(worker, "ROUND_SECS", HANG_SECS)
    arrivals = Arrivals()

    class Rank0(Channel):
        _TAKES_BLOCKS = False

        def _new_reducer(self):
            return JoiningReducer(Joiner(1, ("sum",), 30.0, self.reports), arrivals)

    channel = Rank0(str(tmp_path), "", 120, WriterOptions())
    worker.serve(channel)
    assert channel.flush()
    arrivals.come(0, numbers(10_000, 1.0))
    channel.queue.wake()
    wait_until(lambda: channel.stats.written == 10_000, HANG_SECS / 4)
    channel.close()


def test_a_rank_that_closes_while_the_store_is_full_says_so_once_there_is_room(monkeypatch):
    """Also if all its numbers are there: rank 0 would wait for nothing."""
    group = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setattr(courier, "group_store", lambda: group)
    zero = Mailbox("run", Place(0, 2), Session())
    one = Courier(Place(1, 2), "run", Session(), Reports("run"), lambda: None, 15.0)
    one.start()

    def is_linked():
        zero.meet(group)
        return zero.is_open and not zero.needs_group

    wait_until(is_linked)
    one.send(numbers(MAX_POSTED * backlog.NUMBERS_A_BATCH, 1.0))
    wait_until(lambda: one.sent == MAX_POSTED * backlog.NUMBERS_A_BATCH)
    one.end()
    one.settle(5.0)
    assert not any(receive(data).is_last for data in zero.take(MAX_POSTED))
    wait_until(lambda: any(receive(data).is_last for data in zero.take(MAX_POSTED)))
    one.join(5.0)
    assert not one.is_running
