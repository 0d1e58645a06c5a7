"""Summaries that tblog encodes by hand equal protobuf's, byte for byte, made with tensorboardX's messages."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorboardX.summary as original
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorboardX.proto.plugin_mesh_pb2 import MeshPluginData
from tensorboardX.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboardX.proto.types_pb2 import DataType

from tblog import records, summaries
from tblog._wire import summaries as wire
from tblog._wire.fields import varint
from tests.encoded import Reports, parsed
from tests.processes import run_program

TAGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
DOUBLES = st.floats(width=64) | st.just(-0.0)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)


def made(record: records.Record) -> bytes:
    """Return a record's only summary."""
    (encoded,) = summaries.encode(record, summaries.EncodeContext(report=Reports()))
    assert isinstance(encoded, bytes)
    return encoded


def plugin(name: str, content: bytes = b"") -> SummaryMetadata:
    """Return the metadata with a plugin's name."""
    return SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=name, content=content))


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=50))
def test_numbers_of_variable_length_are_those_of_protobuf(numbers: list[int]) -> None:
    """Each number has the same bytes together as alone."""
    assert wire.varints(np.array(numbers, np.int64)) == b"".join(map(varint, numbers))
    assert TensorProto(int64_val=numbers) == TensorProto.FromString(
        b"\x52"
        + varint(len(wire.varints(np.array(numbers, np.int64))))
        + wire.varints(np.array(numbers, np.int64))
    )


@given(TAGS, st.lists(st.tuples(DOUBLES, DOUBLES), max_size=20), st.lists(DOUBLES, min_size=5, max_size=5))
def test_a_histogram_is_that_of_protobuf(
    tag: str, bins: list[tuple[float, float]], moments: list[float]
) -> None:
    """For any numbers, including -0.0 and NaN, and for no bins."""
    names = ("min", "max", "num", "sum", "sum_squares")
    limits, counts = [limit for limit, _ in bins], [count for _, count in bins]
    values = dict(zip(names, moments, strict=True))
    proto = HistogramProto(bucket_limit=limits, bucket=counts, **values)
    wanted = Summary(value=[Summary.Value(tag=tag, histo=proto)]).SerializeToString()
    record = records.RawHistogramRecord(tag=tag, bucket_limits=limits, bucket_counts=counts, **values)
    assert made(record) == wanted


@given(TAGS, *[st.integers(0, (1 << 31) - 1)] * 3, st.binary(max_size=300))
def test_a_picture_is_that_of_protobuf(tag: str, height: int, width: int, channels: int, data: bytes) -> None:
    """For any size, and bytes of any length."""
    image = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=data)
    wanted = Summary(value=[Summary.Value(tag=tag, image=image)]).SerializeToString()
    assert parsed(wire.summary(tag, *wire.image(height, width, channels, data))) == parsed(wanted)
    if data:
        assert wire.summary(tag, *wire.image(height, width, channels, data)) == wanted


@given(TAGS, st.integers(1, (1 << 30) - 1), st.integers(1, 2), st.integers(1, 1 << 40))
def test_a_sound_is_that_of_protobuf(tag: str, rate: int, channels: int, length: int) -> None:
    """For any rate, which float32 rounds, and any length."""
    audio = Summary.Audio(
        sample_rate=rate,
        num_channels=channels,
        length_frames=length,
        encoded_audio_string=b"RIFF",
        content_type="audio/wav",
    )
    wanted = Summary(value=[Summary.Value(tag=tag, audio=audio)]).SerializeToString()
    assert wire.summary(tag, *wire.audio(rate, channels, length, b"RIFF")) == wanted


