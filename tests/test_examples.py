"""Each program in examples/ runs, and TensorBoard's own reader finds what it logged."""

from __future__ import annotations

import io
import json
import os
import runpy
import signal
import sys
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

from tests.needs import need_package
from tests.reading import accumulator as read

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_example(name: str, log_dir: Path) -> None:
    """Run an example's `main` so that it logs below `log_dir`."""
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](log_dir)


def scalars(run: Path, tag: str) -> dict[int, float]:
    """Return the values of a tag by step."""
    return {event.step: event.value for event in read(run).Scalars(tag)}


def size_of_image(run: Path, tag: str) -> tuple[int, int]:
    """Decode the last image of a tag and return its width and height."""
    return Image.open(io.BytesIO(read(run).Images(tag)[-1].encoded_image_string)).size


def tensor(run: Path, tag: str) -> np.ndarray:
    """Return the last tensor of a tag."""
    return tensor_util.make_ndarray(read(run).Tensors(tag)[-1].tensor_proto)


def session_start(run: Path) -> plugin_data_pb2.SessionStartInfo:
    """Return a run's hyperparameters."""
    content = read(run).PluginTagToContent("hparams")["_hparams_/session_start_info"]
    return plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info


def test_scalar_logs_a_curve(tmp_path: Path) -> None:
    """One point for each step."""
    run_example("scalar", tmp_path)
    assert scalars(tmp_path, "sine") == pytest.approx(
        {step: np.sin(step / 10) for step in range(100)}, abs=1e-6
    )


def test_scalars_by_two_writers_share_a_chart(tmp_path: Path) -> None:
    """Two runs hold the same tag."""
    run_example("scalars_by_two_writers", tmp_path)
    assert scalars(tmp_path / "train", "loss")[49] == pytest.approx(1 / 50)
    assert scalars(tmp_path / "validation", "loss")[49] == pytest.approx(1 / 50 + 0.49**2)


def test_scalars_by_add_scalars_share_a_chart(tmp_path: Path) -> None:
    """Each key has a run, named after tag and key."""
    run_example("scalars_by_add_scalars", tmp_path)
    for key in ("sine", "cosine", "damped"):
        assert len(scalars(tmp_path / f"waves_{key}", "waves")) == 100


def test_scalar_dict_logs_each_key_as_a_tag(tmp_path: Path) -> None:
    """All tags of one call are in the one run, at every step."""
    run_example("scalar_dict", tmp_path)
    assert scalars(tmp_path, "accuracy")[99] == pytest.approx(0.99)
    assert set(read(tmp_path).Tags()["scalars"]) == {"loss", "accuracy", "learning_rate"}


def test_graph_holds_the_operations(tmp_path: Path) -> None:
    """The convolution is a node of the graph."""
    run_example("graph", tmp_path)
    graph: GraphDef = read(tmp_path).Graph()
    assert any("conv" in node.op.lower() for node in graph.node)


def test_image_keeps_its_size(tmp_path: Path) -> None:
    """The photograph is 640 pixels wide."""
    run_example("image", tmp_path)
    assert size_of_image(tmp_path, "flower") == (640, 427)


def test_image_grid_holds_all_digits(tmp_path: Path) -> None:
    """Eight digits of 8 pixels in each of four rows, with borders of one pixel."""
    run_example("image_grid", tmp_path)
    assert size_of_image(tmp_path, "digits") == (8 * 9 + 1, 4 * 9 + 1)


def test_images_logs_a_batch_at_each_step(tmp_path: Path) -> None:
    """Both photographs side by side, five times."""
    run_example("images", tmp_path)
    assert [event.step for event in read(tmp_path).Images("photographs")] == [0, 1, 2, 3, 4]
    assert size_of_image(tmp_path, "photographs") == (2 * 640, 427)


def test_histogram_counts_every_value_at_each_step(tmp_path: Path) -> None:
    """Each of the twenty histograms holds a thousand values."""
    run_example("histogram", tmp_path)
    events = read(tmp_path).Histograms("normal")
    assert [event.step for event in events] == list(range(20))
    assert {event.histogram_value.num for event in events} == {1000}


def test_figure_becomes_an_image(tmp_path: Path) -> None:
    """The figure keeps its own size."""
    run_example("figure", tmp_path)
    assert size_of_image(tmp_path, "wave") == (640, 480)


def test_embedding_has_points_labels_and_pictures(tmp_path: Path) -> None:
    """The projector's configuration names files with 500 points and labels, and a square sprite."""
    run_example("embedding", tmp_path)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    (points,) = tmp_path.rglob("tensors.tsv")
    (labels,) = tmp_path.rglob("metadata.tsv")
    (sprite,) = tmp_path.rglob("sprite.png")
    assert np.loadtxt(points).shape == (500, 64)
    assert len(labels.read_text().split()) == 500
    assert Image.open(sprite).size == (23 * 8, 23 * 8)
    assert all(path.relative_to(tmp_path).as_posix() in config for path in (points, labels, sprite))


