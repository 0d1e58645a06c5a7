"""tblog.read of every kind but scalars equals EventAccumulator's, for three writers."""

from __future__ import annotations

import io
import json
import wave

import numpy as np
import pytest

import tblog
from tblog.reading import Items, UnreadableError
from tests.every_kind import log_every_kind
from tests.foreign import write_events
from tests.reading import accumulator, event_files

tensor_util = pytest.importorskip("tensorboard.util.tensor_util")


@pytest.fixture(scope="module", params=["tblog", "torch", "tensorboardX"])
def logdir(request, tmp_path_factory):
    """A directory with every kind and a graph, logged by one of the writers."""
    import torch

    if request.param == "torch":
        from torch.utils.tensorboard import SummaryWriter
    elif request.param == "tensorboardX":
        from tensorboardX import SummaryWriter
    else:
        from tblog import SummaryWriter
    path = tmp_path_factory.mktemp(request.param) / "run"
    with SummaryWriter(str(path)) as log:
        log_every_kind(log, request.param)
        log.add_graph(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()), torch.ones(1, 3))
    return path


@pytest.fixture(scope="module")
def run(logdir):
    """Its run, read by tblog."""
    return tblog.read(logdir)["."]


@pytest.fixture(scope="module")
def theirs(logdir):
    """Its run, read by EventAccumulator."""
    return accumulator(logdir)


def test_kinds_and_tags_are_event_accumulators(run, theirs):
    """Each tag of EventAccumulator is there once, and no other tag or damage is."""
    tags = theirs.Tags()
    ours = run.tags
    assert ours["histograms"] == sorted(tags["histograms"])
    assert ours["images"] == sorted(tags["images"])
    assert ours["audio"] == sorted(tags["audio"])
    tensors = {
        tag for kind in ("tensors", "texts", "pr_curves", "meshes", "layouts") for tag in ours.get(kind, [])
    }
    assert tensors == set(tags["tensors"])
    assert not run.damage
    assert not run.unfinished


def test_histograms_are_event_accumulators_to_the_last_bit(run, theirs):
    """Statistics, limits and counts equal the file's; edges and counts equal those that TensorBoard shows."""
    from tensorboard import data_compat
    from tensorboard.compat.proto.summary_pb2 import Summary

    for tag in theirs.Tags()["histograms"]:
        ours = run.histograms.filter(tag=tag)
        for mine, event in zip(ours, theirs.Histograms(tag), strict=True):
            assert (mine.step, mine.wall_time) == (event.step, event.wall_time)
            value = event.histogram_value
            proto = mine.proto
            assert proto[:5] == (value.min, value.max, value.num, value.sum, value.sum_squares)
            assert proto.bucket_limit.tolist() == value.bucket_limit
            assert proto.bucket.tolist() == value.bucket
            from tensorboard.compat.proto.summary_pb2 import HistogramProto

            old = HistogramProto(**{name: getattr(value, name) for name in value.__dataclass_fields__})
            new = data_compat.migrate_value(Summary.Value(tag=tag, histo=old))
            np.testing.assert_array_equal(
                mine.buckets.astype(np.float32), tensor_util.make_ndarray(new.tensor)
            )
            assert len(mine.edges) == len(mine.counts) + 1
            assert mine.counts.sum() == 1000


def test_images_are_the_encoded_bytes_and_decode_to_pixels(run, theirs):
    """Encoded bytes and size equal EventAccumulator's, and pixels equal the logged ones."""
    rng = np.random.default_rng(0)
    for tag in theirs.Tags()["images"]:
        for mine, event in zip(run.images.filter(tag=tag), theirs.Images(tag), strict=True):
            assert (mine.step, mine.wall_time) == (event.step, event.wall_time)
            assert mine.encoded == event.encoded_image_string
            assert mine.size == (event.width, event.height)
    rng.normal(size=1000)
    assert np.array_equal(
        run.images[0].pixels(), rng.integers(0, 255, (3, 5, 7), np.uint8).transpose(1, 2, 0)
    )


