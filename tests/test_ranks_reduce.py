"""Scalars of all ranks become one curve, without one rank waiting for another: `WriterOptions(ranks="reduce")`."""

from __future__ import annotations

import json
import signal
import textwrap

import pytest

from tblog import SummaryWriter, WriterOptions
from tests.processes import read_line, run_program, say
from tests.ranks import ends, running_ranks, turn
from tests.reading import event_files, points, run_events
from tests.waiting import wait_until

pytest.importorskip("torch.distributed")


@pytest.mark.slow
def test_what_is_written_is_what_all_reduce_gives(tmp_path):
    """With four processes, each reduction in its own run; tblog runs no collective operation."""
    program = """
        import json, threading, torch
        join_group()
        every = ("mean", "sum", "min", "max")
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce=every))
        generator = torch.Generator().manual_seed(rank)
        values = [torch.rand((), generator=generator) for _ in range(300)]
        with torch.autograd.profiler.profile() as profile:  # torch.profiler takes seconds to import
            for step, value in enumerate(values):
                writer.add_scalar("loss", value, step)
                writer.add_scalar_dict({"rank": rank, "step": float(step)}, step)
                writer.add_scalars("several", {"a": value}, step)
            writer.add_scalar("titled", float(rank), 0, display_name="Title")
            writer.add_text("note", f"of rank {rank}")
            writer.add_hparams({"lr": rank}, {"best": rank})
            if rank == 2:
                writer.add_scalar("alone", 2.0, 0)
            writer.flush()
        names = [event.key for event in profile.key_averages()]
        expected = {}
        for name, operation in (("sum", dist.ReduceOp.SUM), ("min", dist.ReduceOp.MIN), ("max", dist.ReduceOp.MAX)):
            together = torch.stack(values)
            dist.all_reduce(together, operation)
            expected[name] = together.tolist()
        told = json.dumps({"expected": expected, "c10d": [name for name in names if "c10d" in name or "gloo" in name]})
        print(told, flush=True)
        dist.destroy_process_group()
        writer.close()
        stats = writer.stats
        print(json.dumps({"stats": [stats.dropped, stats.failed, stats.incomplete], "threads": [thread.name for thread in threading.enumerate()].count("tblog-ranks")}))
    """
    with running_ranks(program, 4, tmp_path) as ranks:
        told = [json.loads(read_line(process)) for process in ranks]
        final = [json.loads(read_line(process)) for process in ranks]
        assert ends(ranks) == [0] * 4
    assert [each["c10d"] for each in told] == [[]] * 4
    assert final[1:] == [{"stats": [0, 0, 0], "threads": 0}] * 3
    assert final[0] == {"stats": [0, 0, 1], "threads": 0}
    for name, expected in told[0]["expected"].items():
        found = points(tmp_path / name)
        assert found["loss"] == [
            (step, pytest.approx(value, rel=1e-6)) for step, value in enumerate(expected)
        ]
        assert points(tmp_path / name / "several_a")["several"] == found["loss"]
    mean, high = points(tmp_path / "mean"), points(tmp_path / "max")
    assert mean["loss"] == [
        (step, pytest.approx(value / 4, rel=1e-6)) for step, value in enumerate(told[0]["expected"]["sum"])
    ]
    assert mean["rank"] == [(step, 1.5) for step in range(300)]
    assert mean["step"] == [(step, float(step)) for step in range(300)]
    assert mean["titled"] == [(0, 1.5)]
    assert mean["alone"] == [(0, 2.0)]
    assert high["max_rank/rank"] == [(step, 3.0) for step in range(300)]
    (text,) = [value for event in run_events(tmp_path) for value in event.summary.value]
    assert text.tensor.string_val == [b"of rank 0"]
    hparams = [path.parent for path in tmp_path.glob("*/*tfevents*") if path.parent.name[0].isdigit()]
    assert [points(run)["best"] for run in hparams] == [[(0, 0.0)]]
    assert len(list(tmp_path.rglob("*tfevents*"))) == 1 + 1 + 4 + 4


LOGGING = """
    import logging
    from tblog._ranks import reducing_channel
    reducing_channel.CLOSE_SECS = 1.0  # of 10: the wait for those that were killed
    logging.basicConfig(format="%(message)s")
    join_group()
    writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum", reduce_wait_secs=5))
    for begin in (0, 10):
        for step in range(begin, begin + 10):
            writer.add_scalar("x", 10 ** rank, step)
        writer.flush()
        next_turn(begin)
    writer.close()
    print(writer.stats.written, flush=True)
"""