@given(TAGS, st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_a_text_is_that_of_protobuf(tag: str, text: str) -> None:
    """For any text under any tag."""
    assert made(records.TextRecord(tag=tag, text=text)) == original.text(tag, text).SerializeToString()


NUMBERS = {
    "float16": ("DT_HALF", "half_val"),
    "float32": ("DT_FLOAT", "float_val"),
    "float64": ("DT_DOUBLE", "double_val"),
    "complex64": ("DT_COMPLEX64", "scomplex_val"),
    "complex128": ("DT_COMPLEX128", "dcomplex_val"),
    "bool": ("DT_BOOL", "bool_val"),
    "int8": ("DT_INT8", "int_val"),
    "uint8": ("DT_UINT8", "int_val"),
    "int16": ("DT_INT16", "int_val"),
    "uint16": ("DT_UINT16", "int_val"),
    "int32": ("DT_INT32", "int_val"),
    "int64": ("DT_INT64", "int64_val"),
}
TENSORS = st.sampled_from([*NUMBERS]).flatmap(lambda dtype: arrays.arrays(dtype, SHAPES))


def listed(array: np.ndarray) -> list:
    """Return an array's numbers as protobuf's fields accept them."""
    flat = array.reshape(-1)
    if array.dtype.kind == "c":
        return flat.view(flat.real.dtype).tolist()
    return (flat.view(np.uint16) if array.dtype == np.float16 else flat).tolist()


@given(TAGS, TENSORS)
def test_a_tensor_is_that_of_protobuf(tag: str, array: np.ndarray) -> None:
    """For any dtype and shape, also without axes or elements."""
    dtype, field = NUMBERS[array.dtype.name]
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in array.shape])
    proto = TensorProto(dtype=DataType.Value(dtype), tensor_shape=shape, **{field: listed(array)})
    value = Summary.Value(tag=tag, tensor=proto, metadata=plugin("tensor"))
    assert made(records.TensorRecord(tag=tag, tensor=array)) == Summary(value=[value]).SerializeToString()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), max_size=5))
def test_a_tensor_of_texts_is_that_of_protobuf(texts: list[str]) -> None:
    """For any texts, including empty ones."""
    array = np.array(texts, dtype="U9")
    proto = TensorProto(
        dtype=DataType.Value("DT_STRING"),
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(texts))]),
        string_val=[text.encode() for text in array.tolist()],
    )
    value = Summary.Value(tag="t", tensor=proto, metadata=plugin("tensor"))
    assert made(records.TensorRecord(tag="t", tensor=array)) == Summary(value=[value]).SerializeToString()


@pytest.mark.parametrize("size", [4095, 4096, 4097, 10_000])
def test_a_tensor_in_pieces_is_that_of_protobuf(size: int) -> None:
    """Integers are encoded some thousand at a time, which does not show in the bytes."""
    array = np.random.default_rng(size).integers(-(1 << 40), 1 << 40, size)
    proto = TensorProto(
        dtype=DataType.Value("DT_INT64"),
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=size)]),
        int64_val=array.tolist(),
    )
    value = Summary.Value(tag="t", tensor=proto, metadata=plugin("tensor"))
    assert made(records.TensorRecord(tag="t", tensor=array)) == Summary(value=[value]).SerializeToString()


@settings(max_examples=50)
@given(TAGS, st.data(), st.integers(1, 300), st.integers(0, 50))
def test_a_pr_curve_is_the_originals(tag: str, data: st.DataObject, thresholds: int, size: int) -> None:
    """For any labels, predictions, weights and number of thresholds."""
    labels = data.draw(arrays.arrays(np.bool_, size))
    predictions = data.draw(arrays.arrays(np.float32, size, elements=st.floats(0, 1, width=32)))
    weights = data.draw(st.none() | arrays.arrays(np.float64, size, elements=st.floats(0, 10)))
    record = records.PrCurveRecord(
        tag=tag, labels=labels, predictions=predictions, num_thresholds=thresholds, weights=weights
    )
    wanted = original.pr_curve(tag, labels, predictions, thresholds, weights)
    assert made(record) == wanted.SerializeToString()


