"""TensorBoard reads tensors of every dtype back exactly; where torch's can be read, they equal torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.utils.tensorboard.summary
from tensorboard.compat.proto.types_pb2 import DataType
from tensorboard.util.tensor_util import make_ndarray

from tblog._values.arrays import snapshot
from tblog._values.torch_tensors import torch_dtype_name
from tblog.errors import InvalidValueError, UnsupportedTypeError
from tblog.records import TensorRecord
from tblog.summaries import check
from tests.encoded import one, parsed

generator = np.random.default_rng(2)
SHAPES = [(), (1,), (5,), (2, 3), (4, 1, 2), (0,), (2, 0)]
NUMPY = [
    "f2",
    "f4",
    "f8",
    "i1",
    "u1",
    "i2",
    "u2",
    "i4",
    "u4",
    "i8",
    "u8",
    "c8",
    "c16",
    "?",
    ">f4",
    ">i8",
    ">u4",
]
AS_TORCH = [torch.float32, torch.float64, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool]
AS_TORCH += [torch.complex64, torch.complex128]


READABLE = [
    (dtype, shape)
    for dtype in NUMPY
    for shape in SHAPES
    if ("u4" not in dtype and dtype != "u8") or 0 not in shape
]  # TensorBoard has no rule for an empty array of these two dtypes


def numbers(dtype, shape):
    """Return numbers that fill the range of a dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        full = generator.integers(limits.min, limits.max, shape, dtype.newbyteorder("="), endpoint=True)
    elif dtype.kind == "b":
        full = generator.integers(0, 2, shape)
    else:
        full = generator.normal(size=shape) * (100j + 3 if dtype.kind == "c" else 100)
    return np.asarray(full).astype(dtype)


@pytest.mark.parametrize(("dtype", "shape"), READABLE, ids=str)
def test_a_tensor_is_read_back_exactly(dtype, shape):
    """TensorBoard's own reader gives back dtype, shape and values."""
    array = numbers(dtype, shape)
    read = make_ndarray(one(TensorRecord(tag="t", tensor=array)).tensor)
    assert (read.dtype, read.shape) == (array.dtype.newbyteorder("="), array.shape)
    assert (read == array).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", AS_TORCH, ids=str)
def test_a_tensor_is_torchs(dtype, shape):
    """Dtypes that torch writes correctly are in the same fields."""
    tensor = (torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 50).to(
        dtype
    )
    theirs = parsed(torch.utils.tensorboard.summary.tensor_proto("t", tensor)).value[0]
    assert one(TensorRecord(tag="t", tensor=tensor.numpy())) == theirs


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bfloat16_keeps_its_bits(shape):
    """The record's dtype says what the float32 values were widened from; the field holds 16 bits of each."""
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    record = TensorRecord(tag="t", tensor=snapshot(tensor, "t"), dtype=torch_dtype_name(tensor))
    proto = one(record).tensor
    assert proto.dtype == DataType.Value("DT_BFLOAT16")
    assert [axis.size for axis in proto.tensor_shape.dim] == list(shape)
    assert list(proto.half_val) == [bits & 0xFFFF for bits in tensor.view(torch.int16).flatten().tolist()]


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
def test_float8_is_read_back_as_float32(dtype):
    """No reader knows float8; float32 holds each of its values."""
    tensor = torch.linspace(-4, 4, 9).to(dtype)
    record = TensorRecord(tag="t", tensor=snapshot(tensor, "t"), dtype=torch_dtype_name(tensor))
    assert (make_ndarray(one(record).tensor) == tensor.float().numpy()).all()


@pytest.mark.parametrize(
    "array",
    [np.array([["a", "Grüße"], ["", "x" * 300]]), np.array([b"a", b"\xff\x01"])],
    ids=["str", "bytes"],
)
def test_strings_are_kept(array):
    """Text is written as UTF-8 and bytes as they are."""
    read = make_ndarray(one(TensorRecord(tag="t", tensor=array)).tensor)
    as_bytes = np.vectorize(lambda item: item.encode() if isinstance(item, str) else item, otypes=[object])
    assert (read == as_bytes(array)).all()


def test_values_that_are_not_finite_are_kept():
    """Tensors may contain NaN and infinities."""
    array = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    assert make_ndarray(one(TensorRecord(tag="t", tensor=array)).tensor).tobytes() == array.tobytes()


def test_a_longdouble_is_a_float64():
    """No format field holds more."""
    read = make_ndarray(one(TensorRecord(tag="t", tensor=np.array([0.5], np.longdouble))).tensor)
    assert (read.dtype, read.tolist()) == (np.float64, [0.5])


def test_what_cannot_be_written_is_refused():
    """Dates and objects have no dtype in the format."""
    for array in (np.array(["2020-01-01"], "M8[D]"), np.array([object()])):
        with pytest.raises(UnsupportedTypeError, match="'t'"):
            check(TensorRecord(tag="t", tensor=array))


def test_a_tensor_of_two_gibibytes_is_refused():
    """A protobuf message cannot be that large; the array is not looked at."""
    huge = np.broadcast_to(np.float64(0), (1 << 28,))
    with pytest.raises(InvalidValueError, match="'t'"):
        check(TensorRecord(tag="t", tensor=huge))
