"""Graphs of real architectures, from torchvision and transformers."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from tblog.graph import read_graph
from tests import graph_models
from tests.graph_checks import assert_shows_what_ran, assert_sound
from tests.slow import slow_but

vision = torchvision.models
IMAGE = torch.ones(1, 3, 64, 64)
IMAGES = [torch.rand(3, 64, 64), torch.rand(3, 72, 64)]
NO_WEIGHTS = {"weights": None, "weights_backbone": None}

ARCHITECTURES = {
    "resnet18": (lambda: vision.resnet18(weights=None), IMAGE),
    "resnet50": (lambda: vision.resnet50(weights=None), IMAGE),
    "mobilenet_v3_small": (lambda: vision.mobilenet_v3_small(weights=None), IMAGE),
    "efficientnet_b0": (lambda: vision.efficientnet_b0(weights=None), IMAGE),
    "densenet121": (lambda: vision.densenet121(weights=None), IMAGE),
    "squeezenet1_1": (lambda: vision.squeezenet1_1(weights=None), IMAGE),
    "shufflenet_v2": (lambda: vision.shufflenet_v2_x0_5(weights=None), IMAGE),
    "googlenet": (lambda: vision.googlenet(weights=None, init_weights=False), IMAGE),
    "convnext_tiny": (lambda: vision.convnext_tiny(weights=None), IMAGE),
    "swin_t": (lambda: vision.swin_t(weights=None), IMAGE),
    "vision_transformer": (lambda: vision.VisionTransformer(32, 8, 2, 2, 16, 32), torch.ones(1, 3, 32, 32)),
    "r3d_18": (lambda: vision.video.r3d_18(weights=None), torch.ones(1, 3, 4, 32, 32)),
    "deeplabv3": (lambda: vision.segmentation.deeplabv3_mobilenet_v3_large(**NO_WEIGHTS), IMAGE),
    "lraspp": (lambda: vision.segmentation.lraspp_mobilenet_v3_large(**NO_WEIGHTS), IMAGE),
    "transformer": (lambda: nn.Transformer(16, 2, 1, 1, 32), (torch.ones(5, 2, 16), torch.ones(4, 2, 16))),
}


# The others of ARCHITECTURES take a second or more each to export.
QUICK = ["resnet18", "squeezenet1_1", "shufflenet_v2", "vision_transformer", "r3d_18", "transformer"]


@pytest.mark.parametrize("name", slow_but(QUICK, ARCHITECTURES))
def test_an_exported_architecture_is_whole(name):
    """It has every module that ran, no dangling edge and no cycle, and the model's shapes and parameter counts."""
    make, inputs = ARCHITECTURES[name]
    model = make()
    graph = read_graph(model, inputs)
    assert graph.source == "export"
    assert_sound(graph)
    assert_shows_what_ran(graph, model, *(inputs if isinstance(inputs, tuple) else (inputs,)))


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "deeplabv3", "transformer"])
def test_the_same_architecture_is_whole_by_hooks(name):
    """A graph recorded by hooks passes the same checks."""
    make, inputs = ARCHITECTURES[name]
    model = make()
    graph = read_graph(model, inputs, source="hooks")
    assert_sound(graph)
    assert_shows_what_ran(graph, model, *(inputs if isinstance(inputs, tuple) else (inputs,)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: vision.detection.fasterrcnn_mobilenet_v3_large_320_fpn(**NO_WEIGHTS),
        lambda: vision.detection.fcos_resnet50_fpn(**NO_WEIGHTS, min_size=64, max_size=96),
    ],
)
def test_a_detector_is_read_by_whichever_way_works(make):
    """It takes a list of images and returns a list of dicts."""
    torch.manual_seed(0)
    model = make()
    graph = read_graph(model, IMAGES)
    assert graph.source in {"trace", "hooks"}
    assert_sound(graph)
    assert_shows_what_ran(graph, model, IMAGES)
    assert [node.name for node in graph.nodes if node.op == "input"] == ["input/images.0", "input/images.1"]
    assert {"output/0.boxes", "output/0.scores", "output/1.labels"} <= {node.name for node in graph.nodes}


def test_a_language_model_is_whole_by_every_way():
    """The outputs inside the returned dataclass are in the graph."""
    for source in ("export", "trace", "hooks"):
        model = graph_models.LanguageModel()
        graph = read_graph(model, graph_models.TOKENS, source=source)
        assert_sound(graph)
        assert_shows_what_ran(graph, model, **graph_models.TOKENS)
