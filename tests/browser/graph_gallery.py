"""Draw the gallery of graphs, tblog's beside torch's: `python -m tests.browser.graph_gallery [names]`."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image, ImageChops, ImageDraw, ImageFont
from playwright.sync_api import Browser, sync_playwright
from torch import nn
from torch.utils.tensorboard import SummaryWriter as TorchWriter

from tblog import SummaryWriter
from tests import graph_models
from tests.browser.graph_viewer import GraphViewer
from tests.browser.serving import CHROMIUM, CHROMIUM_FLAGS, Server, serve

GALLERY = Path(__file__).parents[2] / "docs" / "graphs"
SCALE = 1.5
HEIGHT, SHADOW, CAPTION, PAD = 1240, 12, 34, 12
FAINT = 12
NARROWEST = 240
TEXT = ImageFont.load_default(18)


@dataclass(frozen=True)
class Exhibit:
    """A model, its inputs, the scopes to open in either picture, and the node whose card to show."""

    make: Callable[[], nn.Module]
    inputs: Any
    ours: Sequence[str]
    torchs: Sequence[str] = ()
    cards: tuple[str, str] = ("", "")


def thousand() -> nn.Module:
    """Return a thousand layers in a row."""
    return nn.Sequential(*[layer for _ in range(500) for layer in (nn.Linear(2, 2), nn.ReLU())])


SMALL = "Small/blocks (ModuleList)"
VIT = "VisionTransformer"
EXHIBITS = {
    "resnet18": Exhibit(
        lambda: torchvision.models.resnet18(weights=None),
        torch.ones(1, 3, 224, 224),
        ("ResNet", "ResNet/layer2 (Sequential)", "ResNet/layer2 (Sequential)/0 (BasicBlock)"),
        ("ResNet", "ResNet/Sequential[layer2]", "ResNet/Sequential[layer2]/BasicBlock[0]"),
    ),
    "convolution": Exhibit(
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)
        ),
        torch.ones(1, 3, 8, 8),
        ("Sequential", "Sequential/0 (Conv2d)", "Sequential/4 (Linear)"),
        ("Sequential", "Sequential/Conv2d[0]", "Sequential/Linear[4]"),
        ("Sequential/0 (Conv2d)/conv2d", "Sequential/Conv2d[0]/input.3"),
    ),
    "shared_module": Exhibit(
        graph_models.Small,
        torch.ones(1, 2, 8, 8),
        ("Small", SMALL, f"{SMALL}/0 (Block)"),
        ("Small", "Small/Block[0]"),
    ),
    "attention": Exhibit(
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2),
        torch.ones(2, 5, 32),
        (
            "TransformerEncoder",
            "TransformerEncoder/layers (ModuleList)",
            "TransformerEncoder/layers (ModuleList)/0 (TransformerEncoderLayer)",
        ),
    ),
    "vision_transformer": Exhibit(
        lambda: torchvision.models.VisionTransformer(32, 8, 6, 2, 16, 32),
        torch.ones(1, 3, 32, 32),
        (VIT, f"{VIT}/encoder (Encoder)", f"{VIT}/encoder (Encoder)/layers (Sequential)"),
        (VIT, f"{VIT}/Encoder[encoder]", f"{VIT}/Encoder[encoder]/Sequential[layers]"),
        (f"{VIT}/encoder (Encoder)/about", ""),
    ),
    "bert": Exhibit(graph_models.bert, graph_models.SENTENCES, ("BertModel",), ("BertModel",)),
    "language_model": Exhibit(
        graph_models.LanguageModel,
        graph_models.TOKENS,
        ("input", "output", "LanguageModel", "LanguageModel/layers (ModuleList)"),
    ),
    "recurrent": Exhibit(graph_models.Loop, torch.ones(3, 2, 4), ("Loop",), ("Loop", "Loop/LSTMCell[cell]")),
    "data_dependent": Exhibit(graph_models.Dynamic, torch.ones(2, 4), ("Dynamic",), ("Dynamic",)),
    "detector": Exhibit(
        lambda: torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
            weights=None, weights_backbone=None
        ),
        ([torch.rand(3, 64, 64)],),
        ("FasterRCNN",),
    ),
    "thousand_layers": Exhibit(thousand, torch.ones(1, 2), ("Sequential",), ("Sequential",)),
}


def log_torchs(folder: Path, exhibit: Exhibit) -> str:
    """Write torch's graph; return the error if it raised one."""
    inputs = tuple(exhibit.inputs.values()) if isinstance(exhibit.inputs, dict) else exhibit.inputs
    with TorchWriter(str(folder)) as writer, contextlib.redirect_stdout(io.StringIO()):
        try:
            writer.add_graph(exhibit.make(), inputs)
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            return f"{type(error).__name__}: {' '.join(lines[:2])}"[:300]
    return ""


def shoot(browser: Browser, server: Server, run: str, scopes: Sequence[str], card: str) -> Image.Image:
    """Return the picture of a run with some scopes open, cropped to the graph."""
    page = browser.new_page(
        viewport={"width": 1400, "height": round(HEIGHT / SCALE) + 64}, device_scale_factor=SCALE
    )
    viewer = GraphViewer(page, server)
    viewer.open(run)
    for scope in scopes:
        viewer.expand(scope)
    if card:
        viewer.expect_details(card)
        page.wait_for_timeout(1000)  # the viewer moves to the node before it shows the whole graph
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        viewer.picture(Path(file.name), card=bool(card))
        picture = Image.open(file.name).convert("RGB")
    page.close()
    picture = picture.crop((0, SHADOW, picture.width, picture.height))
    ink = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).convert("L")
    right = ink.point(lambda value: 255 * (value > FAINT)).getbbox()
    width = min(picture.width, max(right[2] + PAD, NARROWEST)) if right else NARROWEST
    return picture.crop((0, 0, width, picture.height))


def message(text: str) -> Image.Image:
    """Return a picture of a text, in place of a graph."""
    picture = Image.new("RGB", (460, 300), "white")
    ImageDraw.Draw(picture).text((20, 40), textwrap.fill(text, 44), fill="#b00020", font=TEXT)
    return picture


def side_by_side(pictures: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Return captioned pictures side by side."""
    width = sum(picture.width + PAD for _, picture in pictures) + PAD
    height = max(picture.height for _, picture in pictures) + CAPTION + PAD
    whole = Image.new("RGB", (width, height), "#dddddd")
    left = PAD
    for caption, picture in pictures:
        ImageDraw.Draw(whole).text((left + 4, 6), caption, fill="black", font=TEXT)
        whole.paste(picture, (left, CAPTION))
        left += picture.width + PAD
    return whole


def main(names: Sequence[str]) -> None:
    """Draw the exhibits with these names, or all of them."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    GALLERY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        failures = {}
        for name in names or EXHIBITS:
            exhibit = EXHIBITS[name]
            with SummaryWriter(f"{folder}/{name}") as writer:
                writer.add_graph(exhibit.make(), exhibit.inputs)
            failures[name] = log_torchs(Path(folder, f"{name}_torch"), exhibit)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        with serve(Path(folder)) as server:
            for name, failure in failures.items():
                exhibit = EXHIBITS[name]
                ours = shoot(browser, server, name, exhibit.ours, exhibit.cards[0])
                torchs = (
                    message(failure)
                    if failure
                    else shoot(browser, server, f"{name}_torch", exhibit.torchs, exhibit.cards[1])
                )
                both = side_by_side([("tblog", ours), ("torch", torchs)])
                both.quantize(64).save(GALLERY / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
