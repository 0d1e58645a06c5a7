"""Which ranks of a training write, and where: `WriterOptions(ranks=...)`."""

from __future__ import annotations

import pickle
import threading
import time
import tracemalloc

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from torch.utils.tensorboard import SummaryWriter as TorchsWriter

from tblog import SummaryWriter, WriterOptions
from tests.every_kind import log_every_kind
from tests.processes import run_program
from tests.reading import event_files, points

ZERO, EACH = WriterOptions(ranks="zero"), WriterOptions(ranks="each")
VARIABLES = (
    ("RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
)


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    for name in sum(VARIABLES, ()):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def become(monkeypatch):
    """Return a function that sets torchrun's variables for this process."""

    def become_rank(rank, world_size, names=VARIABLES[0]):
        for name, number in zip(names, (rank, world_size), strict=True):
            monkeypatch.setenv(name, str(number))

    return become_rank


def test_every_rank_writes_to_the_directory_it_gives_by_default(tmp_path, become):
    """As with both originals, a program that gives each process a directory works unchanged."""
    for rank in range(2):
        become(rank, 2)
        with SummaryWriter(tmp_path / str(rank)) as writer:
            writer.add_scalar("x", rank, 0)
    assert [points(tmp_path / str(rank)) for rank in range(2)] == [{"x": [(0, 0.0)]}, {"x": [(0, 1.0)]}]


@pytest.mark.parametrize("names", VARIABLES, ids=lambda names: names[0])
def test_rank_0_alone_writes(tmp_path, become, names):
    """The launcher's variables name the rank."""
    for rank in (1, 0):
        become(rank, 2, names)
        with SummaryWriter(tmp_path / "run", options=ZERO) as writer:
            writer.add_scalar("x", rank, 0)
        assert (tmp_path / "run").exists() == (rank == 0)
    assert points(tmp_path / "run") == {"x": [(0, 0.0)]}


def test_a_process_without_others_is_rank_0(tmp_path, become):
    """The same program runs in one process; variables that are incomplete or not numbers are ignored."""
    with SummaryWriter(tmp_path / "alone", options=ZERO) as writer:
        writer.add_scalar("x", 1.0, 0)
    become("", "", VARIABLES[0])
    become(3, 2, VARIABLES[1])
    with SummaryWriter(tmp_path / "odd", options=ZERO) as writer:
        writer.add_scalar("x", 1.0, 0)
    assert points(tmp_path / "alone") == points(tmp_path / "odd") == {"x": [(0, 1.0)]}


@pytest.mark.parametrize("flavor", ["torch", "tensorboardX"])
def test_other_ranks_hold_the_whole_writer_and_leave_no_trace(tmp_path, become, flavor):
    """Every call works, without a file, directory or thread."""
    become(1, 2)
    logdir = tmp_path / "run"
    threads = threading.enumerate()
    with SummaryWriter(logdir, options=WriterOptions(ranks="zero", flavor=flavor)) as writer:
        log_every_kind(writer, flavor)
        writer.add_scalars("several", {"a": 1.0}, 1)
        writer.add_scalar_dict({"loss": 0.5, "accuracy": 1.0}, 1)
        writer.add_figure("figure", plt.figure(), 1)
        writer.export_scalars_to_json(tmp_path / "scalars.json")
        with writer.use_metadata(global_step=3):
            writer.add_scalar("loss", 0.5)
        writer.flush()
        writer.close()
        writer.reopen()
        writer.add_scalar("loss", 0.5, 4)
        assert writer.logdir == writer.get_logdir() == str(logdir)
        assert writer.stats.queued == 0
        assert "(writes nothing)" in repr(writer)
    assert threading.enumerate() == threads
    assert not any(tmp_path.iterdir())


def test_other_ranks_find_the_same_mistakes(tmp_path, become):
    """A mistake raises on each rank, so that no rank waits for another."""
    become(1, 2)
    with SummaryWriter(tmp_path, options=ZERO) as writer:
        for _ in range(2):
            writer.add_scalar("x", 1.0, 0)
            with pytest.raises(NotImplementedError):
                writer.add_scalar("x", "high", 0)
            with pytest.raises(AssertionError):
                writer.add_scalar("x", torch.zeros(2), 0)
            with pytest.raises(TypeError):
                writer.add_scalar(3, 1.0, 0)
            with pytest.raises(ValueError, match="step"):
                writer.add_scalar("x", 1.0, "soon")
        with pytest.raises(ValueError, match="image"):
            writer.add_image("i", np.zeros((5, 8, 8)), 0)
        with pytest.raises(TypeError):
            writer.add_figure("f", "none", 0)


def test_other_ranks_copy_draw_and_read_nothing(tmp_path, become):
    """A large array, a figure and a model cost them almost nothing."""
    become(1, 2)
    figure, drawn = plt.figure(), []
    figure.canvas.mpl_connect("draw_event", drawn.append)
    array, tensor = np.zeros((3, 1000, 1000), np.float32), torch.zeros(1_000_000)

    class Model(torch.nn.Module):
        def forward(self, *_inputs):
            pytest.fail("it was read")

    with SummaryWriter(tmp_path, options=ZERO) as writer:
        tracemalloc.start()
        writer.add_image("i", array, 0)
        writer.add_histogram("h", tensor, 0)
        writer.add_figure("f", figure, 0)
        writer.add_graph(Model(), torch.zeros(1))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1_000_000
    assert not drawn
    assert not plt.fignum_exists(figure.number)


def test_numbers_that_other_ranks_log_are_kept_nowhere(tmp_path, become):
    """Memory does not grow with the number of calls."""
    become(1, 2)
    with SummaryWriter(tmp_path, options=ZERO) as writer:
        writer.add_scalar("x", 1.0, 0)
        tracemalloc.start()
        for step in range(100_000):
            writer.add_scalar("x", 1.0, step)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 50_000


def test_a_call_on_another_rank_costs_less_than_a_tenth_of_a_call_of_torchs_writer(tmp_path, become):
    """CPU time of the fastest of several hundred calls."""
    become(1, 2)

    def fastest_call(writer):
        secs = []
        for _ in range(10):
            began = time.thread_time()
            for step in range(300):
                writer.add_scalar("x", 1.0, step)
            secs.append(time.thread_time() - began)
        return min(secs)

    with SummaryWriter(tmp_path / "run", options=ZERO) as silent, TorchsWriter(tmp_path / "torch") as torchs:
        assert fastest_call(silent) < fastest_call(torchs) / 10


def test_every_rank_knows_the_step_to_go_on_with(tmp_path, become):
    """`next_step` is the same on all ranks, and only rank 0 changes files."""
    become(0, 2)
    with SummaryWriter(tmp_path, options=ZERO) as writer:
        writer.add_scalar("x", 1.0, 41)
    become(1, 2)
    before = event_files(tmp_path)
    with SummaryWriter(tmp_path, options=ZERO, resume=True) as writer:
        assert writer.next_step == 42
    assert event_files(tmp_path) == before


def test_each_rank_has_a_run_that_tensorboard_lists_beside_the_others(tmp_path, become):
    """They are `rank00` to `rank11` in one directory; file names have the host and the rank."""
    for rank in (0, 11):
        become(rank, 12)
        with SummaryWriter(tmp_path, options=EACH, filename_suffix=".mine") as writer:
            writer.add_scalar("x", rank, 0)
            writer.add_scalars("several", {"a": rank}, 0)
            assert writer.logdir == str(tmp_path / f"rank{rank:02d}")
        (file,) = event_files(writer.logdir)
        assert file.name.endswith(f".mine.rank{rank}")
        (below,) = event_files(tmp_path / f"rank{rank:02d}" / "several_a")
        assert below.name.endswith(f".mine.rank{rank}")
    assert {run.name: points(run) for run in tmp_path.iterdir()} == {
        "rank00": {"x": [(0, 0.0)]},
        "rank11": {"x": [(0, 11.0)]},
    }


def test_a_run_for_each_rank_needs_a_directory_that_all_share():
    """The name of the default directory contains the time, so it is refused."""
    with pytest.raises(ValueError, match='ranks was "each", and no log_dir was given; give one'):
        SummaryWriter(options=EACH)


def test_hosts_of_one_name_never_write_one_file(tmp_path, become, monkeypatch):
    """Containers can share a disk, a host name, a process number and a clock."""
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000)
    names = []
    for rank in range(2):
        become(rank, 2)
        monkeypatch.setattr("tblog._files.names._last_time_ns", 0)
        with SummaryWriter(tmp_path, options=EACH) as writer:
            writer.add_scalar("x", 1.0, 0)
        names += [file.name for file in event_files(writer.logdir)]
    assert len(set(names)) == 2


