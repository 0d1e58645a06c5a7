"""Models whose parameters are gathered at run time (FSDP): the graph is the model's, and training continues."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from tblog.graph import GraphError, read_graph
from tests.graph_checks import assert_sound

X = torch.ones(4, 4)


def plain():
    """Return a small model, always the same."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def of_second_version():
    """Return it sharded by FSDP 2: the layers, then the rest."""
    model, mesh = plain(), init_device_mesh("cpu", (dist.get_world_size(),))
    for module in (model[0], model[3], model):
        fully_shard(module, mesh=mesh)
    return model


def of_first_version():
    """Return it sharded by FSDP 1, with the original parameters."""
    return FullyShardedDataParallel(plain(), device_id=torch.device("cpu"), use_orig_params=True)


def losses(model, steps):
    """Train for some steps, and return the losses."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    found = []
    for step in steps:
        torch.manual_seed(step)
        loss = model(torch.rand(4, 4)).square().sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.item())
    return found


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("trained", [0, 2])
@pytest.mark.parametrize("sharded", [of_first_version, of_second_version])
def test_a_sharded_model_is_read_by_a_run_and_trains_on_as_if_nobody_had_read_it(sharded, trained, capfd):
    """FSDP gets no placeholders, keeps its shards, and prints nothing."""
    expected = losses(sharded(), range(4))
    model = sharded()
    before = losses(model, range(trained))
    graph = read_graph(model, X)
    assert before + losses(model, range(trained, 4)) == expected
    assert graph.source == "hooks"
    assert [reason.partition(":")[0] for reason in graph.reasons] == ["export", "trace"]
    assert capfd.readouterr().err.count("Traceback") == 0
    assert_sound(graph)


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("sharded", [of_first_version, of_second_version])
def test_the_graph_of_a_sharded_model_has_the_models_own_operations_alone(sharded):
    """Gathering is left out, parameters are counted, and classes keep their names."""
    graph = read_graph(sharded(), X)
    assert [node.op.rpartition("::")[2] for node in graph.nodes] == [
        *("input", "linear", "batch_norm", "relu", "linear", "output")
    ]
    assert sum(node.attributes.get("parameters", 0) for node in graph.nodes) == 83
    assert [node.name.rpartition("/")[0].rpartition("/")[2] for node in graph.nodes[1:-1]] == [
        *("0 (Linear)", "1 (BatchNorm1d)", "2 (ReLU)", "3 (Linear)")
    ]


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("source", ["export", "trace"])
def test_placeholders_are_not_given_to_a_sharded_model_whoever_asks_for_it(source):
    """The error says why, and training continues."""
    model = of_second_version()
    with pytest.raises(GraphError, match="FSDP gathers the parameters only in a real run"):
        read_graph(model, X, source=source)
    assert losses(model, range(2)) == losses(of_second_version(), range(2))


def test_one_process_of_several_does_not_run_a_model_that_all_have_to_run():
    """It would wait for the others forever. A program may ask for it if all processes do."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    try:
        model = of_second_version()
        with pytest.raises(
            GraphError, match=r"on several processes.*before it is sharded, or source=.hooks. in all"
        ):
            read_graph(model, X)
        assert read_graph(model, X, source="hooks").source == "hooks"
        assert read_graph(plain(), X).source == "export"
    finally:
        dist.destroy_process_group()
