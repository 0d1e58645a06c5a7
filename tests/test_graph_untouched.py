"""Reading a graph leaves the model exactly as it was, in every way of reading, even after a failure."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules import module as module_hooks

from tblog.adapters.parameters import ParameterWatch
from tblog.graph import GraphError, read_graph
from tblog.graph._preserve import lent
from tblog.records import ScalarRecord
from tests import graph_models
from tests.untouched import untouched
from tests.waiting import run_threads

WAYS = ["export", "trace", "hooks"]


def attributes(model):
    """Return everything that the modules hold, including the contents of containers."""
    return {
        (path, name): (id(value), list(value) if isinstance(value, (list, dict)) else None)
        for path, module in model.named_modules()
        for name, value in vars(module).items()
    }


@pytest.mark.parametrize("source", WAYS)
def test_modes_gradients_hooks_buffers_and_random_states_are_kept(source):
    """A partly frozen model in training mode, with gradients and statistics, is the same afterwards."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(8, 2))
    model[1].eval()
    model[0].weight.requires_grad_(False)
    model(torch.rand(2, 1, 4, 4)).sum().backward()
    before = attributes(model)
    image = torch.rand(2, 1, 4, 4)
    with untouched(model):
        read_graph(model, image, source=source)
    assert attributes(model) == before


@pytest.mark.parametrize("source", WAYS)
def test_what_a_forward_leaves_in_the_model_is_taken_out_again(source):
    """Attributes, lists, dicts, counters, statistics and modes that forward changes are restored."""
    model = graph_models.Stateful()
    before, notes, plain = attributes(model), dict(model.notes["calls"]), model.plain.clone()
    statistics = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    read_graph(model, torch.ones(2, 4), source=source)
    assert attributes(model) == before
    assert model.notes["calls"] == notes
    assert torch.equal(model.plain, plain)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in statistics.items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("source", WAYS)
def test_a_failure_leaves_the_model_as_it_was_too(source):
    """A forward that raises half-way leaves no change and no hook."""

    class Fails(graph_models.Stateful):
        def forward(self, x):
            super().forward(x)
            raise RuntimeError("half way")

    model = Fails()
    before = attributes(model)
    with untouched(model), pytest.raises(GraphError, match="half way"):
        read_graph(model, torch.ones(2, 4), source=source)
    assert attributes(model) == before
    assert not module_hooks._has_any_global_hook()


def test_what_cannot_be_put_back_keeps_nothing_else_from_it():
    """A parameter that no longer accepts its gradient raises; everything else is restored."""

    class Stubborn(nn.Parameter):
        armed = False

        @property
        def grad(self):
            return super().grad

        @grad.setter
        def grad(self, value):
            if self.armed:
                raise KeyError("grad")
            nn.Parameter.grad.__set__(self, value)

    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    model(torch.ones(1, 2)).sum().backward()
    armed = model[1].weight = Stubborn(model[1].weight.detach())
    armed.grad = torch.ones(2, 2)
    others = nn.ModuleList([model[0], model[2]])
    with untouched(others), pytest.raises(KeyError), lent(model, runs=True, watched=True):
        armed.armed = True
    assert model.training


@pytest.mark.parametrize("source", ["trace", "hooks"])
def test_a_model_made_in_inference_mode_is_read(source):
    """Its parameters, which autograd ignores, are the same afterwards."""
    with torch.inference_mode():
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    read_graph(model, torch.rand(2, 1, 4, 4), source=source)
    assert all(
        one is other and one.requires_grad == flag
        for one, (other, flag) in zip(model.parameters(), before, strict=True)
    )


@pytest.mark.parametrize("source", WAYS)
def test_random_numbers_drawn_by_a_forward_are_given_back(source):
    """The generators of Python, numpy and torch continue as if nothing had been drawn."""

    class Draws(nn.Module):
        def forward(self, x):
            return x * random.random() * np.random.rand() + torch.rand(2)  # noqa: NPY002

    with untouched(Draws()):
        read_graph(Draws(), torch.ones(2), source=source)


def test_gradients_of_a_forward_that_computes_some_are_not_added():
    """A backward pass inside forward leaves the earlier gradients."""

    class Backward(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 1)

        def forward(self, x):
            loss = self.fc(x).sum()
            loss.backward()
            return loss.detach()

    model = Backward()
    model(torch.ones(2, 4))
    with untouched(model):
        read_graph(model, torch.ones(2, 4), source="hooks")


