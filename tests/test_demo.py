"""The main job: `examples/demo.py`, run as by `make demo`, and its results."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reading import accumulator as read

ROOT = Path(__file__).parents[1]
EPOCHS = 2
STEPS = 23 * EPOCHS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory in which the demo runs."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    """Return the finished demo, run for two epochs."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py"), "--epochs", str(EPOCHS)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def run(folder: Path, demo: subprocess.CompletedProcess[str]) -> Path:
    """Return the run's directory, which the demo printed."""
    (printed,) = re.findall(r"The run is in (\S+)", demo.stdout)
    return folder / printed


@pytest.mark.slow
def test_progress_is_shown_to_the_last_step(demo: subprocess.CompletedProcess[str]) -> None:
    """The bar reaches its end, with the accuracy beside it."""
    assert f"{STEPS}/{STEPS}" in demo.stderr
    assert "accuracy=" in demo.stderr


def test_report_says_how_to_look_and_what_logging_cost(demo: subprocess.CompletedProcess[str]) -> None:
    """It shows three ways to open TensorBoard, and counters: all records are written, none is lost."""
    for words in ("tensorboard --logdir runs ", "%tensorboard --logdir /", "ssh -N -L 6006:localhost:6006"):
        assert words in demo.stdout
    written, queued, dropped, failed = re.search(
        r"([\d,]+) of ([\d,]+) written, (\d+) dropped, (\d+) failed", demo.stdout
    ).groups()
    assert written == queued
    assert (dropped, failed) == ("0", "0")
    assert re.search(r"\d\.\d\d s of work, beside \d+\.\d s of training", demo.stdout)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_loss_and_accuracy_are_logged_at_each_step(run: Path, split: str) -> None:
    """Both splits have a run with the same tags, and so share a chart."""
    curves = read(run / split)
    for tag in ("loss", "accuracy"):
        assert [event.step for event in curves.Scalars(tag)] == list(range(STEPS))
    assert curves.Scalars("loss")[-1].value < curves.Scalars("loss")[0].value


def test_network_learns(run: Path) -> None:
    """After two epochs most digits are recognised: this is a real training."""
    assert read(run).Scalars("final/accuracy")[-1].value > 0.6


def test_learning_rate_rises_and_falls(run: Path) -> None:
    """The schedule is logged at each step."""
    rates = [event.value for event in read(run).Scalars("learning_rate")]
    assert len(rates) == STEPS
    assert rates[0] < max(rates) > rates[-1]


def test_each_epoch_has_histograms_figures_and_curves(run: Path) -> None:
    """Parameters, gradients, both figures and ten PR curves, at the last step of each epoch."""
    steps = [22, 45]
    demo = read(run)
    tags = demo.Tags()
    for group in ("parameters", "gradients"):
        assert {tag for tag in tags["histograms"] if tag.startswith(f"{group}/")} == {
            f"{group}/{layer}.{part}"
            for layer in ("conv1", "conv2", "hidden", "classifier")
            for part in ("weight", "bias")
        }
    for tag in ("confusion", "mistakes"):
        assert [event.step for event in demo.Images(tag)] == steps
    for digit in range(10):
        assert [event.step for event in demo.Tensors(f"digit/{digit}")] == steps
    assert [event.step for event in demo.Histograms("gradients/conv1.weight")] == steps


def test_start_has_graph_text_layout_hparams_and_inputs(run: Path) -> None:
    """What is known before the first step is logged once."""
    demo = read(run)
    assert demo.Tags()["graph"]
    assert len(demo.Graph().node) > 4
    assert "learning_rate" in str(demo.Tensors("configuration/text_summary")[0])
    assert "custom_scalars__config__" in demo.Tags()["tensors"]
    assert "_hparams_/session_start_info" in demo.PluginTagToContent("hparams")
    assert [event.step for event in demo.Images("inputs")] == [0]


def test_adapters_show_the_inside_of_the_network(run: Path) -> None:
    """Each adapter logs something: maps and kernels at each epoch, explanations at the end."""
    demo = read(run)
    images = set(demo.Tags()["images"])
    assert images >= {
        "feature_maps/conv1",
        "feature_maps/conv2",
        "conv_kernels/conv1",
        "cam/HiResCAM/pool",
        "saliency/integrated_gradients",
        "activation_maximization/conv2",
    }
    assert [event.step for event in demo.Images("feature_maps/conv1")] == [22, 45]
    assert "38,282" in str(demo.Tensors("model_summary/text_summary")[0])
    scalars = demo.Tags()["scalars"]
    assert "watch_update_ratio/conv1" in scalars
    assert "system/process/memory_mib" in scalars


def test_embedding_has_labels_and_pictures(run: Path) -> None:
    """The projector finds the points, a header with two columns, and the sprite."""
    assert 'tensor_name: "penultimate_layer' in (run / "projector_config.pbtxt").read_text()
    (labels,) = run.rglob("metadata.tsv")
    header, *rows = labels.read_text().splitlines()
    assert header.split("\t") == ["digit", "predicted"]
    assert len(rows) == 360
    assert len(list(run.rglob("sprite.png"))) == 1