@pytest.mark.parametrize("options", [ZERO, EACH], ids=["zero", "each"])
def test_a_copy_in_another_process_has_the_rank_of_that_process(tmp_path, become, options):
    """This concerns a writer that is made before the processes start, and sent to them."""
    with SummaryWriter(tmp_path, options=options) as writer:
        sent = pickle.dumps(writer)
    become(1, 2)
    with pickle.loads(sent) as copy:
        copy.add_scalar("x", 1.0, 0)
    assert copy.stats.queued == (options is EACH)
    assert (tmp_path / "rank1").exists() == (options is EACH)


def test_a_copy_where_nothing_tells_the_rank_has_that_of_the_original(tmp_path, become, monkeypatch):
    """For example in a data loader's worker, in a rank started without variables."""
    become(1, 2)
    sent = pickle.dumps(SummaryWriter(tmp_path / "run", options=ZERO))
    monkeypatch.delenv("RANK")
    with pickle.loads(sent) as copy:
        copy.add_scalar("x", 1.0, 0)
    assert not (tmp_path / "run").exists()


def test_a_process_group_knows_better_than_variables_and_a_writer_made_before_it_warns(tmp_path):
    """The rank is looked up when the files are opened, without importing torch."""
    program = """
        import os, sys
        from tblog import SummaryWriter, WriterOptions
        early, late = sys.argv[1:]
        os.environ.update(SLURM_PROCID="0", SLURM_NTASKS="1")
        options = WriterOptions(ranks="zero")
        before = SummaryWriter(early, options=options)
        before.add_scalar("x", 1.0, 0)
        before.flush()
        assert "torch" not in sys.modules
        import torch.distributed as dist
        from torch.testing._internal.distributed.fake_pg import FakeStore
        dist.init_process_group("fake", store=FakeStore(), rank=1, world_size=4)
        with SummaryWriter(late, options=options) as writer:
            writer.add_scalar("x", 1.0, 0)
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        before.close()
        before.close()
    """
    told = run_program(program, tmp_path, "early", "late")
    (line,) = [line for line in told.splitlines() if "init_process_group" in line]
    assert (
        "a writer of early took this process for rank 0 of 1 when it opened its files, and it is rank 1 of 4"
        in line
    )
    assert points(tmp_path / "early") == {"x": [(0, 1.0)]}
    assert not (tmp_path / "late").exists()
