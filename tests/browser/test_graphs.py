"""What a person sees of a model: TensorBoard draws the scopes, operations, shapes and attributes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from playwright.sync_api import Page
from torch import nn

from tblog import SummaryWriter
from tests import graph_models
from tests.browser.graph_viewer import GraphViewer
from tests.browser.serving import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tensorboard: Callable[[Path], Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a TensorBoard on one run for each model."""
    folder = tmp_path_factory.mktemp("graphs")
    thousand = nn.Sequential(*[layer for _ in range(500) for layer in (nn.Linear(2, 2), nn.ReLU())])
    models = {
        "resnet": (torchvision.models.resnet18(weights=None), torch.ones(1, 3, 64, 64), "export"),
        "language": (graph_models.LanguageModel(), graph_models.TOKENS, "export"),
        "dynamic": (graph_models.Dynamic(), torch.ones(2, 4), "hooks"),
        "thousand": (thousand, torch.ones(1, 2), "hooks"),
    }
    for run, (model, inputs, source) in models.items():
        with SummaryWriter(folder / run) as writer:
            writer.add_graph(model, inputs, source=source)
    return tensorboard(folder)


@pytest.fixture
def viewer(page: Page, server: Server) -> GraphViewer:
    """Return the Graphs dashboard."""
    return GraphViewer(page, server)


def test_a_residual_network_opens_scope_by_scope_down_to_an_operation(viewer):
    """The scopes are the modules, edges carry shapes, and a click shows parameters and options."""
    viewer.open("resnet")
    assert viewer.names() == {"input", "ResNet", "output"}
    viewer.expand("ResNet")
    assert {"ResNet/Conv2d[conv1]", "ResNet/Sequential[layer1]", "ResNet/flatten"} <= viewer.names()
    assert "1×3×64×64" in viewer.edge_labels()
    viewer.expand("ResNet/Sequential[layer1]")
    viewer.expand("ResNet/Sequential[layer1]/BasicBlock[0]")
    assert "ResNet/Sequential[layer1]/BasicBlock[0]/add_" in viewer.names()
    viewer.expand("ResNet/Conv2d[conv1]")
    viewer.expect_details("ResNet/Conv2d[conv1]/conv2d", "aten::conv2d", "float32 [64, 3, 7, 7]", "9408")
    assert viewer.errors == []


def test_a_language_model_shows_its_named_inputs_and_outputs(viewer):
    """Inputs and outputs are called as forward and its result call them."""
    viewer.open("language")
    viewer.expand("input")
    viewer.expand("output")
    assert {"input/input_ids", "input/attention_mask", "output/logits"} <= viewer.names()
    viewer.expand("LanguageModel")
    viewer.expand("LanguageModel/ModuleList[layers]")
    assert {f"LanguageModel/ModuleList[layers]/DecoderLayer[{i}]" for i in range(2)} <= viewer.names()
    assert viewer.errors == []


def test_a_model_that_follows_its_data_shows_the_path_it_took(viewer):
    """The graph that hooks recorded is drawn like any other."""
    viewer.open("dynamic")
    viewer.expand("Dynamic")
    assert {"Dynamic/Linear[a]", "Dynamic/Linear[b]", "Dynamic/Linear[b]_1"} <= viewer.names()
    viewer.expand("output")
    viewer.expect_details("output/output", "hooks")
    assert viewer.errors == []


def test_a_thousand_layers_open_as_twenty_groups_of_fifty(viewer):
    """No scope of a thousand layers is laid out at once, and each layer is found where it should be."""
    viewer.open("thousand")
    viewer.expand("Sequential")
    groups = {name for name in viewer.names() if name.startswith("Sequential/")}
    assert len({name for name in groups if "~~" not in name}) == 20
    viewer.expand("Sequential/Linear[500]..ReLU[549]")
    assert "Sequential/Linear[500]..ReLU[549]/Linear[526]" in viewer.names()
    assert viewer.errors == []