def test_pr_curve_gets_better(tmp_path: Path) -> None:
    """Each step has six rows of 127 thresholds, and the last precision is better."""
    run_example("pr_curve", tmp_path)
    first, *_, last = (
        tensor_util.make_ndarray(event.tensor_proto) for event in read(tmp_path).Tensors("classifier")
    )
    assert first.shape == last.shape == (6, 127)
    precision = 4
    assert last[precision].mean() > first[precision].mean()


def test_hparams_are_logged_in_both_ways(tmp_path: Path) -> None:
    """The originals' way makes its own run; `log_hparams` stays in the writer's."""
    run_example("hparams", tmp_path)
    (below,) = (path for path in (tmp_path / "add_hparams_0.1").iterdir() if path.is_dir())
    for run, batch_size in ((below, 32), (tmp_path / "log_hparams_0.1", 64)):
        parameters = {name: value.number_value for name, value in session_start(run).hparams.items()}
        assert parameters == {"learning_rate": 0.1, "batch_size": batch_size}
        assert read(run).Scalars("accuracy")[-1].value == pytest.approx(0.9)


def test_text_is_kept_as_written(tmp_path: Path) -> None:
    """The Markdown table comes back."""
    run_example("text", tmp_path)
    assert tensor(tmp_path, "configuration/text_summary")[0].decode().startswith("| parameter ")


def test_default_directory_is_below_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs have distinct names, one of which ends with the comment."""
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "default_directory.py"))["main"]()
    plain, commented = capsys.readouterr().out.split()
    assert Path(plain).parts[0] == "runs"
    assert commented.endswith("-learning_rate_0.1")
    assert scalars(tmp_path / plain, "loss") == {0: 0.5}
    assert scalars(tmp_path / commented, "loss") == {0: 0.25}


def test_migrate_from_torch_gives_the_same_runs_and_tags(tmp_path: Path) -> None:
    """Torch's writer, used in the example instead of tblog's, leaves the same tags in the same runs."""
    from torch.utils.tensorboard import SummaryWriter

    program = runpy.run_path(str(EXAMPLES / "migrate_from_torch.py"))["main"]
    program(tmp_path / "tblog")
    program.__globals__["SummaryWriter"] = SummaryWriter
    program(str(tmp_path / "torch"))
    assert tags_by_run(tmp_path / "tblog") == tags_by_run(tmp_path / "torch")


def test_migrate_from_tensorboardx_gives_the_same_runs_and_tags(tmp_path: Path) -> None:
    """TensorboardX's writer, used in the example instead of tblog's, leaves the same tags in the same runs."""
    from tensorboardX import SummaryWriter

    need_package("moviepy")  # which tensorboardX needs to write a video

    def original(*, options: object, **arguments: object) -> SummaryWriter:
        assert options is not None
        return SummaryWriter(**arguments)

    program = runpy.run_path(str(EXAMPLES / "migrate_from_tensorboardx.py"))["main"]
    program(tmp_path / "tblog")
    program.__globals__["SummaryWriter"] = original
    program(str(tmp_path / "tensorboardX"))
    ours, theirs = (tags_by_run(tmp_path / name) for name in ("tblog", "tensorboardX"))
    assert ours == theirs
    assert "loss_of__1" in ours["."]["scalars"]
    assert json.loads((tmp_path / "tblog" / "scalars.json").read_text())


def tags_by_run(log_dir: Path) -> dict[str, dict[str, object]]:
    """Return the tags of each run below a log directory, by kind."""
    runs = {path.parent for path in log_dir.rglob("*tfevents*")}
    return {run.relative_to(log_dir).as_posix(): read(run).Tags() for run in runs}


@pytest.mark.slow
def test_notebook_runs_with_tensorboard_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs, one of them starts TensorBoard, and the run is logged."""
    # TensorBoard notes the servers that it starts in the temporary directory.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    # As in an activated environment, where `%tensorboard` finds the program.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    try:
        nbclient.NotebookClient(
            notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
        ).execute()
    finally:
        for server in (tmp_path / ".tensorboard-info").glob("pid-*.info"):
            os.kill(json.loads(server.read_text())["pid"], signal.SIGTERM)

    outputs = "".join(str(output) for cell in notebook.cells for output in cell.get("outputs", []))
    assert "iframe" in outputs
    assert "slope 2.0" in outputs or "slope 1.9" in outputs
    assert len(scalars(tmp_path / "runs" / "notebook", "loss")) == 100
