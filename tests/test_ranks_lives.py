"""Writers of `ranks="reduce"` that are closed, dropped, opened again, or stopped for a while."""

from __future__ import annotations

import json
import signal

import pytest

from tests.processes import read_line, say
from tests.ranks import ends, running_ranks, turn
from tests.reading import points
from tests.slow import slow_but

pytest.importorskip("torch.distributed")


@pytest.mark.slow
def test_a_writer_that_nobody_holds_any_more_loses_nothing(tmp_path):
    """A function makes a writer and returns without closing it while other ranks still send; the next writer continues."""
    program = """
        join_group()
        def train(begin):
            writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum"))
            for step in range(begin, begin + 1000):
                writer.add_scalar("x", 10 ** rank, step)
        train(0)
        train(1000)
    """
    with running_ranks(program, 3, tmp_path) as ranks:
        assert ends(ranks) == [0, 0, 0]
    assert points(tmp_path) == {"x": [(step, 111.0) for step in range(2000)]}


@pytest.mark.slow
def test_a_rank_may_be_some_openings_ahead_of_rank_0(tmp_path):
    """Its numbers are joined with those that rank 0 logs after the same number of closes."""
    program = """
        import json
        join_group()
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum"))
        if rank == 0:
            next_turn()
        for opening in range(3):
            for step in range(10):
                writer.add_scalar("x", 10 ** rank, 10 * opening + step)
            writer.close()
        if rank:
            next_turn()
        print(json.dumps([writer.stats.dropped, writer.stats.incomplete]), flush=True)
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        turn(ranks[1:])
        turn(ranks[:1])
        assert [json.loads(read_line(process)) for process in ranks] == [[0, 0], [0, 0]]
        assert ends(ranks) == [0, 0]
    assert points(tmp_path) == {"x": [(step, 11.0) for step in range(30)]}


def test_what_is_logged_just_before_the_group_is_destroyed_arrives(tmp_path):
    """The writer looks up the store at its construction."""
    program = """
        join_group()
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum"))
        writer.add_scalar("x", 10 ** rank, 0)
        dist.destroy_process_group()
        writer.close()
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        assert ends(ranks) == [0, 0]
    assert points(tmp_path) == {"x": [(0, 11.0)]}


@pytest.mark.slow
def test_time_in_which_rank_0_does_not_run_is_no_time_that_others_let_it_wait(tmp_path):
    """Its process is stopped for longer than `reduce_wait_secs`; the others' numbers arrive once it runs again."""
    program = """
        import time
        join_group()
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum", reduce_wait_secs=2.0))
        writer.add_scalar("first", 1.0, 0)
        writer.flush()
        next_turn()
        if rank == 0:
            for step in range(10):
                writer.add_scalar("x", 1.0, step)
        next_turn()
        if rank == 1:
            for step in range(10):
                writer.add_scalar("x", 10.0, step)
        writer.close()
        print(writer.stats.incomplete, writer.stats.dropped, flush=True)
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        turn(ranks)
        read_line(ranks[0])
        ranks[0].send_signal(signal.SIGSTOP)
        turn(ranks[1:])
        with pytest.raises(Exception, match="timed out"):  # it waits for the store, which rank 0 runs
            ranks[1].wait(3.0)
        ranks[0].send_signal(signal.SIGCONT)
        say(ranks[0])
        assert [read_line(process) for process in ranks] == ["0 0", "0 0"]
        assert ends(ranks) == [0, 0]
    assert points(tmp_path)["x"] == [(step, 11.0) for step in range(10)]


@pytest.mark.slow
def test_a_close_on_a_thread_of_tblog_waits_for_nobody(tmp_path):
    """A finaliser may run on any thread, including the courier's."""
    program = """
        import threading, time
        from tblog._locks import here
        join_group()
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum"))
        writer.add_scalar("x", 10 ** rank, 0)
        def finalise():
            here.works = True
            began = time.monotonic()
            writer.flush()
            writer.close()
            print(time.monotonic() - began < 4.0, flush=True)
        if rank == 0:
            next_turn()
            thread = threading.Thread(target=finalise)
            thread.start()
            thread.join()
        else:
            next_turn()
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        turn(ranks[:1])
        assert read_line(ranks[0]) == "True"
        turn(ranks[1:])
        assert ends(ranks) == [0, 0]


@pytest.mark.slow
def test_a_writer_that_a_forked_child_makes_does_not_pass_for_its_parents_rank(tmp_path):
    """It waits for no rank, and takes none of the parent's numbers."""
    program = """
        import time
        from tests.processes import fork
        join_group()
        options = WriterOptions(ranks="reduce", reduce="sum")
        writer = SummaryWriter(logdir, options=options)
        writer.add_scalar("x", 10 ** rank, 0)
        def work():
            began = time.monotonic()
            with SummaryWriter(logdir, options=options) as own:
                own.add_scalar("child", 10 ** rank, 0)
            assert time.monotonic() - began < 4.0, time.monotonic() - began
        assert os.waitpid(fork(work), 0)[1] == 0
        writer.add_scalar("x", 10 ** rank, 1)
        writer.close()
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        assert ends(ranks) == [0, 0]
    assert points(tmp_path) == {"x": [(0, 11.0), (1, 11.0)], "child": [(0, 1.0)]}


@pytest.mark.slow
def test_a_rank_that_closes_sends_more_than_the_store_keeps_at_a_time(tmp_path):
    """It waits until rank 0 has taken some batches, and sends the rest."""
    program = """
        join_group()
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum"))
        for step in range(60_000):
            writer.add_scalar("x", 10 ** rank, step)
        writer.close()
        print(writer.stats.dropped, writer.stats.incomplete, flush=True)
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        assert [read_line(process) for process in ranks] == ["0 0", "0 0"]
        assert ends(ranks) == [0, 0]
    found = points(tmp_path)["x"]
    assert len(found) == 60_000
    assert {value for _, value in found} == {11.0}


