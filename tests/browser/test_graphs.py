"""How TensorBoard draws a model: its scopes, operations, shapes and attributes."""

from __future__ import annotations

import importlib.util
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
    """Return a TensorBoard that serves one run for each model."""
    folder = tmp_path_factory.mktemp("graphs")
    thousand = nn.Sequential(*[layer for _ in range(500) for layer in (nn.Linear(2, 2), nn.ReLU())])
    models = {
        "resnet": (torchvision.models.resnet18(weights=None), torch.ones(1, 3, 64, 64), "export"),
        "language": (graph_models.LanguageModel(), graph_models.TOKENS, "export"),
        "dynamic": (graph_models.Dynamic(), torch.ones(2, 4), "hooks"),
        "thousand": (thousand, torch.ones(1, 2), "hooks"),
        "vision": (
            torchvision.models.VisionTransformer(32, 8, 12, 2, 16, 32),
            torch.ones(1, 3, 32, 32),
            "export",
        ),
    }
    if importlib.util.find_spec("transformers"):
        models["bert"] = (graph_models.bert(), graph_models.SENTENCES, "export")
    for run, (model, inputs, source) in models.items():
        with SummaryWriter(folder / run) as writer:
            writer.add_graph(model, inputs, source=source)
    return tensorboard(folder)


@pytest.fixture
def viewer(page: Page, server: Server) -> GraphViewer:
    """Return the Graphs dashboard."""
    return GraphViewer(page, server)


@pytest.mark.slow
def test_a_residual_network_opens_scope_by_scope_down_to_an_operation(viewer):
    """Scopes are the modules, edges carry shapes, and a click shows parameters and options."""
    viewer.open("resnet")
    assert viewer.names() == {"input", "ResNet", "output"}
    viewer.expand("ResNet")
    assert {"ResNet/conv1 (Conv2d)", "ResNet/layer1 (Sequential)", "ResNet/flatten"} <= viewer.names()
    assert "1×3×64×64" in viewer.edge_labels()
    viewer.expand("ResNet/layer1 (Sequential)")
    viewer.expand("ResNet/layer1 (Sequential)/0 (BasicBlock)")
    assert "ResNet/layer1 (Sequential)/0 (BasicBlock)/add_" in viewer.names()
    viewer.expand("ResNet/conv1 (Conv2d)")
    viewer.expect_details("ResNet/conv1 (Conv2d)/conv2d", "aten::conv2d", "float32 [64, 3, 7, 7]", "9408")
    assert viewer.errors == []


def test_a_language_model_shows_its_named_inputs_and_outputs(viewer):
    """Inputs and outputs have the names that forward and its result give them."""
    viewer.open("language")
    viewer.expand("input")
    viewer.expand("output")
    assert {"input/input_ids", "input/attention_mask", "output/logits"} <= viewer.names()
    viewer.expand("LanguageModel")
    viewer.expand("LanguageModel/layers (ModuleList)")
    assert {f"LanguageModel/layers (ModuleList)/{i} (DecoderLayer)" for i in range(2)} <= viewer.names()
    assert viewer.errors == []


@pytest.mark.slow
def test_a_model_that_follows_its_data_shows_the_path_it_took(viewer):
    """A graph recorded by hooks is drawn like any other."""
    viewer.open("dynamic")
    viewer.expand("Dynamic")
    assert {"Dynamic/a (Linear)", "Dynamic/b (Linear)", "Dynamic/b #2 (Linear)"} <= viewer.names()
    viewer.expand("output")
    viewer.expect_details("output/output", "hooks")
    assert viewer.errors == []


@pytest.mark.slow
def test_a_thousand_layers_open_as_twenty_groups_of_fifty(viewer):
    """No scope lays out a thousand layers at once, and each layer is in the expected group."""
    viewer.open("thousand")
    viewer.expand("Sequential")
    groups = {name for name in viewer.names() if name.startswith("Sequential/")} - {"Sequential/about"}
    assert len({name for name in groups if "~~" not in name}) == 20
    viewer.expand("Sequential/500..549")
    assert "Sequential/500..549/526 (Linear)" in viewer.names()
    assert viewer.errors == []


@pytest.mark.slow
def test_the_blocks_of_a_transformer_have_labels_of_their_own(viewer):
    """However short the viewer cuts a label, no two labels in a scope are equal."""
    viewer.open("vision")
    scope = "VisionTransformer"
    for step in ("", "/encoder (Encoder)", "/layers (Sequential)"):
        scope += step
        viewer.expand(scope)
    labels = viewer.labels(scope)
    assert len(labels) == 1 + 12
    assert len(set(labels.values())) == 1 + 12
    assert viewer.errors == []


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="transformers is not installed")
def test_a_language_model_opens_on_its_layers_and_one_box_for_its_masks(viewer):
    """No operation that prepares a mask is among the layers."""
    viewer.open("bert")
    viewer.expand("BertModel")
    boxes = {name.removeprefix("BertModel/") for name in viewer.names() if name.startswith("BertModel/")}
    assert {name for name in boxes if "~~" not in name} == {
        *("about", "embeddings (BertEmbeddings)", "mask", "encoder (BertEncoder)", "pooler (BertPooler)")
    }
    viewer.expand("BertModel/mask")
    assert viewer.errors == []


@pytest.mark.slow
def test_a_scope_says_beside_its_operations_what_it_is(viewer):
    """The card of the auxiliary node shows the class, the path and the total number of parameters."""
    viewer.open("resnet")
    viewer.expand("ResNet")
    viewer.expect_details("ResNet/about", "ResNet()", "11689512")
    viewer.expand("ResNet/layer4 (Sequential)")
    viewer.expect_details("ResNet/layer4 (Sequential)/about", "layer4", "Sequential()", "8393728")
    assert viewer.errors == []
