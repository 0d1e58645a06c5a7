"""Tensors on an NVIDIA GPU: streams, devices, graphs and precisions. Skipped without one."""

from __future__ import annotations

import pytest
import torch

from tblog import SummaryWriter
from tblog.errors import InvalidValueError
from tests.reading import accumulator, points

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"),
]


@pytest.fixture
def no_sync():
    """Make each wait of the calling thread for the GPU an error."""
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def test_values_made_on_another_stream_are_exact(tmp_path):
    """The copy is queued on the stream that is current at the call."""
    stream = torch.cuda.Stream()
    with SummaryWriter(tmp_path) as writer, torch.cuda.stream(stream):
        value = torch.zeros((), device="cuda")
        for step in range(200):
            value.add_(1)
            writer.add_scalar("x", value, step)
            value.mul_(1)
    assert points(tmp_path)["x"] == [(step, step + 1.0) for step in range(200)]


def test_a_loss_under_autocast_and_scaling_is_exact(tmp_path):
    """A float16 loss is widened; the scaler's steps are undisturbed."""
    model = torch.nn.Linear(8, 1).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    scaler, losses = torch.amp.GradScaler("cuda"), []
    with SummaryWriter(tmp_path) as writer:
        for step in range(20):
            with torch.autocast("cuda", torch.float16):
                loss = model(torch.full((4, 8), float(step), device="cuda")).mean()
            writer.add_scalar("loss", loss, step)
            losses.append(loss.detach())
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert points(tmp_path)["loss"] == [(step, float(loss)) for step, loss in enumerate(losses)]


def test_a_cuda_graph_refuses_calls_while_it_is_captured_and_logs_each_replay(tmp_path):
    """After each replay, the static output is logged with that replay's value."""
    value = torch.zeros((), device="cuda")
    graph = torch.cuda.CUDAGraph()
    with SummaryWriter(tmp_path) as writer:
        with torch.cuda.graph(graph):
            value.add_(1)
            with pytest.raises(InvalidValueError, match="captured"):
                writer.add_scalar("x", value, 0)
            writer.add_scalar("python", 0.5, 0)
        value.zero_()
        for step in range(50):
            graph.replay()
            writer.add_scalar("x", value, step)
    assert points(tmp_path) == {"python": [(0, 0.5)], "x": [(step, step + 1.0) for step in range(50)]}


@pytest.mark.usefixtures("no_sync")
def test_arrays_are_logged_without_a_sync_as_they_were_at_the_call(tmp_path):
    """Pictures, small histograms and tensors are overwritten on the next line."""
    picture = torch.full((3, 8, 8), 0.5, device="cuda")
    numbers = torch.arange(100.0, device="cuda")
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("picture", picture, 0)
        writer.add_histogram("numbers", numbers, 0)
        writer.add_tensor("tensor", numbers, 0)
        picture.zero_()
        numbers.zero_()
    loaded = accumulator(tmp_path)
    assert loaded.Histograms("numbers")[0].histogram_value.max == 99
    assert len(loaded.Images("picture")) == 1


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two NVIDIA GPUs")
def test_each_device_copies_its_own(tmp_path):
    """One dict has values on two devices; the current device does not change."""
    values = {f"gpu{i}": torch.full((), float(i), device=f"cuda:{i}") for i in range(2)}
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar_dict(values, 0)
    assert torch.cuda.current_device() == 0
    assert points(tmp_path) == {"gpu0": [(0, 0.0)], "gpu1": [(0, 1.0)]}