def test_audio_is_the_encoded_bytes_and_decodes_to_samples(run, theirs):
    """Encoded bytes, rate and type equal EventAccumulator's, and samples equal the WAV's."""
    for mine, event in zip(run.audio, theirs.Audio("beep"), strict=True):
        assert (mine.step, mine.wall_time) == (event.step, event.wall_time)
        assert mine.encoded == event.encoded_audio_string
        assert (mine.sample_rate, mine.content_type) == (event.sample_rate, event.content_type)
        with wave.open(io.BytesIO(mine.encoded)) as clip:
            raw = np.frombuffer(clip.readframes(400), "<i2")
        np.testing.assert_array_equal(mine.samples()[:, 0], (raw / 32768).astype(np.float32))


def test_texts_tensors_curves_and_meshes_are_event_accumulators_tensors(run, theirs):
    """The array of each tensor equals TensorBoard's."""
    kinds = [run.texts, run.tensors, run.pr_curves]
    for items in kinds:
        for tag in items.tags:
            for mine, event in zip(items.filter(tag=tag), theirs.Tensors(tag), strict=True):
                assert (mine.step, mine.wall_time) == (event.step, event.wall_time)
                wanted = tensor_util.make_ndarray(event.tensor_proto)
                if items is run.texts or wanted.dtype == object:
                    wanted = np.vectorize(bytes.decode, otypes=[object])(wanted)
                np.testing.assert_array_equal(mine.array, wanted)
    assert [text.text for text in run.texts] == [f"*step* {step} ü" for step in range(3)]
    curve = run.pr_curves[0]
    assert curve.precision.shape == curve.recall.shape == curve.thresholds.shape == (20,)
    assert curve.true_positives[0] + curve.false_positives[0] == 100


NUMBERS = {"VERTEX": 1, "FACE": 2, "COLOR": 3}  # tensorboardX's names of parts


def test_the_parts_of_a_mesh_are_put_together(run, theirs):
    """Each mesh has its vertices, colours and faces, which EventAccumulator has under three tags."""
    meshes = run.meshes
    assert [(mesh.tag, mesh.step) for mesh in meshes] == [("ball", 0), ("ball", 1), ("ball", 2)]
    for number, mesh in enumerate(meshes):
        for part, name in (("vertices", "VERTEX"), ("faces", "FACE"), ("colors", "COLOR")):
            names = {f"ball_{name}", f"ball_{NUMBERS[name]}"}
            (tag,) = names & set(theirs.Tags()["tensors"])
            wanted = tensor_util.make_ndarray(theirs.Tensors(tag)[number].tensor_proto)
            np.testing.assert_array_equal(getattr(mesh, part), wanted)


def test_the_layout_of_custom_scalars_is_read(run):
    """It has the categories, charts, tags and bands."""
    (layout,) = run.layouts
    (category,) = layout.categories
    assert category.title == "first"
    charts = {chart.title: chart for chart in category.charts}
    assert charts["pair"].tags == ["loss", "acc"]
    assert [(m.value, m.lower, m.upper) for m in charts["band"].margins] == [("m", "lo", "hi")]


def test_the_graph_is_event_accumulators(run, theirs):
    """It has the nodes with their names, operations and inputs, and the edges."""
    graph = run.graph
    wanted = theirs.Graph()
    assert [(node.name, node.op) for node in graph.nodes] == [(node.name, node.op) for node in wanted.node]
    assert [node.inputs for node in graph.nodes] == [
        [name.removeprefix("^").split(":")[0] for name in node.input] for node in wanted.node
    ]
    assert len(graph.edges) == sum(len(node.input) for node in wanted.node)


def test_hparams_are_one_table_over_runs(logdir):
    """Each run with hyperparameters has a row: hyperparameters by name, then the last value of each metric."""
    table = tblog.read(logdir).hparams
    assert len(table) == 1
    (session,) = table
    assert session.hparams == {"lr": 0.1, "name": "x", "flag": True}
    assert session.metrics == {"best": 0.5}
    assert session.status == "success"
    frame = table.to_pandas()
    assert list(frame.columns) == ["run", "lr", "name", "flag", "best"]
    assert frame.iloc[0].tolist()[1:] == [0.1, "x", True, 0.5]