def kill_after_the_first_flush(ranks, dead, logdir):
    """Kill one of the ranks that run LOGGING once ten steps of all are written; let the others go on."""
    assert [read_line(process) for process in ranks] == ["0"] * len(ranks)
    wait_until(lambda: len(points(logdir).get("x", [])) == 10)
    ranks[dead].send_signal(signal.SIGKILL)
    ranks[dead].wait()
    others = [process for rank, process in enumerate(ranks) if rank != dead]
    for process in others:
        say(process)
    return others


@pytest.mark.slow
def test_a_rank_that_is_killed_holds_nobody_up(tmp_path):
    """After the deadline, the others' numbers are written without it, and all other ranks end."""
    with running_ranks(LOGGING, 3, tmp_path / "run", tmp_path / "errors") as ranks:
        others = kill_after_the_first_flush(ranks, 2, tmp_path / "run")
        wait_until(lambda: len(points(tmp_path / "run")["x"]) == 20)
        assert turn(others) == ["10", "10"]
        assert ends(others) == [0, 0]
    assert points(tmp_path / "run") == {
        "x": [(step, 111.0) for step in range(10)] + [(step, 11.0) for step in range(10, 20)]
    }
    assert (tmp_path / "errors").read_text().count(
        "without rank 2, whose number did not come within 5 s"
    ) <= 1


@pytest.mark.slow
def test_where_rank_0_is_killed_the_others_go_on_and_what_it_had_flushed_stays(tmp_path):
    """Their flush and close return; their numbers are counted as lost, with one warning."""
    with running_ranks(LOGGING, 3, tmp_path / "run", tmp_path / "errors") as ranks:
        others = kill_after_the_first_flush(ranks, 0, tmp_path / "run")
        assert turn(others) == ["10", "10"]
        assert [read_line(process) for process in others] == ["10", "10"]
        assert ends(others) == [0, 0]
    assert points(tmp_path / "run") == {"x": [(step, 111.0) for step in range(10)]}
    told = (tmp_path / "errors").read_text()
    assert told.count("the ranks cannot exchange what they log to") == 2
    assert told.count("numbers of this rank do not come into") == 2


