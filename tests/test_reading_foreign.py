"""tblog.read on files that TensorFlow, Keras and CLU wrote (tests/foreign_files/write.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tblog
from tests.reading import accumulator

tensor_util = pytest.importorskip("tensorboard.util.tensor_util")

FILES = Path(__file__).parent / "foreign_files"
RUNS = ["clu", "keras/train", "keras/validation", "tf1", "tf2"]


@pytest.fixture(scope="module")
def runs():
    """The runs of that folder."""
    return tblog.read(FILES)


def test_all_runs_are_whole(runs):
    """Each run is found, without damage."""
    assert list(runs) == RUNS
    assert not runs.damage
    assert not runs.unfinished


@pytest.mark.parametrize("name", RUNS)
def test_old_summaries_equal_event_accumulator(runs, name):
    """Step, time and value of scalars, histograms and images that are not tensors."""
    theirs, run = accumulator(FILES / name), runs[name]
    tags = theirs.Tags()
    for tag in tags["scalars"]:
        (mine,) = run.scalars.filter(tag=tag).series()
        wanted = [(e.step, e.wall_time, e.value) for e in theirs.Scalars(tag)]
        assert list(zip(mine.step, mine.wall_time, mine.value, strict=True)) == wanted
    for tag in tags["histograms"]:
        for one, event in zip(run.histograms.filter(tag=tag), theirs.Histograms(tag), strict=True):
            assert one.proto.bucket.tolist() == event.histogram_value.bucket
    for tag in tags["images"]:
        for one, event in zip(run.images.filter(tag=tag), theirs.Images(tag), strict=True):
            assert one.encoded == event.encoded_image_string


@pytest.mark.parametrize("name", RUNS)
def test_every_tensor_equals_event_accumulator(runs, name):
    """Each tensor of EventAccumulator has the same step, time and value, under its kind."""
    theirs, run = accumulator(FILES / name), runs[name]
    curves = {series.tag: series for series in run.scalars.series()}
    for tag in theirs.Tags()["tensors"]:
        events = theirs.Tensors(tag)
        if name == "tf1":  # EventAccumulator does not hide tensors behind a START, TensorBoard itself does
            events = events[:6] + events[10:]
        arrays = [tensor_util.make_ndarray(event.tensor_proto) for event in events]
        if tag in curves:
            mine = curves[tag]
            assert mine.value.tolist() == [array.item() for array in arrays]
        elif tag.startswith("_hparams_"):
            continue
        else:
            (kind,) = (kind for kind in CHECKS if tag in run.tags.get(kind, ()))
            items = getattr(run, kind).filter(tag=tag)
            mine = items.to_pandas()
            for one, array in zip(items, arrays, strict=True):
                CHECKS[kind](one, array)
        assert mine.step.tolist() == [event.step for event in events]
        assert mine.wall_time.tolist() == [event.wall_time for event in events]


def check_text(text, array):
    """Check that the texts are the tensor's, decoded."""
    assert text.array.tolist() == np.vectorize(bytes.decode, otypes=[object])(array).tolist()


def check_tensor(tensor, array):
    """Check that the array is the tensor's."""
    np.testing.assert_array_equal(tensor.array, array)


def check_histogram(histogram, array):
    """Check that the buckets are the tensor's, and that their edges join."""
    np.testing.assert_array_equal(histogram.buckets, array)
    assert len(histogram.edges) == len(histogram.counts) + 1


def check_images(image, array):
    """Check that size and bytes of each image are the tensor's, and that all decode."""
    assert [*map(int, array[:2])] == [*image.size]
    assert image.all_encoded == array[2:].tolist()
    assert image.pixels(len(array) - 3).shape[:2] == image.size[::-1]


def check_audio(audio, array):
    """Check that the bytes of each clip are the tensor's, and decode."""
    assert audio.all_encoded == array[..., 0].reshape(-1).tolist()
    assert audio.sample_rate == 8000
    assert audio.samples().shape == (40, 1)


CHECKS = {
    "texts": check_text,
    "tensors": check_tensor,
    "histograms": check_histogram,
    "images": check_images,
    "audio": check_audio,
}


def test_a_restart_of_tensorflow_1_hides_what_came_behind_it(runs):
    """From the START event's step on, the points of every kind are those of the second session."""
    assert runs["tf1"].scalars.value.tolist() == [0, 1, 2, 3, 4, 5, 16, 17, 18]
    assert [text.step for text in runs["tf1"].texts] == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert len(tblog.read(FILES, run="tf1", restarts="keep").scalars) == 13


def test_hparams_of_clu_are_in_the_table(runs):
    """The table has the hyperparameters and the last values of the run's scalars."""
    (session,) = runs.hparams
    assert session.run == "clu"
    assert session.hparams == {"lr": 0.1, "layers": 2.0, "name": "x"}
    assert session.metrics["acc"] == 58.0


def test_graphs_of_tensorflow_are_nodes_and_edges(runs):
    """The graph of a session has its placeholder, and its edges join existing nodes."""
    graph = runs["tf1"].graph
    assert "Placeholder" in {node.op for node in graph.nodes}
    assert {name for edge in graph.edges for name in edge} <= {node.name for node in graph.nodes}
