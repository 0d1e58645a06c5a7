"""The fields of a Summary and of the messages in it, byte for byte as protobuf writes them.

Field numbers: summary.proto, tensor.proto, tensor_shape.proto and types.proto in
https://github.com/tensorflow/tensorboard/tree/a9e1bba361fdfc525866e5bb25222dab7eac3671/tensorboard/compat/proto

Lives here: one message at a time, from values that were checked. Must not: import protobuf or tensorboardX.
A message is a list of parts, so that the bytes of a large array or picture are copied once.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._wire.fields import float32, nested, number, sized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_VALUE = 1  # of Summary
_TAG, _SIMPLE_VALUE, _IMAGE, _HISTOGRAM, _AUDIO, _TENSOR, _METADATA = 1, 2, 4, 5, 6, 8, 9  # of Summary.Value
_PLUGIN_DATA, _DISPLAY_NAME, _DESCRIPTION = 1, 2, 3  # of SummaryMetadata
_PLUGIN_NAME, _CONTENT = 1, 2  # of SummaryMetadata.PluginData
_HEIGHT, _WIDTH, _COLORSPACE, _ENCODED_IMAGE = 1, 2, 3, 4  # of Summary.Image
_SAMPLE_RATE, _CHANNELS, _LENGTH, _ENCODED_AUDIO, _CONTENT_TYPE = 1, 2, 3, 4, 5  # of Summary.Audio
_MOMENTS = ("min", "max", "num", "sum", "sum_squares")  # of HistogramProto, from 1
_BUCKET_LIMIT, _BUCKET = 6, 7  # of HistogramProto
_DTYPE, _SHAPE = 1, 2  # of TensorProto; the fields of its values differ
_DIM, _SIZE = 2, 1  # of TensorShapeProto and its Dim

_DOUBLE_WIRE, _FLOAT_WIRE = 1, 5


def summary(tag: str, *fields: bytes) -> bytes:
    """Return a Summary of one value: its tag, and fields in the order of their numbers."""
    return b"".join(nested(_VALUE, [text(_TAG, tag), *fields]))


def text(field: int, value: str) -> bytes:
    """Return a field of a text. It is left out if the text is empty."""
    return sized(field, value.encode()) if value else b""


def simple_value(value: Any) -> bytes:
    """Return the field of a scalar."""
    return bytes([_SIMPLE_VALUE << 3 | _FLOAT_WIRE]) + float32(float(value))


def image(height: int, width: int, channels: int, encoded: bytes) -> list[bytes]:
    """Return the field of an encoded image or video."""
    sizes = number(_HEIGHT, height) + number(_WIDTH, width) + number(_COLORSPACE, channels)
    return nested(_IMAGE, [sizes, *nested(_ENCODED_IMAGE, [encoded])])


def audio(sample_rate: int, channels: int, length: int, wav: bytes) -> list[bytes]:
    """Return the field of a sound."""
    rate = bytes([_SAMPLE_RATE << 3 | _FLOAT_WIRE]) + float32(sample_rate)
    sizes = number(_CHANNELS, channels) + number(_LENGTH, length)
    return nested(_AUDIO, [rate + sizes, *nested(_ENCODED_AUDIO, [wav]), text(_CONTENT_TYPE, "audio/wav")])


def histogram(limits: Any, counts: Any, **moments: float) -> list[bytes]:
    """Return the field of a distribution.

    Args:
        limits: the upper edges of the bins, real numbers of shape (n,).
        counts: as many.
        moments: min, max, num, sum and sum_squares.
    """
    fields = [_double(1 + i, moments[name]) for i, name in enumerate(_MOMENTS)]
    for field, numbers in ((_BUCKET_LIMIT, limits), (_BUCKET, counts)):
        packed = np.asarray(numbers, "<f8").tobytes()
        fields += nested(field, [packed]) if packed else []
    return nested(_HISTOGRAM, fields)


def tensor(dtype: int, shape: Sequence[int] | None, values: Sequence[bytes]) -> list[bytes]:
    """Return the field of a tensor.

    Args:
        dtype: its DataType.
        shape: its axes. None leaves the shape out, which is then that of one number.
        values: fields of TensorProto with its values.
    """
    dims = [] if shape is None else [sized(_DIM, number(_SIZE, size)) for size in shape]
    known = [] if shape is None else nested(_SHAPE, dims)
    return nested(_TENSOR, [number(_DTYPE, dtype), *known, *values])


def metadata(plugin: str = "", content: bytes = b"", *, title: str = "", description: str = "") -> bytes:
    """Return the field of a summary's metadata: the plugin that shows it, or what it shows beside a scalar."""
    data = text(_PLUGIN_NAME, plugin) + (sized(_CONTENT, content) if content else b"")
    named = text(_DISPLAY_NAME, title) + text(_DESCRIPTION, description)
    return sized(_METADATA, (sized(_PLUGIN_DATA, data) if data else b"") + named)


def varints(numbers: NDArray[Any]) -> bytes:
    """Encode integers as `varint` does, one after the other. Give a few thousand: they take 100 bytes each."""
    if not numbers.size:
        return b""
    words = numbers.astype(np.int64, copy=False).view(np.uint64)
    shifts = np.arange(0, 64, 7, dtype=np.uint64)[: -(-int(words.max()).bit_length() // 7) or 1]
    rest = words[:, None] >> shifts
    stays = rest != 0
    stays[:, 0] = True  # zero has one byte, too
    groups = (rest & np.uint64(0x7F)).astype(np.uint8)
    groups[:, :-1] |= stays[:, 1:].astype(np.uint8) << 7
    encoded: bytes = groups[stays].tobytes()
    return encoded


def _double(field: int, value: float) -> bytes:
    packed = struct.pack("<d", value)
    return bytes([field << 3 | _DOUBLE_WIRE]) + packed if packed != bytes(8) else b""