def test_embeddings_are_read_from_the_projectors_files(run):
    """Vectors and labels come from the files that the projector's configuration names."""
    (embedding,) = run.embeddings
    assert "words" in embedding.name
    assert embedding.vectors.shape == (4, 3)
    assert [row[0] for row in embedding.metadata] == ["a", "b", "c", "d"]
    assert embedding.sprite == b""


def test_items_are_chosen_like_scalars(run):
    """There are filters, slices, the last item of each tag, and a table of all items."""
    assert [image.step for image in run.images.filter(tag="noi*", steps=(1, None))] == [1, 2]
    assert [image.step for image in run.images[1:]] == [1, 2]
    assert [text.step for text in run.texts.last()] == [2]
    frame = run.histograms.to_pandas()
    assert list(frame.columns) == ["run", "tag", "step", "wall_time"]
    assert frame.step.tolist() == [0, 1, 2]


def test_nothing_is_decoded_before_it_is_looked_at(tmp_path):
    """Bytes that are not an image raise when their pixels are read, and can be read as bytes."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    value = Summary.Value(tag="x", image=Summary.Image(encoded_image_string=b"no image", width=1, height=1))
    write_events(tmp_path, [Event(step=3, summary=Summary(value=[value]))])
    (image,) = tblog.read(tmp_path).images
    assert image.encoded == b"no image"
    with pytest.raises(UnreadableError, match="step 3> cannot be decoded"):
        image.pixels()
    event_files(tmp_path)[0].write_bytes(b"")
    with pytest.raises(UnreadableError, match="refresh"):
        _ = image.encoded


def test_each_dtype_of_a_tensor_is_numpys():
    """For numbers, booleans, complex numbers, strings, float16 and bfloat16, packed or not, empty or broadcast."""
    from tensorboard.compat.proto import tensor_pb2
    from tensorboard.compat.proto.types_pb2 import DT_BFLOAT16

    from tblog.reading._tensors import array

    for dtype in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16"):
        for wanted in (
            np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype),
            np.zeros((0, 3), dtype),
            np.array(1).astype(dtype),
        ):
            proto = tensor_util.make_tensor_proto(wanted)
            np.testing.assert_array_equal(array(proto.SerializeToString()), wanted)
            proto = tensor_pb2.TensorProto(
                dtype=proto.dtype, tensor_shape=proto.tensor_shape, tensor_content=wanted.tobytes()
            )
            np.testing.assert_array_equal(array(proto.SerializeToString()), wanted)
    half = np.array([1.5, -2.0], np.float32)
    proto = tensor_pb2.TensorProto(
        dtype=DT_BFLOAT16, tensor_content=(half.view(np.uint32) >> 16).astype("<u2").tobytes()
    )
    proto.tensor_shape.dim.add(size=2)
    assert array(proto.SerializeToString()).tolist() == [1.5, -2.0]
    many = tensor_pb2.TensorProto(dtype=1, float_val=[7.0])
    many.tensor_shape.dim.add(size=1 << 40)
    assert array(many.SerializeToString())[1 << 39] == 7.0


def test_meshes_are_chosen_like_other_items(run, logdir):
    """Also where there are none."""
    meshes = run.meshes
    assert isinstance(meshes, Items)
    assert meshes.tags == ["ball"]
    assert [mesh.step for mesh in meshes.filter(steps=(1, None))] == [1, 2]
    assert [mesh.step for mesh in meshes.last()] == [2]
    assert meshes.to_pandas()["tag"].tolist() == ["ball"] * 3
    none = tblog.read(logdir, run="none at all").meshes
    assert isinstance(none, Items)
    assert (len(none), none.tags, len(none.to_pandas())) == (0, [], 0)


def test_a_mesh_keeps_its_settings(run):
    """The settings are decoded JSON, or None."""
    config = run.meshes[0].config
    assert config is None or json.dumps(config)