@pytest.mark.parametrize("source", ["export", "trace"])
def test_hooks_that_people_watch_with_see_no_placeholders(source):
    """A hook that stores activations stores no placeholder, and stays registered."""
    kept = []
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].register_forward_hook(lambda _, __, output: kept.append(output))
    read_graph(model, torch.ones(2, 4), source=source)
    assert kept == []
    model(torch.ones(2, 4))
    assert len(kept) == 1


def test_a_train_method_that_does_more_is_not_called():
    """Layers that merge their weights in `train()` do not do so."""

    class Merges(nn.Linear):
        def train(self, mode=True):  # noqa: ARG002 - as torch has it
            raise AssertionError("train was called")

    model = Merges(4, 4)
    read_graph(model, torch.ones(2, 4))
    assert model.training


def test_a_compiled_model_stays_compiled():
    """It runs the compiled code afterwards, and nothing is compiled again."""
    compilations = []

    def backend(graph, _):
        compilations.append(graph)
        return graph.forward

    torch._dynamo.reset()
    model = torch.compile(nn.Linear(4, 4), backend=backend)
    model(torch.ones(2, 4))
    for source in WAYS:
        read_graph(model, torch.ones(2, 4), source=source)
    model(torch.ones(2, 4))
    assert len(compilations) == 1


def test_modules_that_other_threads_run_are_not_recorded():
    """While hooks watch one model, they ignore another model in another thread."""
    other, elsewhere = nn.Linear(2, 2), torch.ones(1, 2)

    class Waits(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            run_threads([threading.Thread(target=other, args=(elsewhere,))])
            return self.fc(x)

    graph = read_graph(Waits(), torch.ones(2, 4), source="hooks")
    assert [node.name for node in graph.nodes] == ["input/x", "Waits/fc (Linear)/linear", "output/output"]


def test_nothing_of_the_model_is_kept_alive():
    """The graph is plain data, so deleting the model frees its parameters."""
    import gc
    import weakref

    for source in WAYS:
        model = nn.Linear(4, 4)
        watched = weakref.ref(model.weight)
        graph = read_graph(model, torch.ones(2, 4), source=source)
        del model
        gc.collect()
        assert watched() is None, source
        assert graph.nodes


@pytest.mark.parametrize("source", WAYS)
def test_a_model_made_in_inference_mode_is_read_and_kept(source):
    """Its buffers and other tensors, which can change only in that mode, are the same afterwards."""
    with torch.inference_mode():
        model = graph_models.Stateful()
    before, values = attributes(model), [model.count.clone(), model.plain.clone()]
    with torch.inference_mode():
        graph = read_graph(model, torch.ones(2, 4), source=source)
    assert graph.source == source
    assert read_graph(model, torch.ones(2, 4), source=source).nodes == graph.nodes
    assert attributes(model) == before
    assert all(map(torch.equal, [model.count, model.plain], values))
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("source", WAYS)
def test_a_module_that_lets_nobody_change_its_mode_is_read(source):
    """Its own code does not run when the mode is saved and restored."""

    class Frozen(nn.Linear):
        def __setattr__(self, name, value):
            if "bias" in self.__dict__.get("_parameters", ()):
                raise RuntimeError("frozen")
            super().__setattr__(name, value)

    class Always(nn.Linear):
        training = property(lambda _: True, lambda _, mode: None if mode else 1 / 0)

    model = nn.Sequential(Frozen(4, 4), Always(4, 4))
    before = attributes(model)
    graph = read_graph(model, torch.ones(2, 4), source=source)
    assert len(graph.nodes) == 4
    assert attributes(model) == before


@pytest.mark.parametrize("moment", ["forward", "backward", "step"])
@pytest.mark.parametrize("source", WAYS)
def test_a_training_that_an_adapter_watches_is_watched_alone(source, moment):
    """The graph's computation is not part of a step, and the adapter gets no placeholders."""

    def figures(read):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with ParameterWatch(model) as watch:
            for _ in range(2):
                optimizer.zero_grad()
                works = {"forward": model(torch.rand(3, 4)).sum(), "backward": None, "step": None}
                for name in works:
                    if name == "backward":
                        works["forward"].backward()
                    elif name == "step":
                        optimizer.step()
                    if name == moment and read:
                        assert read_graph(model, torch.zeros(3, 4), source=source).source == source
            return {one.tag: one.value for one in watch.records() if isinstance(one, ScalarRecord)}

    assert figures(read=True) == figures(read=False) != {}