@settings(max_examples=50)
@given(TAGS, st.sampled_from(["f2", "f4", "f8", "i4", "i8", "?"]), st.data(), st.integers(1, 300))
def test_a_raw_pr_curve_is_the_originals(tag: str, dtype: str, data: st.DataObject, thresholds: int) -> None:
    """For any numbers, including NaN and numbers beyond float32."""
    curves = [data.draw(arrays.arrays(dtype, 3)) for _ in range(6)]
    names = [
        *(
            f"{name}_counts"
            for name in ("true_positive", "false_positive", "true_negative", "false_negative")
        ),
        "precision",
        "recall",
    ]
    record = records.RawPrCurveRecord(
        tag=tag, num_thresholds=thresholds, **dict(zip(names, curves, strict=True))
    )
    wanted = original.pr_curve_raw(tag, *curves, num_thresholds=thresholds)
    assert made(record) == wanted.SerializeToString()


def test_a_mesh_is_that_of_protobuf() -> None:
    """The values of one summary are in the same order."""
    points = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    record = records.MeshRecord(tag="m", vertices=points, faces=points, config={"a": 1})
    wanted = Summary()
    for name, kind in (("VERTEX", 1), ("FACE", 2)):
        content = MeshPluginData(
            name="m", content_type=kind, json_config=json.dumps({"a": 1}), shape=points.shape
        ).SerializeToString()
        value = wanted.value.add(tag=f"m_{name}", metadata=plugin("mesh", content + b"\x38\x06"))
        value.tensor.dtype = DataType.Value("DT_FLOAT")
        value.tensor.float_val.extend(points.reshape(-1).tolist())
        for size in points.shape:
            value.tensor.tensor_shape.dim.add(size=size)
    assert made(record) == wanted.SerializeToString()


def test_usual_records_load_neither_torch_nor_tensorboardx(tmp_path) -> None:
    """A program without torch logs histograms, images, audio, texts, tensors and curves."""
    program = """
import sys
import numpy as np
from tblog import SummaryWriter
values = np.linspace(0, 1, 64)
with SummaryWriter("run") as writer:
    writer.add_scalar("scalar", 1.0, 0)
    writer.add_histogram("histogram", values, 0)
    writer.add_histogram_raw("raw", 0, 1, 2, 1, 1, [0.5, 1], [1, 1], 0)
    writer.add_image("image", values.reshape(1, 8, 8), 0)
    writer.add_audio("audio", values, 0)
    writer.add_text("text", "a text", 0)
    writer.add_tensor("tensor", values.astype(int), 0)
    writer.add_pr_curve("curve", values > 0.5, values, 0)
print(writer.stats.written, sorted({"torch", "tensorboardX", "boto3", "google.protobuf", "PIL"} & set(sys.modules)))
"""
    assert run_program(program, tmp_path) == "8 []\n"


def test_encoding_imports_nothing_that_was_not_loaded_before(tmp_path) -> None:
    """Modules that numpy imports late are loaded under the lock that forks wait for."""
    program = """
import sys
import numpy as np
from tblog import records, summaries
from tblog.summaries import _kinds
values = np.linspace(0, 1, 64)
for record in (
    *(records.HistogramRecord(tag="h", values=values, bins=bins) for bins in ("tensorflow", "auto", 5)),
    records.ImageRecord(tag="i", image=values.reshape(1, 8, 8)),
    records.AudioRecord(tag="a", samples=values),
    records.TextRecord(tag="t", text="a"),
    records.TensorRecord(tag="t", tensor=values),
    records.PrCurveRecord(tag="p", labels=values > 0.5, predictions=values),
):
    summaries.load_checks()
    import tblog.summaries._settle
    _kinds.load(record)
    before = set(sys.modules)
    summaries.encode(record, summaries.EncodeContext())
    print(sorted(set(sys.modules) - before), end="")
"""
    assert run_program(program, tmp_path) == "[]" * 8