@pytest.mark.slow
def test_a_rank_that_is_late_is_left_out_and_counted(tmp_path):
    """Rank 0 writes at the deadline; a later number changes nothing."""
    program = """
        join_group()
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce_wait_secs=0.3))
        if rank == 0:
            writer.add_scalar("x", 1.0, 0)
        next_turn()
        if rank == 1:
            writer.add_scalar("x", 3.0, 0)
        writer.flush()
        next_turn()
        writer.flush()
        writer.add_scalar("x", 1.0 + rank, 1)
        writer.close()
        print(writer.stats.incomplete, writer.stats.dropped, flush=True)
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        wait_until(lambda: points(tmp_path))
        turn(ranks)
        turn(ranks)
        assert [read_line(process) for process in ranks] == ["1 1", "0 0"]
        assert ends(ranks) == [0, 0]
    assert points(tmp_path) == {"x": [(0, 1.0), (1, 1.5)]}


@pytest.mark.slow
def test_programs_that_never_close_lose_nothing_nor_do_forked_children_of_rank_0(tmp_path):
    """At exit the last numbers are sent, and rank 0 waits for them. The writer may be made before the group."""
    program = """
        import os
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world))
        writer = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="sum"))
        other = SummaryWriter(logdir, options=WriterOptions(ranks="reduce", reduce="max"))
        writer.add_scalar("early", 1.0, 0)
        child = os.fork()
        if child == 0:
            writer.add_scalar("child", rank, 0)
            writer.flush()
            os._exit(0)
        os.waitpid(child, 0)
        join_group()
        for step in range(1000):
            writer.add_scalar("x", 1.0, step)
        other.add_scalar("other", rank, 0)
    """
    with running_ranks(program, 2, tmp_path) as ranks:
        assert ends(ranks) == [0, 0]
    found = points(tmp_path)
    assert found.pop("x") == [(step, 2.0) for step in range(1000)]
    expected = {"early": [(0, 2.0)], "child": [(0, 0.0)]}
    assert found == {**expected, "other": [(0, 1.0)], "max_rank/other": [(0, 1.0)]}


@pytest.mark.slow
def test_a_new_generation_of_an_elastic_training_reads_nothing_of_the_one_before(tmp_path):
    """The launcher torchrun restarts all ranks, and its store still has the earlier numbers of rank 1."""
    program = tmp_path / "train.py"
    program.write_text(
        textwrap.dedent("""
        import os, signal, sys
        import torch.distributed as dist
        from torch.testing._internal.distributed import fake_pg
        from tblog import SummaryWriter, WriterOptions
        rank, world, port = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
        store = dist.TCPStore(os.environ["MASTER_ADDR"], port, world)
        dist.init_process_group("fake", store=store, rank=rank, world_size=world)
        again = os.environ["TORCHELASTIC_RESTART_COUNT"] == "1"
        options = WriterOptions(ranks="reduce", reduce="sum")
        with SummaryWriter(sys.argv[1], options=options) as writer:
            writer.add_scalar("new" if again else "old", 1.0, 0)
            writer.flush()
            if not again and rank == 0:
                signal.pause()
            while not again and not writer.stats.written:
                writer.flush()
            if not again:
                os._exit(1)
    """)
    )
    command = ["--standalone", "--nproc-per-node=2", "--max-restarts=1", program, tmp_path / "run"]
    run_program("import sys; from torch.distributed.run import main; main(sys.argv[1:])", None, *command)
    assert points(tmp_path / "run")["new"] == [(0, 2.0)]
    before, after = event_files(tmp_path / "run")
    assert b"new" not in before.read_bytes()
    assert b"old" not in after.read_bytes()


def test_ranks_without_a_process_group_do_not_wait_for_one_and_say_what_is_missing(
    tmp_path, monkeypatch, caplog
):
    """SLURM announces two ranks, but no group is made: rank 0 writes its own numbers, and the other counts its own as lost."""
    monkeypatch.setenv("SLURM_NTASKS", "2")
    for rank in (1, 0):
        caplog.clear()
        monkeypatch.setenv("SLURM_PROCID", str(rank))
        with SummaryWriter(tmp_path, options=WriterOptions(ranks="reduce")) as writer:
            writer.add_scalar("x", rank, 0)
            writer.flush()
        assert (writer.stats.dropped, writer.stats.incomplete) == ((1, 0) if rank else (0, 1))
        assert "it has those of rank 0 alone. Call torch.distributed.init_process_group" in caplog.text
    assert points(tmp_path) == {"x": [(0, 0.0)]}


def test_several_ranks_without_torch_are_told_what_to_install(tmp_path):
    """At the construction, on every rank; the other rules, and one process, need no torch."""
    program = """
        import os, sys
        sys.modules["torch"] = None
        from tblog import SummaryWriter, WriterOptions
        from tblog.errors import MissingDependencyError
        for rank in range(2):
            os.environ.update(SLURM_PROCID=str(rank), SLURM_NTASKS="2")
            try:
                SummaryWriter("run", options=WriterOptions(ranks="reduce"))
            except MissingDependencyError as error:
                print(error)
            for rule in ("zero", "each"):
                with SummaryWriter(rule, options=WriterOptions(ranks=rule)) as writer:
                    writer.add_scalar("x", 1.0, 0)
    """
    told = run_program(program, tmp_path).splitlines()
    assert (
        told
        == [
            "ranks=\"reduce\" with 2 ranks needs the package 'torch', which is not installed. Install it with: pip install torch"
        ]
        * 2
    )
    assert not (tmp_path / "run").exists()
    assert len(list(tmp_path.rglob("*tfevents*"))) == 3


def test_one_process_reduces_its_own_numbers(tmp_path):
    """The same program makes the same runs alone, without torch, and after a close."""
    program = """
        import sys
        from tblog import SummaryWriter, WriterOptions
        writer = SummaryWriter("run", options=WriterOptions(ranks="reduce", reduce=("mean", "max")))
        writer.add_scalar("x", 2.0, 0)
        writer.close()
        writer.add_scalar("x", 3.0, 1)
        writer.close()
        assert writer.stats.incomplete == 0
        assert "torch" not in sys.modules
    """
    run_program(program, tmp_path)
    assert points(tmp_path / "run" / "mean") == {"x": [(0, 2.0), (1, 3.0)]}
    assert points(tmp_path / "run" / "max") == {
        "x": [(0, 2.0), (1, 3.0)],
        "max_rank/x": [(0, 0.0), (1, 0.0)],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranks": "first"}, "ranks was 'first'; give \"all\""),
        ({"reduce": "median"}, "reduce was 'median'; give \"mean\""),
        ({"reduce": ()}, "reduce was (); give"),
        ({"reduce": ("mean", "mean")}, "reduce was ('mean', 'mean'); give"),
        ({"reduce_wait_secs": -1}, "reduce_wait_secs was -1; give seconds, 0 or more"),
    ],
)
def test_a_wrong_option_is_an_error_that_says_what_to_give(options, message):
    """It raises before anything is opened."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at below
        WriterOptions(**options)
    assert message in str(caught.value)
