"""Point clouds and triangle meshes: up to three tensors that the mesh dashboard combines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._require import require
from tblog._values.arrays import to_numpy
from tblog._values.checks import check_real, shape_of
from tblog._wire import summaries
from tblog.errors import InvalidTypeError, shortened
from tblog.summaries._tensors import tensor_field

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tblog.records import MeshRecord
    from tblog.summaries._context import EncodeContext

# MeshPluginData.ContentType, in the order in which both originals write the tensors:
# https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/mesh/plugin_data.proto
_CONTENT_TYPES = {"vertices": ("VERTEX", 1), "faces": ("FACE", 2), "colors": ("COLOR", 3)}

# The key of `uint32 components = 7`, which tensorboardX's copy of that message lacks.
_COMPONENTS_KEY = 7 << 3


def check_mesh(record: MeshRecord) -> None:
    """Check the three shapes and the configuration.

    Raises:
        InvalidValueError: a shape is not (B, N, 3), or two shapes do not match.
        InvalidTypeError: the configuration cannot be written as JSON.
        UnsupportedTypeError: an array does not hold real numbers.
    """
    what = f"mesh {record.tag!r}"
    wanted = {"vertices": "(B, N, 3)", "faces": "(B, M, 3)", "colors": "(B, N, 3), the shape of vertices"}
    vertices = shape_of(record.vertices)
    for name, array in _parts(record).items():
        check_real(array, f"{what}: {name}")
        shape = shape_of(array)
        if shape is None:
            continue
        fits = len(shape) == 3 and shape[2] == 3
        if vertices is not None:
            same = slice(None) if name == "colors" else slice(1)
            fits = fits and shape[same] == vertices[same]
        require(fits, f"{what}: the shape of {name}", shape, wanted[name])
    try:
        json.dumps(record.config, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"{what}: config was {shortened(record.config)}, which JSON cannot represent ({error}); give a dict of strings, "
            "numbers, lists and dicts"
        ) from error


def encode_mesh(record: MeshRecord, _context: EncodeContext) -> list[bytes]:
    """Encode the tensors of a mesh, each with the settings of the whole mesh."""
    from tensorboardX.proto.plugin_mesh_pb2 import MeshPluginData

    parts = _parts(record)
    components = sum(1 << _CONTENT_TYPES[name][1] for name in parts)
    config = "{}" if record.config is None else json.dumps(record.config, sort_keys=True)
    encoded = []
    for name, array in parts.items():
        content_name, content_type = _CONTENT_TYPES[name]
        values: NDArray[Any] = to_numpy(array).astype(np.float32)
        plugin = MeshPluginData(
            name=record.tag, content_type=content_type, json_config=config, shape=values.shape
        )
        content = plugin.SerializeToString() + bytes([_COMPONENTS_KEY, components])
        tag, metadata = f"{record.tag}_{content_name}", summaries.metadata("mesh", content)
        encoded.append(summaries.summary(tag, *tensor_field(values), metadata))
    return [b"".join(encoded)]


def _parts(record: MeshRecord) -> dict[str, Any]:
    arrays = {name: getattr(record, name) for name in _CONTENT_TYPES}
    return {name: array for name, array in arrays.items() if array is not None}