@pytest.mark.slow
def test_an_open_writer_is_in_no_new_groups_way_on_the_same_port(tmp_path):
    """It keeps no store of a destroyed group, where the new one would find the addresses of the old."""
    program = """
        import datetime, socket
        if rank == 0:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            print(port, flush=True)
        else:
            port = int(input())
        def join_group():
            told = {"rank": rank, "world_size": world, "timeout": datetime.timedelta(seconds=20)}
            dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", **told)
        join_group()
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum"))
        for step in range(3):
            writer.add_scalar("x", 10 ** rank, step)
            writer.flush()
            dist.destroy_process_group()
            next_turn()
            join_group()
            dist.barrier()
        dist.destroy_process_group()
        writer.close()
        writer.add_scalar("x", 10 ** rank, 3)
        writer.close()
        print(writer.stats.incomplete, writer.stats.dropped, flush=True)
    """
    with running_ranks(program, 2, tmp_path / "run", tmp_path / "errors") as ranks:
        for _ in range(3):
            turn(ranks)
        assert [process.stdout.readline() for process in ranks] == ["0 0\n", "0 0\n"]
        assert ends(ranks) == [0, 0]
    assert points(tmp_path / "run") == {"x": [(step, 11.0) for step in range(4)]}
    told = (tmp_path / "errors").read_text()
    assert "tblog: the ranks cannot exchange" not in told
    assert "do not come into" not in told


@pytest.mark.slow
def test_a_group_that_comes_late_and_goes_soon_is_enough_after_a_flush(tmp_path):
    """Of a writer that was made long before it."""
    program = """
        import time
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world))
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum"))
        time.sleep(2.2)
        join_group()
        writer.add_scalar("x", 10 ** rank, 0)
        writer.flush()
        dist.destroy_process_group()
        writer.close()
        print(writer.stats.incomplete, writer.stats.dropped, flush=True)
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        assert [read_line(process) for process in ranks] == ["0 0", "0 0"]
        assert ends(ranks) == [0, 0]
    assert points(tmp_path)["x"] == [(0, 11.0)]


@pytest.mark.slow
def test_a_flush_waits_for_a_rank_0_without_a_writer_once_and_not_for_long(tmp_path):
    """For two seconds from the opening on; then there is nothing to wait for."""
    program = """
        import time
        join_group()
        if rank:
            writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce"))
            writer.add_scalar("x", 1.0, 0)
            began = time.monotonic()
            writer.flush()
            first = time.monotonic()
            writer.flush()
            print(1.0 < first - began < 4.0, time.monotonic() - first < 1.0, flush=True)
            os._exit(0)
        next_turn()
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        assert ranks[1].stdout.readline() == "True True\n"
        turn(ranks[:1])
        assert ends(ranks) == [0, 0]


@pytest.mark.parametrize("order", slow_but([(0, 1, 2)], [(0, 1, 2), (2, 1, 0)]))
def test_ranks_that_sigterm_ends_lose_nothing(tmp_path, order):
    """With `close_at_sigterm`, as a launcher sends it to all: each sends its last numbers, and rank 0 waits for them."""
    program = """
        import time
        join_group()
        options = WriterOptions(ranks="reduce", reduce="sum", close_at_sigterm=True)
        writer = SummaryWriter(logdir, options=options)
        writer.flush()
        for step in range(1000):
            writer.add_scalar("x", 10 ** rank, step)
        next_turn()
        while True:
            time.sleep(0.1)  # signal.pause() would miss a signal that comes just before it
    """
    with running_ranks(program, 3, tmp_path) as ranks:
        turn(ranks)
        for rank in order:
            ranks[rank].send_signal(signal.SIGTERM)
        assert ends(ranks) == [-signal.SIGTERM] * 3
    assert points(tmp_path) == {"x": [(step, 111.0) for step in range(1000)]}


@pytest.mark.slow
@pytest.mark.parametrize("call", ["flush", "close"])
def test_a_child_forked_anywhere_while_rank_0_flushes_or_closes_goes_on(tmp_path, call):
    """It neither fails nor waits for the thread that carries numbers between the ranks, which it does not have."""
    program = f"""
        from tests.faults.every_point import ForkAtEveryPoint
        from tests.waiting import HANG_SECS
        join_group()
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum"))
        writer.add_scalar("x", 10 ** rank, 0)
        writer.flush()
        if rank == 0:
            def log_on(number):
                writer.add_scalar("child", 1.0, number)
                writer.close()
            forks = ForkAtEveryPoint(HANG_SECS)
            forks.call(writer.{call}, log_on)
            print(len(forks.ends) > 20, [end for end in forks.ends if end[0]], flush=True)
        writer.close()
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        assert read_line(ranks[0]) == "True []"
        assert ends(ranks) == [0, 0]
    found = points(tmp_path)
    assert found["x"] == [(0, 11.0)]
    assert sorted(step for step, _ in found["child"]) == [*range(1, len(found["child"]) + 1)]
