"""Meshes are torch's: tensorboardX names the tags by numbers and leaves out the components."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.utils.tensorboard.summary
from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData

from tblog.errors import InvalidTypeError, InvalidValueError, UnsupportedTypeError
from tblog.records import MeshRecord
from tblog.summaries import check
from tests.encoded import encoded, parsed

generator = np.random.default_rng(2)
VERTICES = generator.normal(size=(2, 4, 3)).astype(np.float32)
COLORS = generator.integers(0, 256, (2, 4, 3), dtype=np.uint8)
FACES = generator.integers(0, 4, (2, 5, 3))
CONFIG = {
    "material": {"cls": "PointsMaterial", "size": 0.5},
    "camera": {"cls": "PerspectiveCamera", "fov": 75},
}


@pytest.mark.parametrize("config", [None, {}, CONFIG], ids=["none", "empty", "some"])
@pytest.mark.parametrize("faces", [None, FACES], ids=["no faces", "faces"])
@pytest.mark.parametrize("colors", [None, COLORS, COLORS / 255], ids=["no colours", "uint8", "float"])
def test_a_mesh_is_torchs(colors, faces, config):
    """Tags, tensors and plugin data, the mask of what is there among them."""
    (ours,) = encoded(MeshRecord(tag="m", vertices=VERTICES, colors=colors, faces=faces, config=config))
    theirs = parsed(torch.utils.tensorboard.summary.mesh("m", VERTICES, colors, faces, config))
    assert [value.tag for value in ours.value] == [value.tag for value in theirs.value]
    for own, other in zip(ours.value, theirs.value, strict=True):
        assert own.tensor == other.tensor
        plugins = [value.metadata.plugin_data for value in (own, other)]
        assert plugins[0].plugin_name == plugins[1].plugin_name == "mesh"
        assert MeshPluginData.FromString(plugins[0].content) == MeshPluginData.FromString(plugins[1].content)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"vertices": VERTICES[0]}, InvalidValueError),
        ({"vertices": VERTICES[..., :2]}, InvalidValueError),
        ({"colors": COLORS[:, :3]}, InvalidValueError),
        ({"faces": FACES[:1]}, InvalidValueError),
        ({"faces": FACES[..., :2]}, InvalidValueError),
        ({"vertices": VERTICES * 1j}, UnsupportedTypeError),
        ({"config": {"size": torch.zeros(1)}}, InvalidTypeError),
    ],
)
def test_what_is_no_mesh_is_refused(wrong, error):
    """Shapes that do not go together, complex numbers, a configuration that is no JSON."""
    good = {"vertices": VERTICES, "colors": COLORS, "faces": FACES}
    with pytest.raises(error, match="'m'"):
        check(MeshRecord(tag="m", **{**good, **wrong}))
